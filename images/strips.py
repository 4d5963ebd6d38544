"""Pictures of the steps: source, pose, canvas of every step, target, side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from images.joints import NUM_JOINTS
from images.pixels import to_uint8
from images.skeleton import draw_over

GAP = 4  # white pixels between pictures


def pose_picture(pose: Tensor, map_channels: int = 0) -> np.ndarray:
    """Pose maps (P, H, W) in [0, 1] to an (H, W, 3) uint8 drawing: NTED's own, or the skeleton of heatmaps' joints.

    The last `map_channels` of them are maps of no joint, each in a colour of its own, or as red, green and blue.
    """
    joints, maps = pose.cpu().split([len(pose) - map_channels, map_channels])
    drawing = np.zeros((*pose.shape[1:], 3))
    if len(joints) == 20:
        drawing = joints[:3].movedim(0, -1).numpy()
    elif len(joints):
        drawing = draw_over(np.zeros((*pose.shape[1:], 3), np.uint8), _peaks(joints[:NUM_JOINTS])) / 255
    if map_channels:
        shown = maps.movedim(0, -1).numpy() if map_channels == 3 else _coloured(maps)
        drawing = np.maximum(drawing, shown * (0.5 if len(joints) else 1))
    return (drawing * 255).round().astype(np.uint8)


def _peaks(heatmaps: Tensor) -> np.ndarray:
    """(N, 2) x and y of the highest pixel of (N, H, W) heatmaps, NaN where none comes near its top."""
    flat = heatmaps.flatten(1).numpy()
    y, x = np.divmod(flat.argmax(axis=1), heatmaps.shape[2])
    return np.where(flat.max(axis=1)[:, None] > 0.9, np.stack([x, y], axis=1), np.nan)


def _coloured(maps: Tensor) -> np.ndarray:
    """(H, W, 3) of (C, H, W) maps, each in its colour, the strongest on top; black for none."""
    colours = np.array([colorsys.hsv_to_rgb(index / len(maps), 1, 1) for index in range(len(maps))]).reshape(-1, 3)
    return (maps.numpy()[..., None] * colours[:, None, None]).max(axis=0, initial=0)


def strip(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W, 3) pictures of one size in a row, with white gaps."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(row[:-1], axis=1)


def stack(strips: Sequence[np.ndarray]) -> np.ndarray:
    """Strips of one size below one another, with white gaps."""
    return strip([row.transpose(1, 0, 2) for row in strips]).transpose(1, 0, 2)


def step_strip(
    source: Tensor, pose: Tensor, steps: Sequence[Tensor], target: Tensor | None = None, map_channels: int = 0
) -> np.ndarray:
    """One picture of a rollout: source, target pose, the image of every step, the true target where there is one.

    Args:
        source: (3, H, W) in [-1, 1], or (N, 3, H, W). target and each of steps: (3, H, W).
        pose: maps (P, H, W) in [0, 1], the last `map_channels` of no joint.
    """
    images = [*steps] if target is None else [*steps, target]
    sources = to_uint8(source if source.ndim == 4 else source[None])
    return strip([*sources, pose_picture(pose, map_channels), *map(to_uint8, images)])
