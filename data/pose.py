"""Joints to network input: NTED's skeleton drawing and DPTN's heatmaps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from data.openpose import (
    COLOURS,
    DEEPFASHION_FRAME,
    HEATMAP_LIMBS,
    LEFT_EYE,
    NUM_JOINTS,
    RIGHT_EYE,
    SKELETON_LIMBS,
    Frame,
)

Size = tuple[int, int]
_RADIUS = 4
_DISTANCE_UNIT = 3
_FARTHEST = 255 * _DISTANCE_UNIT
_JOINT_SIGMA, _LIMB_SIGMA = 6.0, 3.0


def to_image_frame(
    keypoints: np.ndarray,
    size: Size,
    scale_size: Size | None = None,
    crop: tuple[int, int, int, int] | None = None,
    frame: Frame = DEEPFASHION_FRAME,
) -> np.ndarray:
    """Move keypoints from their file's frame to pixels of an image, possibly scaled and cropped.

    Args:
        keypoints: (18, 2) x, y, NaN where missing.
        size: (H, W) of the image.
        scale_size: (H', W') that the image is scaled to before cropping; None: `size`.
        crop: (x, y, w, h) cut out of the scaled image; None: no crop.
        frame: where the keypoints come from.

    Returns:
        (18, 2) float64; joints outside of the crop keep their coordinates.
    """
    height, width = scale_size or size
    left, top = crop[:2] if crop else (0, 0)
    scale = np.array([width / frame.width, height / frame.height])
    return (np.asarray(keypoints, np.float64) - (frame.left, 0)) * scale - (left, top)


def scale_joints(joints: np.ndarray, old_size: Size, size: Size) -> np.ndarray:
    """Joints of an image of `old_size` (H, W) after resizing it to `size`."""
    return to_image_frame(joints, size, frame=Frame(*old_size, 0))


def face_box(joints: np.ndarray) -> np.ndarray:
    """(4,) float32: x and y of the right eye, then of the left; four -1 where either is missing."""
    eyes = np.asarray(joints)[[RIGHT_EYE, LEFT_EYE]].astype(np.float32).ravel()
    return eyes if np.isfinite(eyes).all() else np.full(4, -1, np.float32)


def draw_skeleton(joints: np.ndarray, size: Size) -> np.ndarray:
    """NTED's pose: an RGB drawing of joints and limbs, and the distance to each of 17 limbs (NTED, sec. 4).

    A limb's pixels all lie in a small box. Colours are blended in that box alone, and as L1 distances grow by one
    with each pixel away from a box that holds the whole limb, distances are computed in it and extended.

    Args:
        joints: (18, 2) x, y in pixels of the image, NaN where missing.
        size: (H, W).

    Returns:
        (20, H, W) uint8: RGB, then L1 distances in units of 3 pixels, 255 everywhere for a limb that is not seen.
    """
    height, width = size
    maps = np.full((3 + len(SKELETON_LIMBS), height, width), 255, np.uint8)
    canvas = np.zeros((height, width, 3), np.uint8)
    found = np.isfinite(joints).all(axis=1)
    for (x, y), colour, is_found in zip(joints, COLOURS, found, strict=True):
        if is_found:
            cv2.circle(canvas, (int(x), int(y)), _RADIUS, colour, -1)
    for index, (a, b) in enumerate(SKELETON_LIMBS):
        if found[a] and found[b]:
            _draw_limb(limb_polygon(joints[a], joints[b]), COLOURS[index], canvas, maps[3 + index])
    cv2.split(canvas, list(maps[:3]))
    return maps


def limb_polygon(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(n, 2) int32 outline of the ellipse drawn from joint to joint."""
    (xa, ya), (xb, yb) = (map(float, joint) for joint in (start, end))
    centre = int((xa + xb) / 2), int((ya + yb) / 2)
    axes = int(math.hypot(xa - xb, ya - yb) / 2), _RADIUS
    angle = int(math.degrees(math.atan2(ya - yb, xa - xb)))
    return np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1))


def _draw_limb(polygon: np.ndarray, colour: tuple[int, int, int], canvas: np.ndarray, distances: np.ndarray) -> None:
    """Blend a limb into `canvas` (H, W, 3) and write its distance map (H, W)."""
    height, width = distances.shape
    left, top = np.maximum(polygon.min(axis=0), 0).tolist()
    right, bottom = np.minimum(polygon.max(axis=0) + 1, (width, height)).tolist()
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillConvexPoly(mask, polygon - (left, top), 255)
    if not mask.any():
        return
    area = canvas[top:bottom, left:right]
    coloured = area.copy()
    coloured[mask > 0] = colour
    cv2.addWeighted(area, 0.4, coloured, 0.6, 0, dst=area)
    inside = cv2.distanceTransform(255 - mask, cv2.DIST_L1, 3).astype(np.int16)
    rows = np.arange(height, dtype=np.int16)
    columns = np.arange(width, dtype=np.int16)
    near_rows, near_columns = rows.clip(top, bottom - 1), columns.clip(left, right - 1)
    total = inside[near_rows - top][:, near_columns - left]
    total += np.abs(rows - near_rows)[:, None] + np.abs(columns - near_columns)
    np.minimum(total, _FARTHEST, out=total)
    distances[:] = total // _DISTANCE_UNIT


def joint_segments(joints: np.ndarray, sigma: float = _JOINT_SIGMA) -> np.ndarray:
    """(18, 5) float32 rows (x, y, x, y, sigma) for `segment_heatmaps`: each joint's whole pixel, NaN where missing."""
    centres = np.trunc(joints)
    return _segments(centres, centres, sigma)


def limb_segments(joints: np.ndarray, sigma: float = _LIMB_SIGMA) -> np.ndarray:
    """(23, 5) float32 rows (x, y, x, y, sigma) for `segment_heatmaps`, NaN where either joint is missing."""
    starts, ends = np.asarray(joints, np.float64)[np.array(HEATMAP_LIMBS)].transpose(1, 0, 2)
    return _segments(starts, ends, sigma)


def _segments(starts: np.ndarray, ends: np.ndarray, sigma: float) -> np.ndarray:
    return np.concatenate([starts, ends, np.full((len(starts), 1), sigma)], axis=1).astype(np.float32)


def segment_heatmaps(segments: Tensor, size: Size) -> Tensor:
    """Gaussians of the distance to line segments, on whatever device `segments` is.

    Args:
        segments: (..., 5) float: both ends (x, y, x, y) and sigma, in pixels; NaN where missing.
        size: (H, W).

    Returns:
        (..., H, W) in [0, 1]: exp(-distance^2 / (2 sigma^2)); zeros for a missing segment.
    """
    height, width = size
    xa, ya, xb, yb, sigma = segments.unsqueeze(-1).unsqueeze(-1).unbind(-3)
    dx, dy = xb - xa, yb - ya
    x = torch.arange(width, dtype=segments.dtype, device=segments.device) - xa
    y = torch.arange(height, dtype=segments.dtype, device=segments.device).unsqueeze(-1) - ya
    # the nearest point of the segment is start + along * (end - start); both ends may be one point
    squared_length = (dx * dx + dy * dy).clamp(min=1e-12)
    along = (x * (dx / squared_length) + y * (dy / squared_length)).clamp_(0, 1)
    distance = (x - along * dx).square_().add_((y - along * dy).square_())
    return distance.mul_(-0.5 / sigma.square()).exp_().nan_to_num_(nan=0.0)


def joint_heatmaps(joints: np.ndarray, size: Size, sigma: float = _JOINT_SIGMA) -> np.ndarray:
    """(18, H, W) float32: a Gaussian round each joint's whole pixel, zeros where missing (DPTN, sec. 4.1)."""
    return segment_heatmaps(torch.from_numpy(joint_segments(joints, sigma)), size).numpy()


def limb_heatmaps(joints: np.ndarray, size: Size, sigma: float = _LIMB_SIGMA) -> np.ndarray:
    """(23, H, W) float32: a Gaussian of the distance to each limb, zeros where missing (step form of DPTN)."""
    return segment_heatmaps(torch.from_numpy(limb_segments(joints, sigma)), size).numpy()


def _both_segments(joints: np.ndarray) -> np.ndarray:
    return np.concatenate([joint_segments(joints), limb_segments(joints)])


class PoseForm(NamedTuple):
    """A kind of pose maps.

    `encode(joints, size)` makes what a loader process hands over: uint8 maps, or segments, which are a thousandth of
    the float maps that `pose_maps` makes of them on the device.
    """

    num_channels: int
    encode: Callable[[np.ndarray, Size], np.ndarray]

    def draw(self, joints: np.ndarray, size: Size) -> Tensor:
        """(num_channels, H, W) float32 in [0, 1] for (18, 2) joints in pixels, NaN where missing."""
        return pose_maps(torch.from_numpy(self.encode(joints, size)), size)


def pose_maps(encoded: Tensor, size: Size) -> Tensor:
    """Finish `PoseForm.encode`'s output, single or a batch: (..., C, H, W) float32 in [0, 1] on its device."""
    return encoded.float() / 255 if encoded.dtype == torch.uint8 else segment_heatmaps(encoded, size)


POSE_FORMS = {
    "skeleton": PoseForm(3 + len(SKELETON_LIMBS), draw_skeleton),
    "joints": PoseForm(NUM_JOINTS, lambda joints, size: joint_segments(joints)),
    "joints_limbs": PoseForm(NUM_JOINTS + len(HEATMAP_LIMBS), lambda joints, size: _both_segments(joints)),
}
