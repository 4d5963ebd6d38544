"""A person in motion: the frames of a pose sequence, drawn from photographs that are read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from images.pixels import Pixels, to_uint8
from models.one_source import OneSource
from studio.people import Person, draw_pose
from studio.pipeline import StepPose


def animate(
    model: StepPose, photographs: Sequence[Person], joints: np.ndarray, batch_size: int = 8, seed: int = 0
) -> Iterator[Pixels]:
    """Draw a person, of whom there is a photograph or several, in every pose of a sequence, frame by frame.

    The noise stands still: every frame has that of the same seed, so that what changes is what the pose moves.

    Args:
        joints: (T, 18, 2) in pixels of the model's images, NaN where missing.
        batch_size: frames that are drawn at once.
    """
    known, noise = OneSource(model.generator), model.noise(1, seed)
    images = [person.image for person in photographs]
    own = [person.maps(model) for person in photographs] if model.needs_source_pose else None
    for start in range(0, len(joints), batch_size):
        poses = torch.stack([draw_pose(model, pose) for pose in joints[start : start + batch_size]])
        *_, frames = model.stream(model.several(images, poses, own), noise.expand(len(poses), -1, -1, -1), known)
        yield from to_uint8(frames)


def evenly(count: int, length: int) -> list[int]:
    """Up to `count` different numbers spread evenly over 0..length-1, the first and last among them."""
    return sorted(set(np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()))
