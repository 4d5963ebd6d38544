"""scripts.animate: a video of every form, from one photograph and from several, for both systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data.motion import write_motion
from data.synthetic.layout import person_model
from data.synthetic.motion import film
from scripts import animate
from studio import animation
from studio.people import Person
from tests.runs import tiny_model
from tests.tiny import SIZE

SYSTEMS = ("nted", "dptn")
VIEWS = [f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side", "3_back")]


@pytest.fixture(scope="module")
def joints() -> np.ndarray:
    """(7, 18, 2) of a walk in pixels of tiny images, frame 3 without a person."""
    found = np.stack([joints for _, joints in film(person_model(0, 0, SIZE[0]), "walk", 7, SIZE)])
    found[3] = np.nan
    return found


@pytest.fixture
def animating(command: Callable[..., int], runs: Path, joints: np.ndarray, tmp_path: Path) -> Callable[..., int]:
    """Draw the walk with the run of a system; returns the exit code."""
    write_motion(tmp_path / "walk.npz", joints, SIZE)

    def call(system: str, output: str, *more: object) -> int:
        flags = ["--model", runs / system, "--poses", tmp_path / "walk.npz", "--source", VIEWS[0]]
        return command(animate.main, *flags, "--output", tmp_path / output, *more)

    return call


def played(path: Path) -> list[np.ndarray]:
    """The frames of a video at 25 frames a second; equal ones in a row may be one that is shown for longer."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with Image.open(path) as picture:
        frames = []
        for number in range(picture.n_frames):
            picture.seek(number)
            frames += [np.array(picture.convert("RGB"))] * round(picture.info["duration"] / 40)
        return frames


def photographs(count: int) -> list[Person]:
    random = np.random.default_rng(5)
    pictures = random.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    return [Person(picture, random.uniform(5, 40, (18, 2))) for picture in pictures]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("output", ["walk.mp4", "walk.webp", "walk.gif"])
def test_a_video_with_a_strip_beside_it_is_written_for_both_systems(system, output, animating, tmp_path, caplog):
    caplog.set_level("INFO")
    assert animating(system, output) == 0
    frames = played(tmp_path / output)
    assert len(frames) == 7 and frames[0].shape == (*SIZE, 3)
    with Image.open(tmp_path / "walk_strip.png") as strip:
        assert strip.width >= 7 * SIZE[1] and strip.height >= 2 * SIZE[0]
    assert "7 frames, " in caplog.text and "frames a second" in caplog.text
    assert "1 of 7 frames show nobody: --nobody hold" in caplog.text


@pytest.mark.parametrize("system", SYSTEMS)
def test_frames_without_a_person_are_held_or_skipped_and_several_photographs_are_seen(system, animating, tmp_path):
    assert animating(system, "held.webp") == 0
    held = played(tmp_path / "held.webp")
    assert np.abs(held[3].astype(int) - held[2]).max() <= 1 and (held[4] != held[2]).any()
    assert animating(system, "skipped.webp", "--nobody", "skip") == 0
    skipped = played(tmp_path / "skipped.webp")
    assert len(skipped) == 6
    others = [frame for number, frame in enumerate(held) if number != 3]
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(skipped, others, strict=True)) <= 1
    assert animating(system, "both.webp", "--source", VIEWS[2]) == 0
    assert any((a != b).any() for a, b in zip(played(tmp_path / "both.webp"), held, strict=True))
    assert animating(system, "smooth.webp", "--fill", 1, "--smooth", 1.0) == 0
    assert any((a != b).any() for a, b in zip(played(tmp_path / "smooth.webp"), held, strict=True))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("count", [1, 2])
def test_every_frame_is_what_generate_draws_with_the_same_noise_and_sources_are_read_once(system, count, joints):
    model, people = tiny_model(system), photographs(count)
    encoder = {"nted": "reference_encoder", "dptn": "source_encoder"}[system]
    seen = np.delete(joints, 3, axis=0)
    own, images = [person.maps(model) for person in people], [person.image for person in people]
    expected = [
        model.generate(sources=images, pose=model.pose_form.draw(pose, SIZE), source_pose=own, seed=4) for pose in seen
    ]
    calls: list[int] = []
    getattr(model.generator, encoder).register_forward_hook(lambda *arguments: calls.append(len(arguments[1][0])))
    frames = list(animation.animate(model, people, seen, batch_size=4, seed=4))
    assert calls == [count] * model.num_steps
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(frames, expected, strict=True)) <= 1
    twice = list(animation.animate(model, people, np.stack([seen[0], seen[0]]), seed=4))
    assert np.abs(twice[0].astype(int) - twice[1]).max() <= 1  # a pose held still is a picture held still


def test_a_list_of_openpose_frames_is_read(animating, tmp_path):
    frames = []
    for shift in range(3):
        points = np.stack([np.linspace(10, 40, 18) + shift, np.linspace(5, 60, 18), np.ones(18)], axis=1)
        frames.append({"people": [{"pose_keypoints_2d": points.ravel().tolist()}]})
    (tmp_path / "poses.json").write_text(json.dumps(frames))
    assert animating("nted", "a.gif", "--poses", tmp_path / "poses.json") == 0
    assert len(played(tmp_path / "a.gif")) == 3


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ("a.avi", [], "give .mp4, .webp, .gif"),
        ("a.mp4", ["--fps", 0], "at 0 frames a second"),
        ("a.mp4", ["--batch_size", 0], "--batch_size is 0; it must be 1 or more"),
        ("a.mp4", ["--smooth", -1], "--smooth is -1.0"),
        ("a.mp4", ["--fill", -1], "--fill is -1"),
        ("a.mp4", ["--poses", "none.npz"], "none.npz does not exist"),
        ("a.mp4", ["--source", "img/none.jpg"], "nearest name"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(output, more, message, animating, tmp_path, capsys):
    assert animating("nted", output, *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not (tmp_path / output).exists()
