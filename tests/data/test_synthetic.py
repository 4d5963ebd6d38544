"""Synthetic people: the layout, the joints, and that a person stays the same person."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.openpose import pose_file, read_keypoints
from data.pairs import build_pairs, read_list, read_pairs
from data.synthetic.canvas import Canvas, smooth
from data.synthetic.fabric import PATTERNS, Fabric, Patch, weave
from data.synthetic.figure import draw, make_model
from data.synthetic.layout import MARKER, Request, to_file_frame, write_lists, write_people, write_person
from data.synthetic.people import sample_person
from data.synthetic.pose import ARMS, EARS, EYES, LEGS, NOSE, Camera, bend_chain, sample_pose, yaw_matrix
from data.synthetic.views import view_name

SIZE = (220, 150)
REQUEST = Request(people=10, views=4, seed=3, size=SIZE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set; not to be changed."""
    root = tmp_path_factory.mktemp("synthetic")
    write_lists(root, list(write_people(root, REQUEST)))
    return root


def every_name(root: Path) -> list[str]:
    return read_list(root / "train.lst") + read_list(root / "test.lst")


def person_of(name: str) -> str:
    return name.split("/")[3]


def keypoints(root: Path, name: str) -> np.ndarray:
    return read_keypoints(pose_file(root, name))


def pixels(root: Path, name: str) -> np.ndarray:
    return (keypoints(root, name) - (40, 0)) * (SIZE[1] / 176, SIZE[0] / 256)


def picture(root: Path, name: str) -> np.ndarray:
    return cv2.imread(str(root / name))


def model_and_pose(seed: int):
    person = sample_person(np.random.default_rng(seed))
    return make_model(person, 120, 0), sample_pose(np.random.default_rng(seed), person.body)


def test_every_listed_image_is_there_with_its_keypoints(root: Path) -> None:
    names = every_name(root)
    assert len(names) == len(set(names)) == REQUEST.people * REQUEST.views
    assert set(names) == {str(path.relative_to(root)) for path in root.rglob("*.jpg")}
    for name in names:
        assert picture(root, name).shape == (*SIZE, 3)
        assert keypoints(root, name).shape == (18, 2)


def test_names_are_those_of_deepfashion(root: Path) -> None:
    for name in every_name(root):
        top, sex, category, person, file = name.split("/")
        assert top == "img" and sex in ("MEN", "WOMEN") and category.replace("_", "").isalpha()
        assert person.startswith("id_") and len(person) == 11 and file.startswith("01_")
    assert [view_name(index) for index in (0, 1, 2, 3, 4, 5)] == [
        "1_front", "2_side", "3_back", "4_full", "7_additional", "8_additional"]  # fmt: skip


def test_background_is_white_and_the_person_is_not(root: Path) -> None:
    for name in every_name(root):
        image = picture(root, name)
        inked = (image < 250).any(-1).mean()
        assert 0.08 < inked < 0.75, name


def test_joints_lie_in_the_frame_and_are_never_all_missing(root: Path) -> None:
    for name in every_name(root):
        joints = keypoints(root, name)
        found = joints[np.isfinite(joints[:, 0])]
        assert len(found) >= 2, name
        assert (found >= (40, 0)).all() and (found <= (215, 255)).all(), name


def test_torso_joints_fall_on_the_person(root: Path) -> None:
    for name in every_name(root):
        image, points = picture(root, name), pixels(root, name)[[1, 2, 5, 8, 11]]
        for x, y in points[np.isfinite(points[:, 0])]:
            column, line = min(int(x + 0.5), SIZE[1] - 1), min(int(y + 0.5), SIZE[0] - 1)
            assert image[line, column].min() < 250, (name, x, y)


def test_people_of_the_test_split_are_unseen_in_training(root: Path) -> None:
    train = {person_of(name) for name in read_list(root / "train.lst")}
    test = {person_of(name) for name in read_list(root / "test.lst")}
    assert test == {"id_00000002", "id_00000010"} and not train & test
    for split, people in (("train", train), ("test", test)):
        for line in read_pairs(root / f"{split}_pairs.txt"):
            assert {person_of(name) for name in (line.target, *line.sources)} <= people


def test_pairs_follow_the_pair_rule(root: Path) -> None:
    train = {name: keypoints(root, name) for name in read_list(root / "train.lst")}
    assert read_pairs(root / "train_pairs.txt") == build_pairs(train)
    test = {name: keypoints(root, name) for name in read_list(root / "test.lst")}
    lines = read_pairs(root / "test_pairs.txt")
    assert all(len(line.sources) == 1 for line in lines)
    expected = {(line.target, source) for line in build_pairs(test) for source in line.sources}
    assert {(line.target, line.sources[0]) for line in lines} == expected and len(lines) == len(expected)


def test_any_number_of_workers_writes_the_same_bytes(root: Path, tmp_path: Path) -> None:
    request = Request(people=3, views=2, seed=3, size=SIZE)
    albums = list(write_people(tmp_path, request, workers=2))
    assert [len(album.keypoints) for album in albums] == [2, 2, 2]
    for album in albums:
        for name in album.keypoints:
            assert (tmp_path / name).read_bytes() == (root / name).read_bytes()
            assert pose_file(tmp_path, name).read_bytes() == pose_file(root, name).read_bytes()


def test_another_seed_draws_other_people(tmp_path: Path) -> None:
    first = write_person(tmp_path, Request(1, 1, 0, SIZE), 0)
    second = write_person(tmp_path, Request(1, 1, 1, SIZE), 0)
    assert not np.array_equal(*(next(iter(album.keypoints.values())) for album in (first, second)))


def test_the_request_is_recorded(root: Path) -> None:
    assert json.loads((root / MARKER).read_text()) == {"people": 10, "views": 4, "seed": 3, "size": list(SIZE)}


def chest_colour(image: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Median colour around the middle of the torso."""
    x, y = np.nanmean(joints[[2, 5, 8, 11]], axis=0).astype(int)
    return np.median(image[y - 12 : y + 12, x - 6 : x + 6].reshape(-1, 3), axis=0)


def test_clothes_keep_their_colours_from_view_to_view() -> None:
    """Within a person the chest's colour moves far less than between people."""
    within, means = [], []
    for seed in range(6):
        model, pose = model_and_pose(seed)
        pose.joints[[3, 4]] += (-1, 0, 0)  # arms out of the way
        pose.joints[[6, 7]] += (1, 0, 0)
        colours = []
        for degrees in (0, 20, -20):
            camera = Camera(np.radians(degrees), 110.0, (75.0, 105.0))
            image, _ = draw(model, pose, camera, SIZE)
            colours.append(chest_colour(image, camera.project(pose.joints)))
        within.append(np.std(colours, axis=0).mean())
        means.append(np.mean(colours, axis=0))
    assert np.mean(within) < 0.25 * np.std(means, axis=0).mean()


@pytest.mark.parametrize("seed", range(4))
def test_a_back_view_hides_the_face(seed: int) -> None:
    model, pose = model_and_pose(seed)
    _, joints = draw(model, pose, Camera(np.pi, 110.0, (75.0, 105.0)), SIZE)
    assert np.isnan(joints[[NOSE, *EYES.values()]]).all()


@pytest.mark.parametrize(("degrees", "far"), [(80, "left"), (-80, "right")])
def test_a_profile_hides_the_far_eye_and_ear(degrees: int, far: str) -> None:
    """Face to the picture's right: the person's left side is the far one."""
    model, pose = model_and_pose(1)
    _, joints = draw(model, pose, Camera(np.radians(degrees) - pose.head_turn, 110.0, (75.0, 105.0)), SIZE)
    near = {"left": "right", "right": "left"}[far]
    assert np.isnan(joints[[EYES[far], EARS[far]]]).all()
    assert np.isfinite(joints[[NOSE, EYES[near]]]).all()


def test_in_a_front_view_the_persons_right_is_on_the_pictures_left() -> None:
    model, pose = model_and_pose(2)
    _, joints = draw(model, pose, Camera(0.0, 110.0, (75.0, 105.0)), SIZE)
    for right, left in ((ARMS["right"], ARMS["left"]), (LEGS["right"], LEGS["left"])):
        assert joints[right[0], 0] < joints[left[0], 0]


def test_joints_out_of_the_frame_are_missing() -> None:
    model, pose = model_and_pose(2)
    _, joints = draw(model, pose, Camera(0.0, 220.0, (75.0, 190.0)), SIZE)
    assert np.isnan(joints[[9, 10, 12, 13]]).all() and np.isfinite(joints[[2, 5]]).all()


def test_a_hand_behind_the_back_is_missing_from_the_front_and_found_from_behind() -> None:
    model, pose = model_and_pose(0)
    for side, sign in (("right", -1), ("left", 1)):
        pose.joints[ARMS[side][2]] = (sign * 0.03, 0.06, -0.2)
    wrists = [ARMS[side][2] for side in ARMS]
    assert np.isnan(draw(model, pose, Camera(0.0, 110.0, (75.0, 105.0)), SIZE)[1][wrists]).all()
    assert np.isfinite(draw(model, pose, Camera(np.pi, 110.0, (75.0, 105.0)), SIZE)[1][wrists]).all()


def test_the_middle_of_the_picture_is_the_middle_of_the_padded_square() -> None:
    """DeepFashion's files mean a 256x256 image with 40 pixels of border: its middle is at (128, 128)."""
    assert np.allclose(to_file_frame(np.array([[375.0, 550.5], [0, 0]]), (1101, 750)), [(128, 128), (40, 0)])


def test_a_file_keeps_the_joints_that_were_drawn(tmp_path: Path) -> None:
    ((name, written),) = write_person(tmp_path, Request(1, 1, 5, SIZE), 0).keypoints.items()
    assert np.allclose(read_keypoints(pose_file(tmp_path, name)), written, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("seed", range(20))
def test_bones_keep_their_length_in_every_pose(seed: int) -> None:
    body = sample_person(np.random.default_rng(seed)).body
    joints = sample_pose(np.random.default_rng(seed), body).joints
    for chains, lengths in ((ARMS, (body.upper_arm, body.forearm)), (LEGS, (body.thigh, body.shin))):
        for chain in chains.values():
            for (first, second), length in zip(pairwise(chain), lengths, strict=True):
                assert np.linalg.norm(joints[second] - joints[first]) == pytest.approx(length, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_knees_bend_forward(seed: int) -> None:
    body = sample_person(np.random.default_rng(seed)).body
    joints = sample_pose(np.random.default_rng(seed), body).joints
    for hip, knee, ankle in LEGS.values():
        assert joints[knee, 2] >= (joints[hip, 2] + joints[ankle, 2]) / 2 - 1e-9


def test_a_right_angle_of_two_bones_is_found() -> None:
    """3-4-5: bones of 3 and 4 that span 5 meet at 9/5 along and 12/5 aside."""
    middle, end = bend_chain(np.zeros(3), np.array([5.0, 0, 0]), (3.0, 4.0), np.array([0.0, 1, 0]))
    assert np.allclose(middle, (1.8, 2.4, 0)) and np.allclose(end, (5, 0, 0))


def test_an_end_out_of_reach_is_approached() -> None:
    _, end = bend_chain(np.zeros(3), np.array([9.0, 0, 0]), (1.0, 1.0), np.array([0.0, 1, 0]))
    assert 1.99 < end[0] < 2


def test_a_quarter_turn_brings_the_front_to_the_right() -> None:
    assert np.allclose(yaw_matrix(np.pi / 2) @ (0, 0, 1), (1, 0, 0))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_close_around_the_body(pattern: str) -> None:
    """The step across the seam is no larger than the largest step elsewhere."""
    fabric = Fabric(pattern, ((200, 30, 30), (20, 40, 200), (240, 240, 240)), 0.06, seed=1)
    texels = weave(fabric, Patch(0.0, 0.4, 0.9, 300.0)).texels[..., :3].astype(float)
    steps = np.abs(np.diff(np.concatenate([texels, texels[:, :1]], 1), axis=1)).mean((0, 2))
    assert steps[-1] <= steps[:-1].max() * 1.25 + 1


def test_a_smooth_curve_goes_through_its_knots_and_is_exact_on_a_line() -> None:
    knots = np.array([0.0, 1.0, 3.0])
    assert np.allclose(smooth(knots, np.array([2.0, -1.0, 5.0]), knots), (2, -1, 5))
    assert np.allclose(smooth(knots, 2 * knots, np.array([0.5, 2.0, 9.0])), (1, 4, 6))


def test_edges_are_antialiased() -> None:
    canvas = Canvas(20, 20, 100.0)
    canvas.shape(np.array([(4.0, 4.5), (15.0, 4.5), (15.0, 12.0), (4.0, 12.0)]), (0, 0, 0))
    assert canvas.image[8, 9].max() < 5 and canvas.image[0, 0].min() == 255
    assert any(20 < canvas.image[line, 9, 0] < 235 for line in (3, 4, 5))


def test_a_shadow_whose_soft_edge_has_two_columns_in_the_picture_is_drawn():
    """They are fewer than half of the coarse pixels that a shadow is softened on."""
    canvas = Canvas(60, 40, 400.0)
    canvas.own(np.array([[0, 0], [39, 0], [39, 59], [0, 59]]), 1)
    beside = np.array([[-30.0, 10], [-1.5, 10], [-1.5, 40], [-30, 40]])
    canvas.shadow([beside], 0.4, 0.5)
    assert (canvas.image == 255).all()  # it ends before the picture
