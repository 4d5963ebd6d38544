"""What the web page does, without a browser and a server: two models of different sizes and kinds of pose maps."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.openpose import DEEPFASHION_FRAME
from studio.choices import Choices, drawn_people, standing
from studio.figures import scaled
from studio.page import Page
from studio.photographs import frame_photograph
from studio.uploads import joints_from_text, joints_to_text
from tests.runs import tiny_model

SIZES = {"small": (64, 48), "large": (128, 88)}


class Loader:
    """Gives an NTED of 64x48 and a DPTN of 128x88 by name, and remembers who was asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, []

    def __call__(self, name):
        self.asked.append(name)
        size = f"data.image_size={list(SIZES[name])}"
        return tiny_model({"small": "nted", "large": "dptn"}[name], self.root, None, size)


@pytest.fixture
def page(tmp_path):
    return Page(Choices(["small", "large"], Loader(tmp_path / "nowhere")))


@pytest.fixture
def photo_file(tmp_path):
    """A white photograph with a red square of 100 pixels at (400, 100), twice as wide as high."""
    image = np.full((500, 1000, 3), 255, np.uint8)
    image[100:200, 400:500] = (255, 0, 0)
    Image.fromarray(image).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def pictures(page_html: str) -> list[np.ndarray]:
    """The pictures in a piece of HTML."""
    found = re.findall(r"data:image/png;base64,([^\"]+)", page_html)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in found]


def skeleton(page: Page, name: str, place: int) -> str:
    person = page.chosen(name, place)
    return joints_to_text(person.joints, person.image.shape[:2])


def test_a_model_is_loaded_when_it_is_first_used_and_only_once(page):
    loader = page.choices._load
    assert loader.asked == []
    list(page.draw("small", 0, "", None, skeleton(page, "small", 1)))
    assert loader.asked == ["small"]
    list(page.draw("large", 0, "", None, skeleton(page, "large", 1)))
    list(page.draw("small", 0, "", None, skeleton(page, "small", 1)))
    assert loader.asked == ["small", "large"]


def test_steps_appear_one_by_one_labelled_and_the_last_one_enlarged(page):
    shown = list(page.draw("small", 2, "", None, skeleton(page, "small", 3)))
    assert [re.findall(r">step (\d) of 4<", html) for html in shown] == [list("1234"[: n + 1]) for n in range(4)]
    assert ["finished" in html for html in shown] == [False, False, False, True]
    last, person, _, *steps = pictures(shown[-1])
    assert last.shape == (384, 288, 3) and person.shape == (192, 144, 3) and len(steps) == 4
    # every pixel of the model is a square: nothing was blurred
    assert (last[::6, ::6].repeat(6, 0).repeat(6, 1) == last).all()
    assert (last[::6, ::6] == steps[-1][::3, ::3]).all()
    assert (person[::3, ::3] == page.chosen("small", 2).image).all()


def test_the_pose_is_shown_as_lines_finer_than_the_models_pixels(page):
    person = page.chosen("small", 0)
    picture = page.pose_picture("small", person)
    assert picture.shape == (384, 288, 3)
    drawn = (picture != picture[0, 0]).any(axis=2)
    assert 0.01 < drawn.mean() < 0.12
    right_knee = person.joints[9] * 6
    assert tuple(picture[round(right_knee[1]), round(right_knee[0])]) == (255, 255, 0)


def test_a_pose_dragged_with_one_model_is_drawn_anew_for_the_other(page):
    joints = np.linspace(4, 42, 36).reshape(18, 2).round(1)
    joints[7] = np.nan
    pose = page.pose("large", None, joints_to_text(joints, (64, 44)))
    np.testing.assert_allclose(pose.joints, joints * 2)
    pair = page.pair("large", page.chosen("large", 0), pose)
    maps = page.choices["large"].model.pose_form.draw(joints * 2, (128, 88))
    assert pair.target_pose.shape == (1, 41, 128, 88)
    np.testing.assert_allclose(pair.target_pose[0].numpy(), maps.numpy())


def test_a_pose_for_a_model_of_another_shape_keeps_its_proportions(page):
    joints = np.linspace(4, 42, 36).reshape(18, 2).round(1)
    moved = page.pose("large", None, joints_to_text(joints, (64, 64))).joints
    width, height = np.ptp(moved, axis=0) / np.ptp(joints, axis=0)
    assert abs(width / height - 1) < 0.02, "88 of 128 pixels instead of 64 of 64 would be 0.69"


def test_a_photograph_is_cropped_to_its_joints_for_either_model(page, photo_file):
    photo, text = page.upload("small", photo_file, 0)
    assert not Path(photo_file).exists()
    pose = json.loads(text)
    assert pose["size"] == [500, 1000] and all(0 < x < 1000 and 0 < y < 500 for x, y in filter(None, pose["joints"]))
    joints = np.array([[400 + 5 * (i % 9), 60 + 20 * (i % 9)] for i in range(18)], float)
    dragged = joints_to_text(joints, photo.size)
    for name, size in SIZES.items():
        person = page.person(name, photo, dragged)
        expected = frame_photograph(Image.fromarray(photo.image), joints, DEEPFASHION_FRAME).person(size)
        assert (person.image == expected.image).all() and person.image.shape == (*size, 3)
        red = (person.image[..., 0] > 200) & (person.image[..., 1] < 60)
        high, wide = (np.flatnonzero(red.any(axis=axis)).size for axis in (1, 0))
        # the square of the photograph is as the frame of 256x176 is brought to the model's size, not squashed to half
        assert abs(wide / high - size[1] / size[0] * 256 / 176) < 0.2
        assert len(list(page.draw(name, photo, dragged, None, skeleton(page, name, 1)))) in (3, 4)


def test_an_uploaded_photograph_starts_as_its_detector_says_or_as_a_standing_person(page, photo_file):
    people = page.choices["small"].people
    start = standing(people, (500, 1000))
    shoulders, hips = start[[2, 5]], start[[8, 11]]
    assert np.isfinite(start).all()
    assert shoulders[0, 0] < shoulders[1, 0] and shoulders[:, 1].max() < hips[:, 1].min(), "upright, facing us"
    # the frame of 64x48 fits 500 high and 375 wide, in the middle of 1000
    assert (abs(start[:, 0] - 500) < 375 / 2).all() and (start[:, 1] > 0).all() and (start[:, 1] < 500).all()
    found = np.full((18, 2), 77.0)
    asked = Page(page.choices, lambda image: found if image.size == (1000, 500) else None)
    assert (joints_from_text(asked.upload("small", photo_file, 0)[1])[0] == found).all()


def test_a_detector_that_finds_nobody_leaves_the_standing_person(page, photo_file):
    _, text = Page(page.choices, lambda image: None).upload("small", photo_file, 0)
    np.testing.assert_allclose(
        joints_from_text(text)[0], standing(page.choices["small"].people, (500, 1000)), atol=0.06
    )


def test_keypoints_go_to_the_photograph_that_was_uploaded_before(page, photo_file, tmp_path):
    (tmp_path / "k.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": [450, 150, 1] * 18}]}))
    with pytest.raises(ValueError, match="upload a photograph first"):
        page.upload("small", str(tmp_path / "k.json"), 3)
    photo, _ = page.upload("small", photo_file, 0)
    (tmp_path / "k.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": [450, 150, 1] * 18}]}))
    same, text = page.upload("small", str(tmp_path / "k.json"), photo)
    joints, size = joints_from_text(text)
    assert same is photo and size == (500, 1000) and (joints == (450, 150)).all()


def test_a_pose_comes_from_keypoints_or_from_a_photograph(page, photo_file, tmp_path):
    (tmp_path / "k.txt").write_text("".join(f"{60 + 6 * i} {20 + 12 * i}\n" for i in range(18)))
    photo, text = page.upload_pose("small", str(tmp_path / "k.txt"))
    joints, size = joints_from_text(text)
    assert photo is None and size == SIZES["small"]
    np.testing.assert_allclose(joints[10], ((120 - 40) * 48 / 176, 140 / 4), atol=0.06)
    photo, text = page.upload_pose("small", photo_file)
    joints = np.array([[400 + 5 * (i % 9), 60 + 20 * (i % 9)] for i in range(18)], float)
    pose = page.pose("small", photo, joints_to_text(joints, photo.size))
    expected = frame_photograph(Image.fromarray(photo.image), joints, DEEPFASHION_FRAME).person(SIZES["small"])
    np.testing.assert_allclose(pose.joints, expected.joints)


def test_mixing_draws_the_first_person_until_the_switch_and_the_second_one_from_there(page):
    text = skeleton(page, "small", 3)

    def steps(html):
        return [picture.tobytes() for picture in pictures(html)[-4:]]

    first, second = (steps(list(page.draw("small", place, "", None, text))[-1]) for place in (0, 1))
    *_, mixed = page.mix("small", 0, "", None, text, 1, 2)
    assert mixed.count(">2 of 4 steps<") == 2 and steps(mixed)[:2] == first[:2] and steps(mixed)[2] != first[2]
    assert steps(list(page.mix("small", 0, "", None, text, 1, 0))[-1]) == second
    assert steps(list(page.mix("small", 0, "", None, text, 1, 4))[-1]) == first


def test_looking_inside_shows_what_a_pixel_reads(page):
    seen = page.look("large", 0, "", None, skeleton(page, "large", 1), 3)
    here, reads = page.reading(seen, "transfer block 1", (0.5, 0.5))
    there, other = page.reading(seen, "transfer block 1", (0.1, 0.9))
    assert pictures(here)[0].shape == pictures(reads)[0].shape == (384, 264, 3)
    assert (pictures(here)[0] != pictures(there)[0]).any() and (pictures(reads)[0] != pictures(other)[0]).any()
    page.reading(seen, "transfer block 1", (1.0, 1.0))
    with pytest.raises(ValueError, match="choose one of transfer block 1"):
        page.reading(seen, "somewhere", (0.5, 0.5))


def test_people_are_drawn_where_there_is_no_dataset_and_always_the_same(page):
    people = page.choices["small"].people
    assert len(people) == 16 and all(person.image.shape == (64, 48, 3) for person in people)
    again = drawn_people((64, 48))
    assert all((a.image == b.image).all() for a, b in zip(people, again, strict=True))
    assert len({person.image.tobytes() for person in people}) == 16


def test_people_come_from_the_dataset_where_there_is_one(dataset):
    choices = Choices(["small"], Loader(dataset))
    assert len(choices["small"].people) == 3, "those of the test pairs"
    assert len(Choices(["small"], Loader(Path("nowhere")), str(dataset))["small"].people) == 3
    with pytest.raises(ValueError, match="nowhere"):
        Choices(["small"], Loader(dataset), "nowhere")["small"]


@pytest.mark.parametrize("place", [None, -1, 16, 1.5, "0", [0]])
def test_whom_nobody_shows_is_refused(page, place):
    with pytest.raises(ValueError, match="choose one of the people shown"):
        page.chosen("small", place)


def test_a_model_that_is_not_offered_is_refused(page):
    for name in ("other", None, ["small"], "../small"):
        with pytest.raises(ValueError, match="choose one of the models small, large"):
            page.choices[name]


def test_models_are_called_by_the_end_of_their_path_where_that_tells_them_apart():
    loader = Loader(Path("nowhere"))
    assert Choices(["a/small", "b/large", "a/small"], loader).names == ["small", "large"]
    assert Choices(["a/small", "b/small", "large"], loader).names == ["a/small", "b/small", "large"]
    choices = Choices(["small/", "b/x/large"], lambda path: loader(Path(path).name))
    assert choices["large"].model.image_size == (128, 88)


@pytest.mark.parametrize(
    ("size", "height", "shown"),
    [
        ((64, 44), 384, (384, 264)),
        ((64, 44), 192, (192, 132)),
        ((128, 88), 192, (256, 176)),
        ((256, 176), 384, (512, 352)),
        ((256, 176), 128, (128, 88)),
        ((512, 352), 384, (512, 352)),
        ((512, 352), 192, (170, 117)),
    ],
)
def test_pictures_are_scaled_by_whole_factors(size, height, shown):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    large = scaled(image, height)
    assert large.shape == (*shown, 3)
    if shown >= size:
        factor = shown[0] // size[0]
        assert (large == np.kron(image, np.ones((factor, factor, 1), np.uint8))).all()


@pytest.mark.parametrize("name", SIZES)
def test_the_page_draws_what_python_draws(page, name):
    model, source, target = page.choices[name].model, page.chosen(name, 2), page.chosen(name, 5)
    expected = model.generate(source.image, target.maps(model), source_pose=source.maps(model))
    *_, html = page.draw(name, 2, "", None, skeleton(page, name, 5))
    shown = pictures(html)[0]
    factor = shown.shape[0] // expected.shape[0]
    assert np.abs(shown[::factor, ::factor].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["small", "large"])
def test_photographs_that_are_kept_are_drawn_from_together(page, name, photo_file):
    pose, own = skeleton(page, name, 3), skeleton(page, name, 0)
    *_, alone = page.draw(name, 0, own, None, pose)
    photo, text = page.upload(name, photo_file, None)
    kept, shown = page.keep(name, photo, text, [])
    assert len(kept) == 1 and len(pictures(shown)) == 1
    *_, both = page.draw(name, 0, own, None, pose, kept)
    assert len(pictures(both)) == len(pictures(alone)) + 1
    assert (pictures(both)[0] != pictures(alone)[0]).any()
    *_, twice = page.draw(name, 0, own, None, pose, [(0, own)])
    assert np.abs(pictures(twice)[0].astype(int) - pictures(alone)[0]).max() <= 1
    for place in range(2):
        kept, shown = page.keep(name, place, own, kept)
    assert len(pictures(shown)) == 3
    with pytest.raises(ValueError, match="3 photographs are kept already"):
        page.keep(name, 0, own, kept)
    with pytest.raises(ValueError, match="choose one of the people shown"):
        page.keep(name, 99, own, [])


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_motion_says_how_far_it_is_and_ends_in_a_moving_picture(page, name):
    shown = list(page.animate(name, 1, skeleton(page, name, 1), "walk"))
    assert [f"frame {number} of 32" in html for number, html in enumerate(shown[:-1], 1)] == [True] * 32
    assert all('data-done="false"' in html for html in shown[:-1]) and 'data-done="true"' in shown[-1]
    (data,) = re.findall(r"data:image/webp;base64,([^\"]+)", shown[-1])
    with Image.open(io.BytesIO(base64.b64decode(data))) as moving:
        assert moving.size == SIZES[name][::-1] and moving.n_frames > 16
    width, height = map(int, re.findall(r'width="(\d+)" height="(\d+)"', shown[-1])[0])
    assert (height, width) == scaled(np.zeros((*SIZES[name], 3), np.uint8)).shape[:2]
    kept = [(2, skeleton(page, name, 2))]
    *_, other = page.animate(name, 1, skeleton(page, name, 1), "walk", kept)
    assert other != shown[-1]


@pytest.mark.parametrize("motion", ["../../etc/passwd", "none", None, 3])
def test_no_other_motion_is_read(page, motion):
    with pytest.raises(ValueError, match="choose one of turn, walk"):
        list(page.animate("small", 1, skeleton(page, "small", 1), motion))
