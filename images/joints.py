"""The joints of a person: OpenPose's eighteen, and where COCO's annotators and detectors have them."""

from __future__ import annotations

JOINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
NUM_JOINTS = len(JOINTS)
NOSE, NECK, RIGHT_SHOULDER, LEFT_SHOULDER = 0, 1, 2, 5
RIGHT_EYE, LEFT_EYE = 14, 15

# where each of OpenPose's joints is among COCO's 17; None: the neck, halfway between the shoulders
COCO_17: tuple[int | None, ...] = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
