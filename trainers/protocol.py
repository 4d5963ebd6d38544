"""Scores of a whole evaluation protocol on test pairs that a validation drew: distances of sets, LPIPS, identities."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from config.schema import TrainerConfig
from data.dataset import PairDataset
from data.pairs import output_name
from images.names import person_of
from images.pixels import Pixels
from losses.face import face_crop
from metrics import parallel
from metrics.evaluate import TrackScores, load_gallery, score_tracks
from metrics.identity import RANKS
from metrics.images import array_image
from metrics.protocols import load_protocol
from metrics.reals import Reals, check_reals, prepare_reals, set_hash
from metrics.scorer import Scorer, load_scorer
from metrics.task import Pair, Task, Track

LOG = logging.getLogger(__name__)


class Drawn(NamedTuple):
    """The finished image of a test pair, and where its target's eyes are: x14, y14, x15, y15; -1 where missing."""

    image: Pixels
    face: np.ndarray


class ProtocolScores:
    """Scores images under `trainer.eval_protocol`; what this machine has no weights for is told and left out.

    Args:
        settings: of the run. tested: its test pairs. trained: its training pairs, whose images are the reals.
        device: of the networks. cache: folder for the statistics of the reals.

    Raises:
        ValueError: an unknown protocol, or a `trainer.best_metric` that it does not have or that cannot be computed.
    """

    def __init__(
        self, settings: TrainerConfig, tested: PairDataset, trained: PairDataset, device: torch.device, cache: Path
    ) -> None:
        self.tested, self.trained, self.cache = tested, trained, cache
        # random weights, which are replaced at once, must not disturb the caller's randomness
        with torch.random.fork_rng(devices=[]):
            self.scorer = load_scorer(load_protocol(str(settings.eval_protocol)), device, face_crop)
        for item in self.scorer.missing:
            LOG.warning("validation goes without %s: %s", ", ".join(item.metrics), item.reason)
        _check_best(settings.best_metric, self.scorer)

    def scores(self, mine: Mapping[int, Drawn]) -> dict[str, float]:
        """Each metric's value over all processes' images, by line, on the main one; nothing on the others.

        Raises ValueError for an image that is damaged, and for training images that the protocol does not expect.
        """
        drawn = {line: one for part in parallel.gather(mine) for line, one in part.items()}
        pairs = {line: self._pair(line, drawn[line]) for line in sorted(drawn)}
        images = {
            pair.name: array_image(pair.name, partial(getattr, drawn[line], "image")) for line, pair in pairs.items()
        }
        task = Task(list(pairs.values()), [Track("validation", images)], self.tested.image_size)
        found = score_tracks(task, self.scorer, self._reals, load_gallery(task, self.scorer))
        return _means(found[0]) if found else {}

    def _pair(self, line: int, drawn: Drawn) -> Pair:
        source, target, *others = self.tested.names(line)
        true, given = (array_image(key, partial(self.tested.store.read, key)) for key in (target, source))
        return Pair(output_name(source, target, *others), true, given, person_of(target), face=drawn.face)

    @cached_property
    def _reals(self) -> Reals | None:
        """Statistics of all training images, computed once in the life of a run."""
        if not self.scorer.networks:
            return None
        store = self.trained.store
        images = [array_image(key, partial(store.read, key)) for key in self.trained.table.all_names()]
        content = set_hash(images)
        check_reals(content, self.scorer.protocol)
        return prepare_reals(Reals(images, content, self.scorer, self.tested.image_size, self.cache), [None])


def _check_best(metric: str, scorer: Scorer) -> None:
    reasons = {name: item.reason for item in scorer.missing for name in item.metrics}
    if metric in reasons:
        raise ValueError(f"trainer.best_metric is {metric}, which cannot be computed here: {reasons[metric]}")
    names = [*scorer.protocol.ssim, "psnr", "l1", "mae", "spectrum", "face_ssim"]
    names += ["lpips", "face_lpips"] if scorer.lpips else []
    names += [name for network in scorer.networks for name in (network.frechet, network.kernel)]
    names += [f"recall_{rank}" for rank in RANKS] if scorer.identity else []
    if metric not in names:
        raise ValueError(f"trainer.best_metric is {metric}: protocol {scorer.protocol.name} has {', '.join(names)}")


def _means(found: TrackScores) -> dict[str, float]:
    """Means over the images that have a metric, and scores of the set."""
    finite = {name: values[np.isfinite(values)] for name, values in found.clean.columns.items()}
    return {name: float(values.mean()) for name, values in finite.items() if len(values)} | found.clean.sets
