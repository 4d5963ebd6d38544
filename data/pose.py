"""Joints to network input: NTED's skeleton drawing and DPTN's heatmaps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from config.section import Section
from data.openpose import DEEPFASHION_FRAME, HEATMAP_LIMBS, Frame
from images.joints import LEFT_EYE, NUM_JOINTS, RIGHT_EYE
from images.skeleton import COLOURS, SKELETON_LIMBS

Size = tuple[int, int]
_DISTANCE_UNIT = 3
_FARTHEST = 255 * _DISTANCE_UNIT
_FAR_AWAY = 1e6


class StrokeConfig(Section):
    """How wide poses are drawn, in pixels of the image, or of one 256 high."""

    radius: float = Field(4, ge=0.5, description="of the joints and limbs of NTED's drawing; rounded")
    joint_sigma: float = Field(6, gt=0, description="of the Gaussians round joints")
    limb_sigma: float = Field(3, gt=0, description="of the Gaussians round limbs")
    scale_with_height: bool = Field(
        False, description="the pixels are those of an image 256 high; the published networks draw alike at any size"
    )

    def at_height(self, height: int) -> StrokeConfig:
        """The same in pixels of an image of so many rows; a radius is 1 at least."""
        scale = height / 256 if self.scale_with_height else 1
        return StrokeConfig(
            radius=max(self.radius * scale, 1), joint_sigma=self.joint_sigma * scale, limb_sigma=self.limb_sigma * scale
        )


PUBLISHED = StrokeConfig()


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


def draw_skeleton(joints: np.ndarray, size: Size, radius: int = 4) -> np.ndarray:
    """NTED's pose: an RGB drawing of joints and limbs, and the distance to each of 17 limbs (NTED, sec. 4).

    Args:
        joints: (18, 2) x, y in pixels of the image, NaN where missing.
        size: (H, W).
        radius: of joints and limbs, in pixels.

    Returns:
        (20, H, W) uint8: RGB, then L1 distances in units of 3 pixels, 255 everywhere for a limb that is not seen.
    """
    return skeleton_maps(torch.from_numpy(encode_skeleton(joints, size, radius))[None], size)[0].numpy()


def encode_skeleton(joints: np.ndarray, size: Size, radius: int = 4) -> np.ndarray:
    """What of `draw_skeleton` needs OpenCV; the rest is left to `skeleton_maps`.

    Returns:
        (n,) uint8, the bytes of: the drawing (3, H, W) uint8 RGB; boxes (17, 5) int32, rows (x, y, width, height,
        start) of the box that holds all pixels of a limb; int16 pixels, from each box's start row by row the L1
        distance to its limb.
    """
    canvas = np.zeros((*size, 3), np.uint8)
    found, points = np.isfinite(joints).all(axis=1).tolist(), joints.tolist()
    for point, colour, is_found in zip(points, COLOURS, found, strict=True):
        if is_found:
            cv2.circle(canvas, (int(point[0]), int(point[1])), radius, colour, -1)
    coloured, background = canvas.copy(), np.full(size, 255, np.uint8)
    # a limb that is not seen is a far-away pixel, which stands first
    boxes, pixels, start = [], [np.array([_FARTHEST], np.int16)], 1
    for (a, b), colour in zip(SKELETON_LIMBS, COLOURS, strict=False):
        box = (0, 0, 1, 1, 0)
        if found[a] and found[b]:
            polygon = _limb_polygon(points[a], points[b], radius)
            if limb := _draw_limb(polygon, colour, canvas, coloured, background):
                (x, y), distances = limb
                box = (x, y, distances.shape[1], distances.shape[0], start)
                pixels.append(distances.ravel())
                start += distances.size
        boxes.append(box)
    return np.concatenate(
        [
            np.ascontiguousarray(canvas.transpose(2, 0, 1)).ravel(),
            np.array(boxes, np.int32).ravel().view(np.uint8),
            np.concatenate(pixels).view(np.uint8),
        ]
    )


def skeleton_maps(encoded: Tensor, size: Size) -> Tensor:
    """(B, 20, H, W) uint8 maps from a batch (B, n) of `encode_skeleton`, possibly padded, on its device."""
    ends = np.cumsum([3 * size[0] * size[1], 4 * 5 * len(SKELETON_LIMBS)]).tolist()
    drawing, boxes, pixels = encoded.tensor_split(ends, dim=1)
    # clones, since bytes can be viewed as wider numbers only where they begin at a multiple of their width
    boxes = boxes.clone(memory_format=torch.contiguous_format).view(torch.int32)
    pixels = pixels.clone(memory_format=torch.contiguous_format).view(torch.int16)
    distances = limb_distances(boxes.unflatten(1, (len(SKELETON_LIMBS), 5)), pixels, size)
    return torch.cat([drawing.unflatten(1, (3, *size)), distances], dim=1)


def limb_distances(boxes: Tensor, pixels: Tensor, size: Size) -> Tensor:
    """Distance maps of a batch of encoded skeletons, on their device.

    Outside of a box that holds the whole limb, the L1 distance is that of the nearest pixel of the box plus the
    steps to it. So only boxes, a twentieth of the pixels, are computed and moved to the device.

    Args:
        boxes, pixels: (B, 17, 5) int32 and (B, n) int16 of `encode_skeleton`.
        size: (H, W).

    Returns:
        (B, 17, H, W) uint8.
    """
    height, width = size
    left, top, box_width, box_height, start = boxes.unsqueeze(-1).unbind(-2)
    x = torch.arange(width, dtype=torch.int32, device=boxes.device)
    y = torch.arange(height, dtype=torch.int32, device=boxes.device)
    near_x = torch.minimum(torch.maximum(x, left), left + box_width - 1)
    near_y = torch.minimum(torch.maximum(y, top), top + box_height - 1)
    first = torch.arange(len(pixels), dtype=torch.int32, device=boxes.device)[:, None, None] * pixels.shape[1]
    place = (first + start + (near_y - top) * box_width)[..., None] + (near_x - left)[..., None, :]
    distances = pixels.flatten().index_select(0, place.flatten()).view(place.shape)
    distances += (y - near_y).abs_().to(torch.int16)[..., None]
    distances += (x - near_x).abs_().to(torch.int16)[..., None, :]
    return distances.clamp_(max=_FARTHEST).div_(_DISTANCE_UNIT, rounding_mode="floor").to(torch.uint8)


def _limb_polygon(start: Sequence[float], end: Sequence[float], radius: int) -> np.ndarray:
    """(n, 2) int32 outline of the ellipse drawn from joint to joint."""
    (xa, ya), (xb, yb) = start, end
    centre = int((xa + xb) / 2), int((ya + yb) / 2)
    axes = int(math.hypot(xa - xb, ya - yb) / 2), radius
    angle = int(math.degrees(math.atan2(ya - yb, xa - xb)))
    return np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1))


def _draw_limb(
    polygon: np.ndarray, colour: Sequence[int], canvas: np.ndarray, coloured: np.ndarray, background: np.ndarray
) -> tuple[tuple[int, int], np.ndarray] | None:
    """Blend a limb into `canvas` (H, W, 3).

    `coloured` (equal to the canvas) and `background` (H, W; all 255) are scratch space, left as they were.

    Returns:
        the corner (x, y) of the box that holds the limb, and its int16 L1 distances; None if nothing is in the image.
    """
    x, y, box_width, box_height = cv2.boundingRect(polygon)
    rows = slice(max(y, 0), min(y + box_height, canvas.shape[0]))
    columns = slice(max(x, 0), min(x + box_width, canvas.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    cv2.fillConvexPoly(coloured, polygon, colour)
    cv2.fillConvexPoly(background, polygon, 0)
    area, outside = canvas[rows, columns], background[rows, columns]
    cv2.addWeighted(area, 0.4, coloured[rows, columns], 0.6, 0, dst=area)
    distances = cv2.distanceTransform(outside, cv2.DIST_L1, 3)
    coloured[rows, columns] = area
    outside.fill(255)
    if distances[0, 0] > sum(canvas.shape):  # what OpenCV answers where nothing is drawn
        return None
    return (columns.start, rows.start), distances.astype(np.int16)


def joint_segments(joints: np.ndarray, sigma: float = PUBLISHED.joint_sigma) -> np.ndarray:
    """(18, 5) float32 rows (x, y, x, y, sigma) for `segment_heatmaps`: each joint's whole pixel, NaN where missing."""
    centres = np.trunc(joints)
    return _segments(centres, centres, sigma)


def limb_segments(joints: np.ndarray, sigma: float = PUBLISHED.limb_sigma) -> np.ndarray:
    """(23, 5) float32 rows (x, y, x, y, sigma) for `segment_heatmaps`, NaN where either joint is missing."""
    starts, ends = np.asarray(joints, np.float64)[np.array(HEATMAP_LIMBS)].transpose(1, 0, 2)
    return _segments(starts, ends, sigma)


def _segments(starts: np.ndarray, ends: np.ndarray, sigma: float) -> np.ndarray:
    return np.concatenate([starts, ends, np.full((len(starts), 1), sigma)], axis=1).astype(np.float32)


def segment_heatmaps(segments: Tensor, size: Size) -> Tensor:
    """Gaussians of the distance to line segments, on whatever device `segments` is.

    Args:
        segments: (..., 5) float: both ends (x, y, x, y) and sigma, in pixels; a missing one has a NaN.
        size: (H, W).

    Returns:
        (..., H, W) in [0, 1]: exp(-distance^2 / (2 sigma^2)); zeros for a missing segment.
    """
    height, width = size
    # a missing segment is put so far away that its Gaussian is 0; units of sqrt(2) sigma leave exp(-distance^2)
    ends = segments[..., :4]
    ends = torch.where(ends.isnan().any(dim=-1, keepdim=True), _FAR_AWAY, ends)
    unit = segments[..., 4, None, None] * math.sqrt(2)
    xa, ya, xb, yb = ends[..., None, None].unbind(-3)
    length = torch.hypot(xb - xa, yb - ya)
    is_point = length < 1e-6
    cos = torch.where(is_point, 1.0, (xb - xa) / length) / unit
    sin = torch.where(is_point, 0.0, (yb - ya) / length) / unit
    x = torch.arange(width, dtype=ends.dtype, device=ends.device) - (xa + xb) / 2
    y = torch.arange(height, dtype=ends.dtype, device=ends.device)[:, None] - (ya + yb) / 2
    # distance along the segment from its nearer end (0 beside it), and across
    beyond = (x * cos + y * sin).abs_().sub_(length / 2 / unit).clamp_(min=0)
    across = y * cos - x * sin
    return beyond.square_().addcmul_(across, across).neg_().exp_()


def joint_heatmaps(joints: np.ndarray, size: Size, sigma: float = PUBLISHED.joint_sigma) -> np.ndarray:
    """(18, H, W) float32: a Gaussian round each joint's whole pixel, zeros where missing (DPTN, sec. 4.1)."""
    return segment_heatmaps(torch.from_numpy(joint_segments(joints, sigma)), size).numpy()


def limb_heatmaps(joints: np.ndarray, size: Size, sigma: float = PUBLISHED.limb_sigma) -> np.ndarray:
    """(23, H, W) float32: a Gaussian of the distance to each limb, zeros where missing (step form of DPTN)."""
    return segment_heatmaps(torch.from_numpy(limb_segments(joints, sigma)), size).numpy()


class PoseForm(NamedTuple):
    """A kind of pose maps, made in two steps.

    `encode(joints, size)` is a loader process's part: one array, small beside the maps: bytes (`encode_skeleton`) or
    segments. `pose_maps` finishes a batch of them on the device.
    """

    num_channels: int
    draw_with: Callable[[np.ndarray, Size, StrokeConfig], np.ndarray]
    strokes: StrokeConfig = PUBLISHED

    def encode(self, joints: np.ndarray, size: Size) -> np.ndarray:
        """(18, 2) joints in pixels of an image (H, W), NaN where missing, to what `pose_maps` takes a batch of."""
        return self.draw_with(joints, size, self.strokes.at_height(size[0]))

    def draw(self, joints: np.ndarray, size: Size) -> Tensor:
        """(num_channels, H, W) float32 in [0, 1] for (18, 2) joints in pixels, NaN where missing."""
        return pose_maps(torch.from_numpy(self.encode(joints, size))[None], size)[0]


def pose_maps(encoded: Tensor, size: Size) -> Tensor:
    """(B, C, H, W) float32 in [0, 1] from a batch of what `PoseForm.encode` gives, on its device."""
    if encoded.dtype == torch.uint8:
        return skeleton_maps(encoded, size).float().div_(255)
    return segment_heatmaps(encoded, size)


def _skeleton(joints: np.ndarray, size: Size, strokes: StrokeConfig) -> np.ndarray:
    return encode_skeleton(joints, size, round(strokes.radius))


def _joints(joints: np.ndarray, size: Size, strokes: StrokeConfig) -> np.ndarray:
    return joint_segments(joints, strokes.joint_sigma)


def _joints_and_limbs(joints: np.ndarray, size: Size, strokes: StrokeConfig) -> np.ndarray:
    return np.concatenate([_joints(joints, size, strokes), limb_segments(joints, strokes.limb_sigma)])


def _nothing(joints: np.ndarray, size: Size, strokes: StrokeConfig) -> np.ndarray:
    return np.empty((0, 5), np.float32)


POSE_FORMS = {
    "skeleton": PoseForm(3 + len(SKELETON_LIMBS), _skeleton),
    "joints": PoseForm(NUM_JOINTS, _joints),
    "joints_limbs": PoseForm(NUM_JOINTS + len(HEATMAP_LIMBS), _joints_and_limbs),
}


def pose_form(name: str, strokes: StrokeConfig = PUBLISHED) -> PoseForm:
    """The form of a name: a key of `POSE_FORMS`, or `maps`, which draws no joints, so that other maps stand alone."""
    return PoseForm(0, _nothing) if name == "maps" else POSE_FORMS[name]._replace(strokes=strokes)
