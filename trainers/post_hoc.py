"""Averages of any length after the fact, from snapshots of a few (Karras et al., *EDM2*, CVPR 2024, sec. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.checkpoints import list_checkpoints, load_checkpoint

FOLDER = "ema"


class Profile(NamedTuple):
    """A power-function average: how much step tau of 0..step weighs in it is in proportion to tau ** exponent."""

    step: int
    exponent: float


def power_exponent(length: float) -> float:
    """The exponent of an average whose profile's standard deviation is `length` (0 to 0.28) of the training so far."""
    inverse = length**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())


def power_decay(step: int, exponent: float) -> float:
    """Decay of optimizer step `step`, from 1 on."""
    return (1 - 1 / step) ** (exponent + 1)


def combination(snapshots: Sequence[Profile], wanted: Profile) -> NDArray[np.float64]:
    """The weight of each snapshot in their sum whose profile is nearest to the wanted one, by least squares."""
    products = np.array([[_product(a, b) for b in snapshots] for a in snapshots])
    return np.linalg.lstsq(products, np.array([_product(a, wanted) for a in snapshots]), rcond=None)[0]


def rebuild(folder: Path, length: float) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The averaged generator's weights at a run's newest snapshot, for any length, and that snapshot.

    Raises:
        ValueError: the run has no snapshots, or the length cannot be.
    """
    if not 0 < length < 0.28:
        raise ValueError(f"a length of {length} cannot be; it is a share of the training, between 0 and 0.28")
    files = list_checkpoints(folder / FOLDER)
    if not files:
        raise ValueError(f"{folder / FOLDER} holds no snapshots; train with trainer.post_hoc_ema=[0.05,0.1]")
    states = [load_checkpoint(file, mmap=True) for file in files]
    parts: list[tuple[Profile, Mapping[str, Tensor]]] = [
        (Profile(state["step"], power_exponent(float(kept))), weights)
        for state in states
        for kept, weights in state["averages"].items()
    ]
    newest = states[-1]
    shares = combination([profile for profile, _ in parts], Profile(newest["step"], power_exponent(length)))
    first = parts[0][1]
    sums = {
        name: sum(share * weights[name].float() for share, (_, weights) in zip(shares.tolist(), parts, strict=True))
        for name in first
    }
    return sums, newest


def _product(a: Profile, b: Profile) -> float:
    """The integral of the product of two profiles, each of integral 1."""
    shorter, total = min(a.step, b.step), a.exponent + b.exponent + 1
    size = (a.exponent + 1) * (b.exponent + 1) / total
    return size * (shorter / a.step) ** a.exponent * (shorter / b.step) ** b.exponent * shorter / (a.step * b.step)
