"""Pictures of poses."""

from __future__ import annotations

import numpy as np
import pytest

from data.pose import pose_form
from images.joints import JOINTS
from images.skeleton import COLOURS, SKELETON_LIMBS, draw_over
from images.strips import pose_picture

SIZE = (64, 44)


@pytest.mark.parametrize("form", ["joints", "joints_limbs"])
def test_heatmaps_are_shown_as_the_lines_between_their_joints(form):
    joints = np.full((18, 2), np.nan)
    shoulder, elbow, ankle = (JOINTS.index(name) for name in ("right_shoulder", "right_elbow", "left_ankle"))
    joints[[shoulder, elbow, ankle]] = [(10.4, 12), (10, 40.9), (30, 50)]
    picture = pose_picture(pose_form(form).draw(joints, SIZE))
    assert picture.shape == (*SIZE, 3) and picture.dtype == np.uint8
    assert tuple(picture[40, 10]) == COLOURS[elbow] and tuple(picture[50, 30]) == COLOURS[ankle]
    assert tuple(picture[26, 10]) == COLOURS[SKELETON_LIMBS.index((shoulder, elbow))]
    drawn = picture.any(axis=2)
    assert not drawn[:, 14:27].any() and drawn[20:36].sum(axis=1).max() <= 3, "a line, not a smear"
    assert drawn[40:, 27:].sum() <= 9, "a joint, not a disc"


def test_a_pose_without_joints_is_black():
    assert not pose_picture(pose_form("joints").draw(np.full((18, 2), np.nan), SIZE)).any()


def test_drawing_over_an_image_leaves_it_as_it_was():
    image = np.zeros((*SIZE, 3), np.uint8)
    assert draw_over(image, np.full((18, 2), 20.0)).any() and not image.any()
