"""scripts.draw as a command: from a photograph and a pose to a picture, with the joints beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.openpose import write_keypoints
from images.joints import NOSE
from images.strips import GAP
from scripts import draw, export
from studio.people import Gallery
from studio.pipeline import StepPose
from tests.runs import NUM_STEPS, save_run, tiny_config
from tests.scripts.test_own_data import PERSON, write_photo
from tests.studio.test_photographs import write_openpose
from tests.tiny import SIZE
from trainers import stored

SOURCE, POSE = (f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side"))


@pytest.fixture(scope="module")
def shipped(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shipped models, exported as the project's own are."""
    folder = tmp_path_factory.mktemp("assets")
    for system in ("nted", "dptn"):
        model = StepPose.load(runs / system)
        (folder / system).mkdir()
        (folder / system / "config.yaml").write_text((runs / system / "config.yaml").read_text())
        export.save_weights(model, folder / system)
        (folder / system / "README.md").write_text("a model card\n")
    return folder


@pytest.fixture
def drawing(command: Callable[..., int], shipped: Path, tmp_path: Path, monkeypatch) -> Callable[..., int]:
    """Draw into `out.png` with the shipped models, in a folder without a dataset; returns the exit code."""
    monkeypatch.setattr(stored, "ASSETS", shipped)
    monkeypatch.chdir(tmp_path)
    return lambda *words: command(draw.main, *words, "--output", tmp_path / "out.png")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A wide photograph with OpenPose's joints beside it."""
    joints = PERSON * 300 + (250, 40)
    write_photo(tmp_path / "me.png", (400, 500), joints)
    write_openpose(tmp_path / "me.json", joints)
    return tmp_path / "me.png"


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


@pytest.mark.parametrize("system", ["nted", "dptn"])
@pytest.mark.parametrize("kind", ["photograph", "openpose", "text"])
def test_a_photograph_is_drawn_in_any_kind_of_pose_by_a_shipped_model(system, kind, drawing, photograph, tmp_path):
    write_keypoints(tmp_path / "pose.txt", PERSON * 240 + (128, 8))
    pose = {"photograph": photograph, "openpose": tmp_path / "me.json", "text": tmp_path / "pose.txt"}[kind]
    assert drawing("--source", photograph, "--pose", pose, "--model", system) == 0
    assert picture(tmp_path / "out.png").shape == (*SIZE, 3)
    assert {path.name for path in tmp_path.glob("out*")} == {"out.png", "out_joints.png"}


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_images_of_the_dataset_give_what_python_gives(system, command, runs, dataset, tmp_path):
    words = ["--source", SOURCE, "--pose", POSE, "--model", runs / system, "--output", tmp_path / "out.png"]
    assert command(draw.main, *words) == 0
    model = StepPose.load(runs / system)
    gallery = Gallery(model.config.data)
    source, pose = gallery.person(SOURCE), gallery.person(POSE)
    image = model.generate(source.image, pose.maps(model), source_pose=source.maps(model))
    assert (picture(tmp_path / "out.png") == image).all()
    # the same images as files
    files = [dataset / SOURCE, dataset / POSE]
    assert command(draw.main, "--source", files[0], "--pose", files[1], *words[4:]) == 0
    assert (picture(tmp_path / "out.png") == image).all()


def test_steps_and_strip_are_files_beside_the_picture(drawing, photograph, tmp_path):
    assert drawing("--source", photograph, "--pose", photograph, "--steps", "--strip") == 0
    steps = [picture(tmp_path / f"out_step_{step:02d}.png") for step in range(NUM_STEPS["nted"])]
    assert (steps[-1] == picture(tmp_path / "out.png")).all() and (steps[0] != steps[-1]).any()
    strip = picture(tmp_path / "out_strip.png")
    assert strip.shape == (SIZE[0], (2 + len(steps)) * (SIZE[1] + 4) - 4, 3)
    assert (strip[:, -SIZE[1] :] == steps[-1]).all()


def test_the_joints_that_were_used_lie_on_the_photograph(drawing, photograph, tmp_path):
    """The box by hand: joints are 0.9 * 300 = 270 high from 52, 0.14 of that above; 500 x 400 ends at 400."""
    write_keypoints(tmp_path / "pose.txt", PERSON * 240 + (128, 8))
    assert drawing("--source", photograph, "--pose", tmp_path / "pose.txt") == 0
    shown = picture(tmp_path / "out_joints.png")
    height, width = SIZE[0] * 8, SIZE[1] * 8
    source, pose = shown[-height:, :width], shown[-height:, -width:]
    top, bottom = 52 - 0.14 * 270, 322 + 0.08 * 270
    x, y = width / 2, (PERSON[NOSE, 1] * 300 + 40 - top) / (bottom - top) * height
    assert source[round(y), round(x)].tolist() == [0, 0, 255], "the colour of the nose"
    assert pose[round((0.06 * 240 + 8) * 2), round(88 * width / 176)].tolist() == [0, 0, 255]
    assert pose[0, 0].tolist() == [255] * 3 and source[0, 0].tolist() == [128] * 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "none.jpg", "--pose", "me.json"], "no file none.jpg, and no dataset in dataset/"),
        (["--source", "me.png", "--pose", "me.json", "--model", "nobody"], "no model nobody; shipped: dptn, nted; in"),
        (["--source", "bare.png", "--pose", "me.json", "--model", "dptn", "--detector", "none"], "bare.png has no key"),
        (["--source", "me.png", "--pose", "bare.png", "--detector", "none"], "bare.png has no keypoints"),
        (["--source", "me.json", "--pose", "me.json"], "me.json is damaged or no image"),
    ],
)
def test_bad_input_is_one_line(words, message, drawing, photograph, capsys):
    Image.new("RGB", (60, 80)).save("bare.png")
    assert drawing(*words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not Path("out.png").exists()


def test_another_dataset_and_another_seed_may_be_asked_for(command, dataset, tmp_path):
    save_run(tmp_path / "run", tiny_config("nted", tmp_path / "nowhere", "seed=3"))
    known = ["--model", tmp_path / "run", "--source", SOURCE, "--pose", POSE, "--output", tmp_path / "out.png"]
    assert command(draw.main, *known) == 2
    images = []
    for more in ([], ["--seed", 3], ["--seed", 4]):
        assert command(draw.main, *known, "--root", dataset, *more) == 0
        images.append(picture(tmp_path / "out.png"))
    assert (images[0] == images[1]).all() and (images[0] != images[2]).any()


def test_a_model_is_named_in_one_way_everywhere(shipped, runs, monkeypatch, tmp_path):
    """By path first, then the shipped ones, then the runs; a file of either kind is its model too."""
    monkeypatch.setattr(stored, "ASSETS", shipped)
    monkeypatch.chdir(tmp_path)
    assert stored.find_model("nted") == shipped / "nted"
    (tmp_path / "result" / "mine").mkdir(parents=True)
    assert stored.find_model("mine") == Path("result/mine")
    (tmp_path / "nted").mkdir()
    assert stored.find_model("nted") == Path("nted")
    (checkpoint,) = (runs / "dptn" / "checkpoints").glob("*.pt")
    for name in (shipped / "dptn" / "model.safetensors", checkpoint, runs / "dptn"):
        assert StepPose.load(name).config.generator.kind == "dptn"


def test_flags_of_another_word_are_refused_with_the_word(drawing, capsys):
    for words, line in (
        (["--config", "a.yaml"], "--config is called --model NAME now"),
        (["--output_dir=x"], "--output_dir is called --output now"),
    ):
        with pytest.raises(SystemExit):
            drawing("--source", "a", "--pose", "b", *words)
        assert line in capsys.readouterr().err


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_several_photographs_are_drawn_from_together(system, drawing, photograph, tmp_path, dataset):
    data = ["--root", dataset, "--model", system, "--pose", POSE]
    assert drawing(*data, "--source", SOURCE) == 0
    alone = picture(tmp_path / "out.png")
    assert drawing(*data, "--source", SOURCE, "--source", photograph, "--strip") == 0
    both = picture(tmp_path / "out.png")
    assert (alone != both).any()
    strip = picture(tmp_path / "out_strip.png")
    assert strip.shape[1] == (NUM_STEPS[system] + 3) * (SIZE[1] + GAP) - GAP
    assert drawing(*data, "--source", photograph, "--source", SOURCE) == 0
    assert np.abs(picture(tmp_path / "out.png").astype(int) - both).max() <= 1
    assert drawing(*data, "--source", SOURCE, "--source", SOURCE) == 0
    assert np.abs(picture(tmp_path / "out.png").astype(int) - alone).max() <= 1
