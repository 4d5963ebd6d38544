"""Pose sequences: their files, their place in the image, gaps and smoothing; and those of the synthetic figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.frames import write_frame
from data.motion import Motion, fill_gaps, hold, read_motion, seen, smooth, write_motion
from data.openpose import Frame, write_keypoints
from data.synthetic.layout import person_model
from data.synthetic.motion import film
from scripts import make_motion
from tests.data.conftest import standing


def moving(frames: int = 12) -> np.ndarray:
    """(T, 18, 2): a standing person who moves 2 to the right and 1 down a frame, the right ear missing."""
    joints = standing()[None] + np.arange(frames)[:, None, None] * (2.0, 1.0)
    joints[:, 16] = np.nan
    return joints


def openpose(joints: np.ndarray, **canvas: int) -> dict:
    """An image's part of OpenPose's file with 18 joints."""
    points = np.concatenate([np.nan_to_num(joints), np.isfinite(joints[:, :1]) * 0.9], axis=1)
    return {"people": [{"pose_keypoints_2d": points.ravel().tolist()}], **canvas}


def written(folder: Path, kind: str) -> Path:
    """`moving` with nobody in frame 3, in each form that is read."""
    joints = moving()
    if kind == "npz":
        joints[3] = np.nan
        write_motion(folder / "poses.npz", joints, (256, 176))
        return folder / "poses.npz"
    frames = [openpose(one, canvas_height=256, canvas_width=176) for one in joints]
    frames[3] = {"people": [], "canvas_height": 256, "canvas_width": 176}
    if kind == "json":
        (folder / "poses.json").write_text(json.dumps(frames))
        return folder / "poses.json"
    for number, one in enumerate(frames):
        if kind == "json folder":
            (folder / f"frame_{number}_keypoints.json").write_text(json.dumps(one))
        else:
            write_keypoints(folder / "pose" / f"{number}.txt", joints[number] if number != 3 else joints[3] * np.nan)
    if kind == "txt folder":
        write_frame(folder, Frame(256, 176, 0))
        return folder / "pose"
    return folder


@pytest.mark.parametrize("kind", ["npz", "json", "json folder", "txt folder"])
def test_every_form_of_a_sequence_reads_alike_and_in_the_order_of_its_numbers(kind, tmp_path):
    motion, expected = read_motion(written(tmp_path, kind)), moving()
    expected[3] = np.nan
    assert motion.frame == Frame(256, 176, 0)
    np.testing.assert_allclose(motion.joints, expected, rtol=1e-5)
    assert seen(motion.joints).tolist() == [number != 3 for number in range(12)]


def test_a_frame_of_the_images_shape_is_scaled_and_another_cropped_once_for_all_frames():
    joints = moving()
    np.testing.assert_allclose(Motion(joints, Frame(256, 176, 0)).in_image((64, 44)), joints / 4)
    np.testing.assert_allclose(Motion(joints, Frame(256, 176, 40)).in_image((256, 176)), joints - (40, 0))
    for frame in (None, Frame(256, 512, 0)):
        placed = Motion(joints, frame).in_image((128, 88))
        found = np.isfinite(placed)
        assert ((placed >= 0) & (placed <= (88, 128)))[found].all()
        steps = np.diff(placed, axis=0)
        # no squashing, and a camera that stands still: 2 right for every 1 down in each frame
        np.testing.assert_allclose(steps[..., 0] / steps[..., 1], np.where(found[1:, :, 0], 2, np.nan), rtol=0.02)
        np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape))


def test_short_gaps_are_filled_on_a_line_and_long_ones_and_ends_are_not():
    joints = moving()
    gappy = joints.copy()
    gappy[0, 4], gappy[4:6, 4], gappy[7:10, 5], gappy[3] = np.nan, np.nan, np.nan, np.nan
    filled = fill_gaps(gappy, 3)
    assert np.isnan(filled[0, 4]).all() and np.isnan(filled[:, 16]).all()
    np.testing.assert_allclose(filled[1:, :16], joints[1:, :16])
    filled = fill_gaps(gappy, 2)
    assert np.isnan(filled[3:6, 4]).all() and np.isnan(filled[7:10, 5]).all()  # a gap of three frames, with frame 3
    np.testing.assert_allclose(filled[3, 6], joints[3, 6])
    np.testing.assert_array_equal(fill_gaps(gappy, 0), gappy)


def test_smoothing_keeps_a_straight_path_and_lessens_trembling():
    joints = moving(40)
    np.testing.assert_allclose(smooth(joints, 1.0)[6:-6], joints[6:-6], atol=1e-6)
    trembling = joints + np.random.default_rng(0).normal(0, 1, joints.shape)
    difference = smooth(trembling, 2.0)[8:-8] - joints[8:-8]
    assert np.nanstd(difference) < 0.5 and np.isnan(difference[:, 16]).all()
    np.testing.assert_array_equal(smooth(joints, 0), joints)


def test_what_is_missing_has_no_weight():
    joints = np.ones((5, 18, 2))
    joints[2] = np.nan
    smoothed = smooth(joints, 1.0)
    assert np.isnan(smoothed[2]).all()
    np.testing.assert_allclose(smoothed[[0, 1, 3, 4]], 1)


def test_frames_without_a_person_hold_the_one_before():
    joints = moving(6)
    joints[[0, 3, 4]] = np.nan
    np.testing.assert_array_equal(hold(joints), joints[[1, 1, 2, 2, 2, 5]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.npz", "does not exist"),
        (lambda folder: folder / "none.mp4", "is no pose sequence"),
        (lambda folder: folder, "holds no files"),
        (lambda folder: _file(folder, "a.npz", b"PK"), "holds no `joints`"),
        (lambda folder: _file(folder, "a.json", b"[]"), "shows nobody"),
        (lambda folder: _file(folder, "a.json", b"[1]"), "no `people`"),
        (lambda folder: _file(folder, "a.json", b'[{"people": []}]'), "shows nobody"),
        (lambda folder: _npz(folder, joints=np.zeros((3, 17, 2)), size=(4, 4)), r"joints \(3, 17, 2\)"),
        (lambda folder: _npz(folder, joints=np.zeros((3, 18, 2)), size=(0, 4)), r"size \(0, 4\)"),
        (lambda folder: _npz(folder, joints=np.zeros((3, 18, 2))), "holds no `joints`"),
    ],
)
def test_bad_input_is_named(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_motion(make(tmp_path))


def _file(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _npz(folder: Path, **arrays) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("motion", ["walk", "turn"])
def test_a_synthetic_motion_stays_in_the_frame_and_comes_back_to_its_beginning(motion):
    model = person_model(3, 1, 128)
    frames = list(film(model, motion, 12, (128, 88)))
    joints = np.array([found for _, found in frames])
    assert len(frames) == 12 and frames[0][0].shape == (128, 88, 3)
    assert (
        (joints[np.isfinite(joints)] >= 0).all()
        and np.nanmax(joints[..., 0]) <= 88
        and np.nanmax(joints[..., 1]) <= 128
    )
    assert all((frame[0] == 255).all() and (frame[:, [0, -1]] == 255).all() for frame, _ in frames)
    steps = np.nanmax(np.abs(np.roll(joints, -1, axis=0) - joints), axis=(1, 2))
    assert steps[-1] <= steps[:-1].max() and steps.min() > 0.5
    assert (frames[0][0] != frames[6][0]).any()


def test_a_turn_shows_the_back_halfway_and_a_walk_puts_one_foot_before_the_other():
    model = person_model(3, 1, 256)
    turn = [joints for _, joints in film(model, "turn", 8, (256, 176))]
    assert turn[0][2, 0] < turn[0][5, 0] and turn[4][2, 0] > turn[4][5, 0]  # right and left shoulder
    assert np.isfinite(turn[0][0]).all() and np.isnan(turn[4][0]).all()  # the nose
    walk = [joints for _, joints in film(model, "walk", 8, (256, 176))]
    ahead = [joints[10, 0] - joints[13, 0] for joints in (walk[0], walk[4])]  # right less left ankle, to the right
    assert ahead[0] > 0 > ahead[1]


@pytest.mark.parametrize(("motion", "frames"), [("walk", 32), ("turn", 48)])
def test_the_shipped_sequences_are_what_the_command_makes(motion, frames, command, tmp_path):
    words = ["--motion", motion, "--frames", frames, "--output", tmp_path / "made.npz"]
    assert command(make_motion.main, *words) == 0
    made, shipped = (read_motion(path) for path in (tmp_path / "made.npz", Path(f"assets/motions/{motion}.npz")))
    np.testing.assert_allclose(made.joints, shipped.joints, atol=1e-3)
    assert made.frame == shipped.frame == Frame(256, 176, 0) and len(made.joints) == frames
