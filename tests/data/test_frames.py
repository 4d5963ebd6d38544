"""Coordinates and the image that they are pixels of: stated, kept and checked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.frames import frame_file, frame_problem, frame_text, keypoint_frame, parse_frame, read_frame, write_frame
from data.openpose import DEEPFASHION_FRAME, Frame, between_frames, pose_file, read_keypoints, write_keypoints
from data.pose import to_image_frame
from data.store import ImageStore, encode_image
from scripts import check_data, import_poses, prepare_data
from studio.photographs import read_photograph
from studio.uploads import uploaded_joints
from tests.data.conftest import NAMES, run_script, standing
from tests.tiny import pair_dataset

FLAT = [f"fashionWOMENDressesid0000000{person}01_{view}.jpg" for person in (1, 2, 3) for view in ("1front", "3back")]
# a person in the middle of an image of 256x176 without a border
CROPPED = standing() - (40, 0)


def write_csv(path: Path, names: list[str], joints: np.ndarray) -> Path:
    rows = [
        f"{name}: {np.rint(joints[:, 1]).astype(int).tolist()}: {np.rint(joints[:, 0]).astype(int).tolist()}"
        for name in names
    ]
    path.write_text("name:keypoints_y:keypoints_x\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("shift", [0, 40])
def test_both_keypoint_lists_of_deepfashion_land_on_the_same_joints(tmp_path: Path, shift: int) -> None:
    write_csv(tmp_path / "a.csv", FLAT, np.add(CROPPED, (shift, 0)))
    assert run_script(import_poses.main, "--format", "csv", tmp_path / "a.csv", "--output", tmp_path) == 0
    np.testing.assert_allclose(read_keypoints(pose_file(tmp_path, f"img/{FLAT[0]}")), standing(), atol=0.51)
    assert read_frame(tmp_path) == DEEPFASHION_FRAME


def test_a_list_of_unknown_names_needs_a_frame_and_keeps_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["ann.jpg"], CROPPED * 2)
    arguments = ["--format", "csv", tmp_path / "a.csv", "--output", tmp_path]
    with pytest.raises(ValueError, match=r"ann\.jpg: .*give --frame H-W"):
        run_script(import_poses.main, *arguments)
    assert not (tmp_path / "pose").exists()
    assert run_script(import_poses.main, *arguments, "--frame", "512-352") == 0
    read = to_image_frame(read_keypoints(pose_file(tmp_path, "img/ann.jpg")), (256, 176), frame=DEEPFASHION_FRAME)
    np.testing.assert_allclose(read, CROPPED, atol=0.5)


def test_a_second_import_goes_into_the_frame_of_the_first(tmp_path: Path) -> None:
    write_frame(tmp_path, Frame(128, 64, 0))
    write_csv(tmp_path / "a.csv", ["ann.jpg"], CROPPED)
    arguments = ["--format", "csv", tmp_path / "a.csv", "--output", tmp_path, "--frame", "256-176"]
    assert run_script(import_poses.main, *arguments) == 0
    np.testing.assert_allclose(read_keypoints(pose_file(tmp_path, "img/ann.jpg")), CROPPED * (64 / 176, 0.5), atol=0.5)
    (tmp_path / "pose" / "frame.json").unlink()
    with pytest.raises(ValueError, match=r"does not state; state it"):
        run_script(import_poses.main, *arguments)


def rewrite(tree: Path, joints: np.ndarray) -> None:
    for name in NAMES:
        write_keypoints(pose_file(tree, name), joints)


WRONG = {
    "border": (CROPPED, "23% of the width left of the middle"),
    "shares": (CROPPED / (176, 256), "between 0 and 1"),
    "large": (standing() * 4, "of the joints lie outside of the frame"),
    "small": (CROPPED * (64 / 176, 0.5) + (40, 0), "in one corner"),
    "far": (np.add(standing(), (5000, 0)), "of the joints lie outside of the frame"),
}


@pytest.mark.parametrize(("joints", "complaint"), WRONG.values(), ids=WRONG)
def test_coordinates_of_another_frame_are_an_error_with_a_picture(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], joints: np.ndarray, complaint: str
) -> None:
    rewrite(tree, joints)
    assert run_script(check_data.main, "--root", tree, "--output", tmp_path / "sheet.png") == 1
    text = capsys.readouterr().out
    assert complaint in text and Image.open(tmp_path / "sheet.png").size == (8 * 176, 3 * 256)
    with pytest.raises(ValueError, match=rf"{complaint}.*look at .*frame\.png"):
        run_script(prepare_data.main, "--root", tree, "--output", tree / "o", "--size", "64-48", "--workers", 1)
    assert (tree / "o" / "frame.png").is_file() and not list((tree / "o").glob("64-48*"))


@pytest.mark.parametrize("stated", ["file", "flag"])
def test_a_stated_frame_is_kept_in_the_store(tree: Path, stated: str) -> None:
    rewrite(tree, CROPPED)
    frame = Frame(256, 176, 0)
    flag = ["--frame", frame_text(frame)] if stated == "flag" else []
    if stated == "file":
        write_frame(tree, frame)
    assert run_script(check_data.main, "--root", tree, "--output", tree / "sheet.png", *flag) == 0
    arguments = ["--root", tree, "--output", tree, "--size", "64-48", "--workers", 1]
    assert run_script(prepare_data.main, *arguments, *flag) == 0
    meta = ImageStore(tree / "64-48").meta
    assert meta and meta.frame == frame
    sample = pair_dataset(tree, "test", (64, 48), "joints")[0]
    np.testing.assert_allclose(sample["target_face"], (CROPPED * (48 / 176, 0.25))[[14, 15]].ravel(), rtol=1e-5)


def test_a_frame_that_is_asked_for_and_another_that_is_stated_is_an_error(tmp_path: Path) -> None:
    write_frame(tmp_path, DEEPFASHION_FRAME)
    assert keypoint_frame(tmp_path, Frame(1, 1, 0)) == DEEPFASHION_FRAME
    with pytest.raises(ValueError, match=r"--frame 256-176\+0, but .*frame\.json states 256-176\+40"):
        keypoint_frame(tmp_path, DEEPFASHION_FRAME, Frame(256, 176, 0))
    (tmp_path / "pose" / "frame.json").write_text("{}")
    with pytest.raises(ValueError, match=r"frame\.json is no frame; write"):
        read_frame(tmp_path)


def test_a_published_store_takes_the_frame_stated_beside_its_keypoints(tree: Path, root: Path) -> None:
    shutil.copytree(root / "64-48", tree / "64-48")
    with lmdb.open(str(tree / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        transaction.delete(b"meta")
    rewrite(tree, CROPPED)
    write_frame(tree, Frame(256, 176, 0))
    sample = pair_dataset(tree, "test", (64, 48), "joints")[0]
    np.testing.assert_allclose(sample["target_face"], (CROPPED * (48 / 176, 0.25))[[14, 15]].ravel(), rtol=1e-5)


def test_keypoints_beside_a_published_market_store_are_in_its_frame(tmp_path: Path) -> None:
    names = ["img/0002_c1s1_000451_03.jpg", "img/0002_c2s1_000451_03.jpg"]
    with lmdb.open(str(tmp_path / "128-64"), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for name in names:
            transaction.put(
                name.replace(".jpg", ".png").encode(), encode_image(np.zeros((128, 64, 3), np.uint8), "png")
            )
        transaction.put(b"length", b"2")
    joints = between_frames(CROPPED, Frame(256, 176, 0), Frame(128, 64, 0))
    for name in names:
        write_keypoints(pose_file(tmp_path, name), joints)
    (tmp_path / "test_pairs.txt").write_text(",".join(names) + "\n")
    sample = pair_dataset(tmp_path, "test", (128, 64), "joints")[0]
    np.testing.assert_allclose(sample["target_face"], joints[[14, 15]].ravel(), rtol=1e-4)


def test_keypoint_files_of_a_run_are_read_in_its_frame(tmp_path: Path) -> None:
    market = Frame(128, 64, 0)
    joints = between_frames(CROPPED, Frame(256, 176, 0), market)
    write_keypoints(tmp_path / "k.txt", joints)
    np.testing.assert_allclose(uploaded_joints(tmp_path / "k.txt", market), joints, atol=1e-3)
    write_keypoints(tmp_path / "k.txt", joints)
    with pytest.raises(ValueError, match=r"the file: (all joints lie in one corner|.* outside)"):
        uploaded_joints(tmp_path / "k.txt", DEEPFASHION_FRAME)
    write_keypoints(tmp_path / "k.txt", CROPPED / (176, 256))
    with pytest.raises(ValueError, match="between 0 and 1"):
        uploaded_joints(tmp_path / "k.txt", DEEPFASHION_FRAME)


def test_files_that_import_poses_wrote_are_found_from_their_image(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.new("RGB", (528, 768)).save(photos / "ann.jpg")
    rows = np.concatenate([CROPPED * 3, np.ones((18, 1))], axis=1).ravel().tolist()
    (tmp_path / "ann_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": rows}]}))
    arguments = ["--format", "openpose", tmp_path / "ann_keypoints.json", "--images", photos, "--output", out]
    assert run_script(import_poses.main, *arguments) == 0
    _, keypoints, frame = read_photograph(out / "img" / "ann.png", Frame(128, 64, 0))
    assert frame == DEEPFASHION_FRAME
    np.testing.assert_array_equal(keypoints, read_keypoints(pose_file(out, "img/ann.png")))


def test_a_hand_in_a_corner_is_no_other_frame() -> None:
    joints = np.full((18, 2), np.nan)
    joints[2:5] = [(50, 10), (60, 20), (70, 30)]
    assert frame_problem(joints, DEEPFASHION_FRAME) == ""


def test_a_joint_at_minus_one_is_not_lost(tmp_path: Path) -> None:
    joints = standing()
    joints[4] = (-1, 100)
    write_keypoints(tmp_path / "a.txt", joints)
    np.testing.assert_allclose(read_keypoints(tmp_path / "a.txt"), joints, atol=1e-3)


@pytest.mark.parametrize("change", ["\ufeff{}", "{}\n\n", "{commas}", "{crlf}"])
def test_keypoint_files_are_read_as_other_tools_end_and_mark_them(tmp_path: Path, change: str) -> None:
    write_keypoints(tmp_path / "a.txt", standing())
    text = (tmp_path / "a.txt").read_text()
    changed = change.format(text, commas=text.replace(" ", ", "), crlf=text.replace("\n", "\r\n"))
    (tmp_path / "b.txt").write_bytes(changed.encode())
    np.testing.assert_array_equal(read_keypoints(tmp_path / "b.txt"), standing())


SIDES = st.integers(32, 2000)


@given(height=SIDES, width=SIDES, left=st.integers(0, 300), other=st.tuples(SIDES, SIDES, st.integers(0, 300)))
def test_frames_are_written_read_and_crossed_without_loss(
    height: int, width: int, left: int, other: tuple[int, int, int]
) -> None:
    frame, to = Frame(height, width, float(left)), Frame(*other)
    assert parse_frame(frame_text(frame)) == frame
    joints = between_frames(standing(), DEEPFASHION_FRAME, frame)
    np.testing.assert_allclose(between_frames(between_frames(joints, frame, to), to, frame), joints, atol=1e-6)
    assert frame_problem(joints, frame) == ""


@pytest.fixture(autouse=True)
def _no_pairs_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob("*.part")), "what is written is whole or not there"


def test_one_image_of_another_frame_among_many_is_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_keypoints(pose_file(tree, NAMES[3]), CROPPED / (176, 256))
    assert run_script(check_data.main, "--root", tree, "--output", tree / "sheet.png") == 0
    assert f"1 images whose joints look like those of another frame: {NAMES[3]}" in capsys.readouterr().out


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["height", "width", "left"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON | st.binary(max_size=40))
def test_any_frame_file_is_a_frame_or_one_line(tmp_path: Path, content: object) -> None:
    path = tmp_path / "pose" / "frame.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    try:
        frame = read_frame(tmp_path)
    except ValueError as error:
        assert "frame.json is no frame; write" in str(error) and "\n" not in str(error)
    else:
        assert frame and min(frame[:2]) > 0 and np.isfinite(frame).all()


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_frame_that_is_stated_by_no_file_is_not_taken_for_none(tree: Path, put: Callable[[Path], None]) -> None:
    put(frame_file(tree))
    with pytest.raises(ValueError, match=r"frame.json is no frame; write"):
        read_frame(tree)


@pytest.mark.parametrize("height", [256.7, True, "tall"])
def test_a_frame_is_not_rounded(tree: Path, height: object) -> None:
    frame_file(tree).write_text(json.dumps({"height": height, "width": 176, "left": 40}))
    with pytest.raises(ValueError, match=r"frame.json is no frame; write"):
        read_frame(tree)
