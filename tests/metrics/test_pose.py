"""PCKh, worked out by hand, and the scores of faces."""

import numpy as np
import torch

from images.pixels import to_tensor
from losses.face import face_crop
from metrics.paired import SsimWindow, ssim
from metrics.pose import openpose_from_coco, pckh
from metrics.protocols import PROTOCOLS
from metrics.scorer import Scorer


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


def test_a_detector_scores_the_images_whose_joints_are_known():
    coco = torch.zeros(17, 2)
    coco[0], coco[5], coco[6] = torch.tensor([50.0, 20]), torch.tensor([60.0, 40]), torch.tensor([40.0, 40])
    scorer = Scorer(PROTOCOLS["nted"], torch.device("cpu"))
    scorer.detector = lambda images: [coco, None, coco]
    found = scorer.pose_scores(torch.zeros(3, 3, 8, 8), [person(), person(), None])
    np.testing.assert_array_equal(found["pckh"], [1, 0, np.nan])


def test_faces_are_scored_where_both_eyes_are_found():
    random = np.random.default_rng(0)
    truths = list(random.integers(0, 256, (3, 128, 88, 3), dtype=np.uint8))
    fakes = [truths[0], truths[1].copy(), truths[2]]
    fakes[1][:40] = 0
    boxes = np.array([[40, 20, 50, 20], [40, 20, 50, 20], [-1, -1, -1, -1]])
    scorer = Scorer(PROTOCOLS["nted"], torch.device("cpu"), face_crop=face_crop)
    scores = scorer.face_scores(to_tensor(fakes), to_tensor(truths), boxes)["face_ssim"]
    crops = [
        face_crop(torch.from_numpy(image).permute(2, 0, 1)[None].float(), torch.from_numpy(boxes[1:2]))[0]
        for image in (fakes[1], truths[1])
    ]
    expected = ssim(*(crop.permute(1, 2, 0).double().numpy() / 255 for crop in crops), SsimWindow(7))
    assert np.allclose(scores[:2], [1, expected]) and np.isnan(scores[2])
    assert scorer.face_scores(to_tensor(fakes), to_tensor(truths), np.full((3, 4), -1)) == {}
