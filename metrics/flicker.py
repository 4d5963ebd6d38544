"""Flicker of a video: what changes from frame to frame where nothing moved."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from images.pixels import Pixels

STILL = 2  # grey levels that a pixel of the truth may change and still stand still


def flicker(frames: Iterable[Pixels], truth: Iterable[Pixels]) -> dict[str, float]:
    """Mean absolute change, in grey levels, between frames, at pixels where the true frames stand still.

    The truth's own is about 0. A pixel stands still where none of its colours changes by more than `STILL`.

    Args:
        frames, truth: (H, W, 3) uint8 each, in the same order.

    Returns:
        `flicker` over all such pixels; `person_flicker` over those of the person (the truth is not white), NaN where
        there are none; `moving`: the same change where the truth moves; `still`: the share of pixels that stand still.
    """
    change, person, still = _changes(frames, truth)
    return {
        "flicker": _mean(change[still]),
        "person_flicker": _mean(change[still & person]),
        "moving": _mean(change[~still]),
        "still": float(still.mean()),
    }


def _changes(frames: Iterable[Pixels], truth: Iterable[Pixels]) -> tuple[NDArray, NDArray, NDArray]:
    """(T - 1, H, W): the frames' change, whether the person is there, and whether the truth stands still."""
    drawn, true = (np.stack(list(part)).astype(np.int16) for part in (frames, truth))
    if drawn.shape != true.shape or len(drawn) < 2:
        raise ValueError(f"frames {drawn.shape} and truth {true.shape} must be equally many, two or more, of one size")
    moves = np.stack([np.abs(after - before).max(axis=2) for before, after in pairwise(true)])
    changes = np.stack([np.abs(after - before).mean(axis=2) for before, after in pairwise(drawn)])
    return changes, true[1:].min(axis=3) < 250, moves <= STILL


def _mean(values: NDArray) -> float:
    return float(values.mean()) if values.size else float("nan")
