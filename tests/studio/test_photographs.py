"""Photographs of any size and poses of any file, in the frame that a model was trained in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.openpose import DEEPFASHION_FRAME, MARKET_FRAME, read_keypoints, write_keypoints
from data.store import ImageStore, store_path
from images.pixels import resize
from scripts import import_poses, make_pairs, prepare_data
from studio.people import Gallery
from studio.photographs import People, frame_photograph, overlay, read_photograph, read_pose
from tests.runs import tiny_config, tiny_model
from tests.scripts.test_own_data import PERSON, write_photo

SIZE = (256, 176)
MISSING = np.full((18, 2), np.nan)
NAME = "img/WOMEN/Dresses/id_00000004/01_1_front.jpg"


def some_joints() -> np.ndarray:
    """Joints from x 480 to 520 and y 100 to 300; the others are missing."""
    joints = MISSING.copy()
    joints[[0, 10, 13]] = [(480, 100), (520, 300), (500, 200)]
    return joints


def write_openpose(path: Path, joints: np.ndarray, **more: object) -> Path:
    rows = [[0, 0, 0] if np.isnan(x) else [x, y, 1] for x, y in joints]
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": np.ravel(rows).tolist()}], **more}))
    return path


def test_a_wide_photograph_is_cropped_to_its_person_in_proportion():
    """By hand: 28 above and 16 below joints of a height of 200, so 244 high, 244 * 750 / 1101 = 166 wide from 417."""
    person = frame_photograph(Image.new("RGB", (1000, 400)), some_joints(), DEEPFASHION_FRAME).person(SIZE)
    assert person.image.shape == (*SIZE, 3)
    expected = [((480 - 417) * 176 / 166, 28 * 256 / 244), (103 * 176 / 166, 228 * 256 / 244)]
    np.testing.assert_allclose(person.joints[[0, 10]], expected)
    assert np.isnan(person.joints[1]).all()


@pytest.mark.parametrize(("size", "height"), [((700, 900), 600), ((900, 500), 800), ((300, 1200), 500)])
def test_joints_stay_on_what_they_were_put_on_at_every_size_of_model(size, height, tmp_path):
    joints = PERSON * height + (size[1] / 2, 40)
    write_photo(tmp_path / "me.png", size, joints)
    write_openpose(tmp_path / "me_keypoints.json", joints)
    seen = joints[:, 1] < size[0] - 5
    for model_size in ((512, 352), SIZE, (128, 88)):
        person = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME).person(model_size)
        x, y = person.joints[seen].astype(int).T
        assert (person.image[y, x].max(axis=1) < 110).all(), "every joint is on its black square in grey"
    assert (person.image[-1] == 255).all() == (size[0] < 40 + height), "white where the photograph ends"


def test_a_photograph_gives_what_the_documented_way_over_a_dataset_gives(
    tmp_path: Path, command: Callable[..., int]
) -> None:
    root, photos = tmp_path / "mine", tmp_path / "photos"
    for name in ("ann", "bob"):
        write_photo(photos / f"{name}.png", (400, 500), PERSON * 300 + (250, 40))
        write_openpose(photos / f"{name}.json", PERSON * 300 + (250, 40))
    files = [photos / f"{name}.json" for name in ("ann", "bob")]
    assert command(import_poses.main, "--format", "openpose", *files, "--images", photos, "--output", root) == 0
    assert command(make_pairs.main, "--root", root, "--every") == 0
    options = ["--size", "256-176", "--workers", 1]
    assert command(prepare_data.main, "--root", root, "--output", root, *options) == 0
    stored = Gallery(tiny_config("nted", root, "data.image_size=[256,176]").data).person("img/ann.png")
    person = read_photograph(photos / "ann.png", DEEPFASHION_FRAME).person(SIZE)
    assert (person.image == stored.image).all()
    np.testing.assert_allclose(person.joints, stored.joints, atol=1e-2)


def test_an_image_of_the_dataset_is_the_same_from_its_file_and_from_its_store(dataset):
    people = People(tiny_model("nted", dataset))
    for name in (NAME, str(dataset / NAME)):
        person = people.source(name)
        assert (person.image == ImageStore(store_path(dataset, (64, 48))).read(NAME.replace("jpg", "png"))).all()
        keypoints = read_keypoints(dataset / NAME.replace("img", "pose").replace("jpg", "txt"))
        assert np.array_equal(person.joints, (keypoints - (40, 0)) * (48 / 176, 64 / 256), equal_nan=True)


@pytest.mark.parametrize("size", [(1101, 750), (256, 176), (512, 349)])
def test_a_picture_in_the_datasets_shape_with_its_keypoints_is_taken_as_it_is(size, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "me.png")
    keypoints = PERSON * 240 + (128, 8)
    write_keypoints(tmp_path / "me.txt", keypoints)
    person = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME).person((64, 44))
    without = frame_photograph(Image.fromarray(pixels), None, DEEPFASHION_FRAME).person((64, 44))
    assert (person.image == resize(pixels, (64, 44))).all() and (without.image == person.image).all()
    assert np.array_equal(person.joints, (read_keypoints(tmp_path / "me.txt") - (40, 0)) * (44 / 176, 64 / 256))


def test_keypoints_in_the_datasets_frame_beside_another_shape_are_shares_of_the_photograph(tmp_path):
    Image.new("RGB", (1000, 400)).save(tmp_path / "me.png")
    write_keypoints(tmp_path / "me.txt", some_joints() * (176 / 1000, 256 / 400) + (40, 0))
    person = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME).person(SIZE)
    np.testing.assert_allclose(person.joints[0], ((480 - 417) * 176 / 166, 28 * 256 / 244), atol=0.01)


def test_a_portrait_of_3_by_2_is_no_picture_of_the_datasets_shape(tmp_path):
    """By hand: 200 between the joints, 28 above and 16 below them, make a picture 244 high."""
    Image.new("RGB", (400, 600)).save(tmp_path / "me.png")
    joints = MISSING.copy()
    joints[[0, 10]] = [(200, 200), (200, 400)]
    write_keypoints(tmp_path / "me.txt", joints * (176 / 400, 256 / 600) + (40, 0))
    person = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME).person(SIZE)
    np.testing.assert_allclose(person.joints[10] - person.joints[0], (0, 200 / 244 * 256), atol=0.01)


def test_a_photograph_without_joints_is_kept_whole_between_white_borders():
    photograph = frame_photograph(Image.new("RGB", (750, 750)), None, DEEPFASHION_FRAME)
    assert photograph.picture.size == (750, 1101) and np.isnan(photograph.joints).all()
    rows = np.asarray(photograph.picture).max(axis=(1, 2))
    # 351 rows too few for the shape
    assert set(rows[:175]) == {255} and set(rows[176:925]) == {0} and set(rows[926:]) == {255}


def test_a_market_model_gets_pictures_twice_as_high_as_wide():
    photograph = frame_photograph(Image.new("RGB", (900, 900)), None, MARKET_FRAME)
    width, height = photograph.picture.size
    assert height == 2 * width + 1 or height == 2 * width - 1


def test_openpose_on_a_canvas_of_another_size_lies_on_the_photograph(tmp_path):
    Image.new("RGB", (1000, 400)).save(tmp_path / "me.png")
    write_openpose(tmp_path / "me.json", some_joints() / 4, canvas_width=250, canvas_height=100)
    person = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME).person(SIZE)
    np.testing.assert_allclose(person.joints[0], ((480 - 417) * 176 / 166, 28 * 256 / 244))


def test_a_pose_alone_is_put_where_a_photograph_of_it_would_be_and_drawn_over_white(tmp_path):
    """A photograph that ends far below the person, so that there is room below the feet."""
    pose = read_pose(write_openpose(tmp_path / "pose.json", some_joints()), DEEPFASHION_FRAME)
    beside = frame_photograph(Image.new("RGB", (1000, 400)), some_joints(), DEEPFASHION_FRAME)
    np.testing.assert_allclose(pose.person(SIZE).joints, beside.person(SIZE).joints)
    assert (pose.person(SIZE).image == 255).all()


def test_a_keypoint_file_alone_is_in_the_datasets_frame_or_in_that_of_its_own_folder(tmp_path):
    keypoints = PERSON * 240 + (128, 8)
    write_keypoints(tmp_path / "pose.txt", keypoints)
    np.testing.assert_allclose(
        read_pose(tmp_path / "pose.txt", DEEPFASHION_FRAME).person((128, 88)).joints, (keypoints - (40, 0)) / 2
    )
    (tmp_path / "pose").mkdir()
    shutil.move(tmp_path / "pose.txt", tmp_path / "pose" / "a.txt")
    (tmp_path / "pose" / "frame.json").write_text('{"height": 300, "width": 300, "left": 0}')
    person = read_pose(tmp_path / "pose" / "a.txt", DEEPFASHION_FRAME).person((128, 88))
    np.testing.assert_allclose(person.joints, keypoints * (88 / 300, 128 / 300))


def test_the_detector_is_asked_only_without_a_file_and_nobody_is_one_line(tmp_path):
    Image.new("RGB", (1000, 400)).save(tmp_path / "me.png")
    found = read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME, lambda image: some_joints()).person(SIZE)
    np.testing.assert_allclose(found.joints[0], ((480 - 417) * 176 / 166, 28 * 256 / 244))
    with pytest.raises(ValueError, match=r"no person found in .*me.png"):
        read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME, lambda image: None)
    write_openpose(tmp_path / "me.json", some_joints())
    read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME, lambda image: pytest.fail("asked"))


def test_joints_of_another_photograph_are_refused(tmp_path):
    Image.new("RGB", (100, 40)).save(tmp_path / "me.png")
    write_openpose(tmp_path / "me.json", some_joints())
    with pytest.raises(ValueError, match=r"me.json: 100% of the joints lie outside"):
        read_photograph(tmp_path / "me.png", DEEPFASHION_FRAME)


@pytest.mark.parametrize(
    ("system", "more", "is_refused"),
    [
        ("nted", [], False),
        ("nted", ["generator.source_pose=true", "data.pose=joints_limbs"], True),
        ("dptn", [], True),
    ],
)
def test_a_source_without_keypoints_is_refused_where_the_model_looks_at_them_and_a_pose_always(
    system, more, is_refused, dataset, tmp_path
):
    Image.new("RGB", (100, 40)).save(tmp_path / "me.png")
    people = People(tiny_model(system, dataset, None, *more))
    asked = [people.pose, people.source] if is_refused else [people.pose]
    for ask in asked:
        with pytest.raises(ValueError, match=r"me.png has no keypoints; put me.txt .* --detector"):
            ask(str(tmp_path / "me.png"))
    if not is_refused:
        assert np.isnan(people.source(str(tmp_path / "me.png")).joints).all()


def test_photographs_need_no_dataset(tmp_path):
    write_photo(tmp_path / "me.png", (400, 500), PERSON * 300 + (250, 40))
    write_openpose(tmp_path / "me.json", PERSON * 300 + (250, 40))
    people = People(tiny_model("dptn", tmp_path / "nowhere"))
    assert people.frame == DEEPFASHION_FRAME
    assert np.isfinite(people.source(str(tmp_path / "me.png")).joints).all()
    with pytest.raises(ValueError, match=r"there is no file img/.*front.jpg, and no dataset in .*nowhere"):
        people.source(NAME)


def test_the_overlay_has_the_joints_on_the_enlarged_person(tmp_path):
    person = frame_photograph(Image.new("RGB", (1000, 400)), some_joints(), DEEPFASHION_FRAME).person((64, 44))
    picture = overlay(person)
    assert picture.shape == (512, 352, 3)
    x, y = (person.joints[0] * 8).astype(int)
    assert picture[y, x].tolist() == [0, 0, 255], "the colour of the nose"
