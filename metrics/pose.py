"""Whether a generated person has the pose that was asked for, as a pose detector sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from images.joints import COCO_17, LEFT_SHOULDER, NECK, NOSE, RIGHT_SHOULDER

Joints = NDArray[np.floating]

HEAD_SHARE = 0.5


def openpose_from_coco(keypoints: Joints) -> Joints:
    """(17, 2) keypoints in COCO's order to (18, 2) in OpenPose's."""
    joints = np.asarray(keypoints, np.float64)[[place or 0 for place in COCO_17]]
    joints[NECK] = (joints[RIGHT_SHOULDER] + joints[LEFT_SHOULDER]) / 2
    return joints


def pckh(found: Joints | None, truth: Joints) -> float | None:
    """Share of true joints that are found within half a head, in 0..1.

    After Andriluka et al., *2D human pose estimation: new benchmark and state of the art analysis*, CVPR 2014 (PCKh at
    0.5). OpenPose marks no top of the head, so a head is the distance from nose to neck.

    Args:
        found: (18, 2) of a detector, NaN where missing; None where it saw no person: every joint is then missed.
        truth: (18, 2), NaN where missing.

    Returns:
        None where nose or neck are missing, because there is nothing to measure with.
    """
    head = float(np.linalg.norm(truth[NOSE] - truth[NECK]))
    if not np.isfinite(head) or head == 0:
        return None
    visible = np.isfinite(truth).all(axis=1)
    if found is None:
        return 0.0
    distance = np.linalg.norm(found[visible] - truth[visible], axis=1)
    return float((np.nan_to_num(distance, nan=np.inf) <= HEAD_SHARE * head).mean())
