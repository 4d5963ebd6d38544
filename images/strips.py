"""Pictures of the steps: source, pose, canvas of every step, target, side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from images.pixels import to_uint8

GAP = 4  # white pixels between pictures


def pose_picture(pose: Tensor) -> np.ndarray:
    """Pose maps (P, H, W) in [0, 1] to an (H, W, 3) uint8 drawing: NTED's own, or heatmaps in one colour each."""
    if len(pose) == 20:
        return (pose[:3].movedim(0, -1) * 255).round().to(torch.uint8).cpu().numpy()
    joints = pose[:18].cpu().numpy()
    colours = np.array([colorsys.hsv_to_rgb(index / 18, 1, 1) for index in range(18)])
    drawing = (joints[..., None] * colours[:, None, None]).max(axis=0)
    if len(pose) > 18:
        limbs = pose[18:].max(dim=0).values.cpu().numpy()
        drawing = np.maximum(drawing, limbs[..., None] * 0.5)
    return (drawing * 255).round().astype(np.uint8)


def strip(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W, 3) pictures of one size in a row, with white gaps."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(row[:-1], axis=1)


def stack(strips: Sequence[np.ndarray]) -> np.ndarray:
    """Strips of one size below one another, with white gaps."""
    return strip([row.transpose(1, 0, 2) for row in strips]).transpose(1, 0, 2)


def step_strip(source: Tensor, pose: Tensor, steps: Sequence[Tensor], target: Tensor | None = None) -> np.ndarray:
    """One picture of a rollout: source, target pose, the image of every step, the true target where there is one.

    Args:
        source, target and each of steps: (3, H, W) in [-1, 1]. pose: maps (P, H, W) in [0, 1].
    """
    images = [*steps] if target is None else [*steps, target]
    return strip([to_uint8(source), pose_picture(pose), *map(to_uint8, images)])
