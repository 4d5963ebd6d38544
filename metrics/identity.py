"""Whether a generated image shows its own person: is it nearest to other images of that person, among all persons?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.scorer import Columns

RANKS = (1, 5)


@dataclass(frozen=True)
class Gallery:
    """Real images of test persons: (G, D) features, and each one's name and person."""

    features: NDArray[np.float32]
    names: Sequence[str]
    persons: Sequence[str]

    @property
    def num_persons(self) -> int:
        """How many persons there are to choose from."""
        return len(set(self.persons))

    def recalls(self, features: NDArray[np.float32], targets: Sequence[str], persons: Sequence[str | None]) -> Columns:
        """`recall_1` and `recall_5`: 1 where the own person is among the nearest one or five persons, else 0.

        A person is as near as the nearest of its images, by the cosine of features. The target itself is left out: a
        target's pose is its own, so that an outline alone would answer. NaN where a person has no other image.

        Args:
            features: (B, D) of generated images. targets: names of their ground truth in the gallery.
            persons: whose they are, None where it is not known.
        """
        order = {person: index for index, person in enumerate(sorted(set(self.persons)))}
        columns = np.array([order[person] for person in self.persons])
        nearness = _unit(features) @ _unit(self.features).T
        names = np.array(self.names)
        nearness[np.array(targets)[:, None] == names[None, :]] = -np.inf
        best = np.full((len(features), len(order)), -np.inf)
        for row, values in zip(best, nearness, strict=True):
            np.maximum.at(row, columns, values)
        places = np.array([order.get(person or "", -1) for person in persons])
        own = np.where(places < 0, -np.inf, best[np.arange(len(best)), places])
        place = (best >= own[:, None]).sum(axis=1) - 1  # who is as near comes first
        return {f"recall_{rank}": np.where(np.isfinite(own), (place < rank).astype(float), np.nan) for rank in RANKS}

    def ceiling(self, targets: Sequence[str], persons: Sequence[str | None]) -> dict[str, float]:
        """Mean recalls of the ground truth itself: what a perfect generator would score with these features.

        Args:
            targets, persons: as for `recalls`.
        """
        places = {name: place for place, name in enumerate(self.names)}
        columns = self.recalls(self.features[[places[name] for name in targets]], targets, persons)
        return {name: float(np.nanmean(column)) for name, column in columns.items() if np.isfinite(column).any()}


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
