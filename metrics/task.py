"""What is to be scored: pairs, and for each step (or for a baseline) a track of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from images.pixels import Size
from metrics.images import ImageFile
from metrics.scorer import Degrade

COPY_SOURCE = "copy_source"


@dataclass(frozen=True)
class Pair:
    """One image to score: its name, its ground truth, and what is known of it."""

    name: str
    target: ImageFile
    source: ImageFile | None = None
    person: str | None = None  # whose image it is
    joints: NDArray[np.floating] | None = None  # (18, 2) x, y in pixels of the image, NaN where missing
    face: NDArray[np.floating] | None = None  # (4,) eyes x14, y14, x15, y15; -1 where missing


@dataclass(frozen=True)
class Track:
    """Generated images by pair name; `degrade` coarsens ground truth to what a step aims at (None: the clean one)."""

    label: str
    images: Mapping[str, ImageFile]
    degrade: Degrade | None = None
    prepared: bool = True  # False: brought to size like ground truth (the sources of the trivial baseline)


@dataclass
class Task:
    """Pairs with their tracks, wherever they come from. The last track but the baseline is that of the results."""

    pairs: list[Pair]
    tracks: list[Track]
    size: Size
    reals: list[ImageFile] = field(default_factory=list)
    unmatched: dict[str, list[str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    origin: dict[str, Any] | None = None  # from the manifest beside the images

    @property
    def final(self) -> int:
        """Position of the track of the results."""
        return max(index for index, track in enumerate(self.tracks) if track.label != COPY_SOURCE)

    def clusters(self) -> list[str]:
        """For each pair what it shares with others: its person, or its ground truth where no name says whose it is."""
        persons = [pair.person for pair in self.pairs]
        if None in persons:
            return [pair.target.name for pair in self.pairs]
        return [str(person) for person in persons]

    def has_persons(self) -> bool:
        """Whether every name says whose image it is."""
        return all(pair.person is not None for pair in self.pairs)
