"""A pose as lines and joints, for people to look at."""

from __future__ import annotations

import cv2
import numpy as np

# NTED's drawing: 17 limbs and a colour (RGB) for each joint; limb i has the colour of joint i.
SKELETON_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
    (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (0, 0, 255), (0, 85, 255), (0, 170, 255), (0, 255, 255), (0, 255, 170), (0, 255, 85), (0, 255, 0), (85, 255, 0),
    (170, 255, 0), (255, 255, 0), (255, 170, 0), (255, 85, 0), (255, 0, 0), (255, 0, 85), (255, 0, 170),
    (255, 0, 255), (170, 0, 255), (85, 0, 255),
)  # fmt: skip


def draw_over(image: np.ndarray, joints: np.ndarray, width: int | None = None) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 image with the skeleton of (18, 2) joints drawn over it, NaN where missing.

    `width` is that of the lines in pixels; 0, as for small pictures, is crisp ones of a pixel and joints without rings.
    """
    image = np.array(image, order="C")
    width = image.shape[0] // 130 if width is None else width
    edge = cv2.LINE_AA if width else cv2.LINE_8
    found = np.isfinite(joints).all(axis=1) & (np.abs(np.nan_to_num(joints)) < 1e4).all(axis=1)
    points = [(round(float(x)), round(float(y))) for x, y in np.where(found[:, None], joints, 0)]
    for (a, b), colour in zip(SKELETON_LIMBS, COLOURS, strict=False):
        if found[a] and found[b]:
            cv2.line(image, points[a], points[b], colour, max(width, 1), edge)
    for point, colour, is_found in zip(points, COLOURS, found, strict=True):
        if is_found:
            cv2.circle(image, point, 2 * width or 1, colour, -1, edge)
        if is_found and width:
            cv2.circle(image, point, 2 * width, (255, 255, 255), 1, edge)
    return image
