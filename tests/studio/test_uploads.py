"""What the page takes from strangers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from data.openpose import DEEPFASHION_FRAME, Frame, write_keypoints
from studio.uploads import MAX_BYTES, joints_from_text, joints_to_text, uploaded_joints, uploaded_photo

SIZE = (64, 48)


def test_a_photograph_keeps_its_proportions_and_its_file_is_deleted(tmp_path):
    Image.new("RGB", (3000, 1500), (10, 200, 30)).save(tmp_path / "a.png")
    photo = uploaded_photo(tmp_path / "a.png")
    assert photo.size == (512, 1024) and photo.sent == Frame(1500, 3000, 0)
    assert (photo.image == (10, 200, 30)).all() and not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["text", "other format", "large", "many pixels", "cut short"])
def test_a_bad_photograph_is_a_sentence_without_a_path(kind, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    if kind == "text":
        path.write_text("hello")
    elif kind == "other format":
        Image.new("RGB", (8, 8)).save(path, "TIFF")
    elif kind == "large":
        path.write_bytes(path.read_bytes() + b"0" * MAX_BYTES)
    elif kind == "many pixels":
        Image.new("1", (6000, 6000)).save(path)
    else:
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError) as error:
        uploaded_photo(path)
    assert str(tmp_path) not in str(error.value) and len(str(error.value)) < 120
    assert not path.exists()


def test_joints_survive_the_way_to_the_page_and_back():
    joints = np.linspace(0, 40, 36).reshape(18, 2).round(1)
    joints[3] = np.nan
    read, size = joints_from_text(joints_to_text(joints, SIZE))
    assert np.array_equal(read, joints, equal_nan=True) and size == SIZE


@pytest.mark.parametrize(
    "joints",
    ["{}", "[[1,2]]", "[" * 9000, str([[1, 1]] * 17 + [[1]]), str([["a", 1]] * 18), "9" * 30_000, "null"],
)
def test_a_skeleton_that_is_none_is_refused(joints):
    with pytest.raises(ValueError, match="a pose is a size and a list"):
        joints_from_text(f'{{"size": [64, 48], "joints": {joints}}}'.replace("'", '"'))


@pytest.mark.parametrize("size", ["[0, 48]", "[64]", "[64, 1e9]", "[64, null]", "64", "[1e999, 1]", '["x", "y"]', "{}"])
def test_a_skeleton_over_no_picture_is_refused(size):
    with pytest.raises(ValueError, match="a pose is a size and a list"):
        joints_from_text(f'{{"size": {size}, "joints": {[[1, 1]] * 18}}}')


@pytest.mark.parametrize("text", [None, "", "{}", "[]", 7, {"size": [64, 48]}, "x"])
def test_what_is_no_text_of_a_skeleton_is_refused(text):
    with pytest.raises(ValueError, match="a pose is a size and a list"):
        joints_from_text(text)


def test_a_pose_outside_of_the_image_is_refused():
    with pytest.raises(ValueError, match="no joint inside"):
        joints_from_text(joints_to_text(np.full((18, 2), 1000.0), SIZE))


def write_openpose(path, joints, **more):
    rows = [value for x, y in joints for value in (x, y, 1)]
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": rows}], **more}))
    return path


def test_keypoints_of_a_photograph_are_in_its_pixels_in_its_shares_or_in_the_frame_of_the_dataset(tmp_path):
    joints, photo = np.linspace(100, 900, 36).reshape(18, 2), Frame(1000, 2000, 0)
    pixels = write_openpose(tmp_path / "a.json", joints)
    np.testing.assert_allclose(uploaded_joints(pixels, DEEPFASHION_FRAME, photo), joints)
    canvas = write_openpose(tmp_path / "a.json", joints / 4, canvas_width=500, canvas_height=250)
    np.testing.assert_allclose(uploaded_joints(canvas, DEEPFASHION_FRAME, photo), joints)
    # by hand: x = 40 + 176 / 2000 of what it is in the photograph, y = 256 / 1000
    write_keypoints(tmp_path / "a.txt", joints * (0.088, 0.256) + (40, 0))
    np.testing.assert_allclose(uploaded_joints(tmp_path / "a.txt", DEEPFASHION_FRAME, photo), joints, atol=0.01)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("k.txt", "a rose\n" * 18),
        ("k.txt", "1 2\n" * 3),
        ("k.txt", "x" * 30_000),
        ("k.json", "[" * 9000),
        ("k.json", "{}"),
        ("k.json", '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}'),
        ("k.json", '{"people": 7}'),
    ],
)
def test_a_bad_keypoint_file_is_a_sentence_without_a_path(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as error:
        uploaded_joints(tmp_path / name, DEEPFASHION_FRAME)
    assert str(tmp_path) not in str(error.value) and not any(tmp_path.iterdir())
