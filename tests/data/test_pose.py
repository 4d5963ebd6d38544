"""Poses against recorded numbers of the published systems and against plain renderings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from data import loader
from data.openpose import HEATMAP_LIMBS, mark_missing, read_keypoints, write_keypoints
from data.pose import (
    POSE_FORMS,
    StrokeConfig,
    draw_skeleton,
    face_box,
    joint_heatmaps,
    limb_heatmaps,
    pose_form,
    pose_maps,
    scale_joints,
    to_image_frame,
)
from images.joints import NUM_JOINTS
from images.skeleton import SKELETON_LIMBS

RECORDED = np.load(Path(__file__).parents[1] / "fixtures" / "pose_recorded.npz")
CASES = json.loads(str(RECORDED["skeleton_meta"]))


@pytest.mark.parametrize("case", range(len(CASES)))
def test_skeleton_equals_the_published_one(case: int) -> None:
    size, every = tuple(CASES[case]["size"]), CASES[case]["subsample"]
    joints = to_image_frame(
        mark_missing(RECORDED[f"skeleton/{case}/keypoints"]),
        size,
        CASES[case].get("scale_size"),
        CASES[case].get("crop_param"),
    )
    np.testing.assert_array_equal(
        draw_skeleton(joints, size)[:, ::every, ::every], RECORDED[f"skeleton/{case}/channels_u8"]
    )
    np.testing.assert_allclose(face_box(joints), RECORDED[f"skeleton/{case}/face"], rtol=1e-6)


@pytest.mark.parametrize("case", [0, 2, 3])
def test_heatmaps_equal_the_published_ones(case: int) -> None:
    joints = scale_joints(mark_missing(RECORDED[f"heatmap/{case}/yx"])[:, ::-1], (256, 176), (256, 256))
    maps = joint_heatmaps(joints, (256, 256))
    np.testing.assert_allclose(maps.transpose(1, 2, 0)[::4, ::4], RECORDED[f"heatmap/{case}/map"], atol=1e-6)


def test_limb_heatmaps_hold_the_distance_to_the_segment() -> None:
    rng = np.random.default_rng(1)
    joints = rng.uniform(-5, 45, (NUM_JOINTS, 2))
    joints[0] = joints[16]  # a limb without length
    maps = limb_heatmaps(joints, (40, 30))
    for index, (a, b) in enumerate(HEATMAP_LIMBS):
        # a dense walk along the segment, worked out apart from the projection formula
        walk = joints[a] + np.linspace(0, 1, 2001)[:, None] * (joints[b] - joints[a])
        for y, x in ((0, 0), (17, 21), (39, 29)):
            distance = np.hypot(walk[:, 0] - x, walk[:, 1] - y).min()
            assert maps[index, y, x] == pytest.approx(np.exp(-(distance**2) / 18), abs=2e-4)


def test_missing_joints_give_empty_maps_and_no_face_box() -> None:
    joints = np.full((NUM_JOINTS, 2), np.nan)
    skeleton = draw_skeleton(joints, (32, 24))
    assert not skeleton[:3].any() and (skeleton[3:] == 255).all()
    assert not joint_heatmaps(joints, (32, 24)).any() and not limb_heatmaps(joints, (32, 24)).any()
    assert face_box(joints).tolist() == [-1, -1, -1, -1]
    joints[:] = 5
    joints[3] = np.nan
    filled = limb_heatmaps(joints, (32, 24)).any(axis=(1, 2))
    assert filled.tolist() == [3 not in limb for limb in HEATMAP_LIMBS]


def plain_distance_maps(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The published way: every limb on a canvas of its own, a distance transform of the whole."""
    maps = np.full((len(SKELETON_LIMBS), *size), 255, np.uint8)
    for index, (a, b) in enumerate(SKELETON_LIMBS):
        (xa, ya), (xb, yb) = joints[a], joints[b]
        if np.isnan([xa, ya, xb, yb]).any():
            continue
        angle = int(np.degrees(np.arctan2(ya - yb, xa - xb)))
        axes = (int(np.hypot(xa - xb, ya - yb) / 2), 4)
        polygon = cv2.ellipse2Poly((int((xa + xb) / 2), int((ya + yb) / 2)), axes, angle, 0, 360, 1)
        mask = np.zeros(size, np.uint8)
        cv2.fillConvexPoly(mask, polygon, 255)
        if mask.any():
            maps[index] = np.clip(cv2.distanceTransform(255 - mask, cv2.DIST_L1, 3) / 3, 0, 255)
    return maps


def test_skeleton_distances_equal_full_size_distance_transforms() -> None:
    rng = np.random.default_rng(2)
    for size in ((48, 36), (200, 90)):
        for _ in range(20):
            joints = rng.uniform(-0.4, 1.4, (NUM_JOINTS, 2)) * size[::-1]
            joints[rng.random(NUM_JOINTS) < 0.2] = np.nan
            np.testing.assert_array_equal(draw_skeleton(joints, size)[3:], plain_distance_maps(joints, size))


def test_missing_is_marked_before_the_shift(tmp_path: Path) -> None:
    joints = np.tile([10.0, 50.0], (NUM_JOINTS, 1))  # inside the border: x becomes negative, and is no missing joint
    joints[3] = np.nan
    write_keypoints(tmp_path / "a.txt", joints)
    moved = to_image_frame(read_keypoints(tmp_path / "a.txt"), (512, 352))
    assert np.isnan(moved[3]).all()
    assert moved[4].tolist() == [-60, 100]


def test_augmentation_moves_joints_with_the_image() -> None:
    moved = to_image_frame(np.tile([128.0, 128.0], (18, 1)), (256, 176), scale_size=(512, 352), crop=(30, 40, 176, 256))
    assert moved[0].tolist() == [(128 - 40) * 2 - 30, 128 * 2 - 40]


@pytest.mark.parametrize("name", POSE_FORMS)
def test_pose_forms_fill_their_channels_and_batch_like_single(name: str) -> None:
    form, size = POSE_FORMS[name], (32, 24)
    poses = [np.random.default_rng(seed).uniform(0, 24, (NUM_JOINTS, 2)) for seed in range(2)]
    maps = [form.draw(joints, size) for joints in poses]
    assert maps[0].shape == (form.num_channels, *size)
    assert maps[0].dtype == torch.float32 and maps[0].min() >= 0 and maps[0].max() <= 1
    samples = [{"pose": torch.from_numpy(form.encode(pose, size))} for pose in poses]
    torch.testing.assert_close(pose_maps(loader.collate(samples)["pose"], size), torch.stack(maps))


def test_strokes_are_those_of_an_image_256_high_where_a_config_scales_them() -> None:
    joints = np.full((NUM_JOINTS, 2), np.nan)
    joints[1:3] = [[20, 32], [40, 32]]  # neck and right shoulder: limb 0 of both lists
    scaled = StrokeConfig(radius=8, joint_sigma=12, limb_sigma=4, scale_with_height=True)
    x, y = 30, 34  # middle of the limb, 2 pixels beside it
    heat = pose_form("joints_limbs", scaled).draw(joints, (64, 48))
    # 64 rows are a quarter of 256: sigmas of 3 and 1
    assert heat[1, 32, 20 + 3] == pytest.approx(math.exp(-0.5), abs=1e-6)
    limb = next(i for i, pair in enumerate(HEATMAP_LIMBS) if set(pair) == {1, 2})
    assert heat[NUM_JOINTS + limb, y, x] == pytest.approx(math.exp(-2), abs=1e-6)
    drawn = pose_form("skeleton", scaled).draw(joints, (64, 48))[:3].sum(dim=0)
    assert drawn[34, 20] > 0 and drawn[35, 20] == 0  # a radius of 2
    published = pose_form("skeleton", StrokeConfig()).draw(joints, (64, 48))[:3].sum(dim=0)
    assert published[36, 20] > 0 and published[37, 20] == 0  # of 4, at any size


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 2\n" * 17, "17 rows"),
        ("1 2\n" * 17 + "1 x\n", ":18: '1 x'"),
        ("1 2 3\n" * 18, ":1: '1 2 3'"),
        ("1 nan\n" * 18, ":1:"),
        ("1 2\n" * 4 + "1e30 5\n" + "1 2\n" * 13, ":5:"),
        ("", "0 rows"),
    ],
)
def test_bad_keypoint_files_are_named_with_the_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.txt") as error:
        read_keypoints(path)
    assert complaint in str(error.value)


def test_a_missing_keypoint_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.txt does not exist"):
        read_keypoints(tmp_path / "nowhere.txt")
