"""Regions of a person, named by the pose or drawn in a mask file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from images.pixels import resize
from images.reading import read_image

Size = tuple[int, int]
# lines between joints, how thick they are in heights of the torso, and joints whose hull is filled
REGIONS: dict[str, tuple[tuple[tuple[int, int], ...], float, tuple[int, ...]]] = {
    "head": (((0, 1), (0, 14), (0, 15), (14, 16), (15, 17)), 0.42, (0, 14, 15, 16, 17)),
    "upper_body": (((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7)), 0.3, (1, 2, 5, 8, 11)),
    "lower_body": (((8, 11), (8, 9), (9, 10), (11, 12), (12, 13)), 0.42, (8, 11, 9, 12)),
}


def region_mask(joints: np.ndarray, size: Size, region: str) -> np.ndarray:
    """Where a region of the person is: (H, W) float32 in [0, 1], soft at the edge.

    Args:
        joints: (18, 2) pixels of the image, NaN where missing. region: a key of `REGIONS`.

    Raises:
        ValueError: no such region, or the pose has none of its joints.
    """
    if region not in REGIONS:
        raise ValueError(f"region is {region!r}; it must be one of {', '.join(REGIONS)}")
    lines, thickness, hull = REGIONS[region]
    mask = np.zeros(size, np.uint8)
    found = np.isfinite(joints).all(axis=1)
    width = max(2, round(thickness * _torso(joints, size)))
    points = {joint: tuple(map(int, joints[joint])) for joint in range(len(joints)) if found[joint]}
    for a, b in lines:
        if found[a] and found[b]:
            cv2.line(mask, points[a], points[b], 255, width)
    corners = np.array([points[joint] for joint in hull if found[joint]], np.int32)
    if len(corners) > 2:
        cv2.fillConvexPoly(mask, cv2.convexHull(corners), 255)
    if not mask.any():
        raise ValueError(f"the pose has no joints of the region {region}; choose another pose or a mask file")
    return cv2.GaussianBlur(mask, (0, 0), width / 6).astype(np.float32) / 255


def mask_from_file(path: str | Path, size: Size) -> np.ndarray:
    """A mask image (white: the region) as (H, W) float32 in [0, 1]; raises ValueError where it is no image."""
    return resize(read_image(path).convert("L"), size, "bilinear").astype(np.float32) / 255


def _torso(joints: np.ndarray, size: Size) -> float:
    """Pixels from neck to the middle of the hips; a quarter of the height where they are missing."""
    hips = joints[[8, 11]]
    hips = hips[np.isfinite(hips).all(axis=1)]
    length = float(np.linalg.norm(hips.mean(axis=0) - joints[1])) if len(hips) else float("nan")
    return length if np.isfinite(length) and length > 1 else size[0] / 4
