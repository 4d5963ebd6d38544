"""PCKh, worked out by hand."""

import numpy as np

from metrics.pose import openpose_from_coco, pckh


def person() -> np.ndarray:
    joints = np.full((18, 2), np.nan)
    joints[[0, 1, 2, 5]] = [(50, 20), (50, 40), (40, 40), (60, 40)]  # a head of 20 pixels
    return joints


def test_joints_within_half_a_head_count():
    found = person()
    found[2] += (6, 8)  # 10 pixels off: just within
    found[5] += (7, 8)
    assert pckh(found, person()) == 3 / 4


def test_a_joint_or_person_that_is_not_found_is_missed():
    found = person()
    found[0] = np.nan
    assert (pckh(found, person()), pckh(None, person())) == (3 / 4, 0)


def test_without_a_neck_there_is_nothing_to_measure_with():
    truth = person()
    truth[1] = np.nan
    assert pckh(person(), truth) is None


def test_coco_keypoints_find_their_place():
    coco = np.arange(17)[:, None] * np.ones(2)
    joints = openpose_from_coco(coco)
    # nose, neck, right shoulder, right wrist, left hip, right eye, left ear
    assert joints[[0, 1, 2, 4, 11, 14, 17], 0].tolist() == [0, 5.5, 6, 10, 11, 2, 3]
