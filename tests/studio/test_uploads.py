"""What the page takes from strangers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from studio.uploads import MAX_BYTES, joints_from_text, joints_to_text, uploaded_image, uploaded_joints

SIZE = (64, 48)


def test_a_photograph_is_resized_to_the_model(tmp_path):
    Image.new("RGB", (96, 128), (10, 200, 30)).save(tmp_path / "a.png")
    image = uploaded_image(tmp_path / "a.png", SIZE)
    assert image.shape == (*SIZE, 3) and (image == (10, 200, 30)).all()


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
        uploaded_image(path, SIZE)
    assert str(tmp_path) not in str(error.value) and len(str(error.value)) < 120


def test_joints_survive_the_way_to_the_page_and_back():
    joints = np.linspace(0, 40, 36).reshape(18, 2).round(1)
    joints[3] = np.nan
    assert np.array_equal(joints_from_text(joints_to_text(joints), SIZE), joints, equal_nan=True)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{}",
        "[[1,2]]",
        "[" * 9000,
        "[" + "[1e999,1e999]," * 17 + "[1,2,3]",
        str([["a", "b"]] * 18),
        "x" * 30_000,
    ],
)
def test_a_skeleton_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="a pose is a list"):
        joints_from_text(text, SIZE)


def test_a_pose_outside_of_the_image_is_refused():
    with pytest.raises(ValueError, match="no joint inside"):
        joints_from_text(str([[1000, 1000]] * 18), SIZE)


def test_a_bad_keypoint_file_is_a_sentence_without_a_path(tmp_path):
    for text in ("a rose\n" * 18, "1 2\n" * 3, "x" * 30_000):
        (tmp_path / "k.txt").write_text(text)
        with pytest.raises(ValueError) as error:
            uploaded_joints(tmp_path / "k.txt", SIZE)
        assert str(tmp_path) not in str(error.value)
