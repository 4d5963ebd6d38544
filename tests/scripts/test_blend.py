"""scripts.blend as a command: fades, exchanges, refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.cli import run
from scripts import blend
from tests.runs import NUM_STEPS, save_run, tiny_config
from tests.tiny import SIZE

A, B, POSE = (f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side", "3_back"))
GAP = 4  # pixels between two pictures of a strip


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    for system in NUM_STEPS:
        save_run(folder / system, tiny_config(system, dataset))
    return folder


def command(monkeypatch: pytest.MonkeyPatch, runs: Path, system: str, output: Path, *more: object) -> int:
    known = ["--config", runs / system / "config.yaml", "--name", system, "--checkpoints_dir", runs]
    wanted = [*known, "--pose", POSE, "--sources", A, B, "--output", output, *more]
    monkeypatch.setattr(sys, "argv", ["blend", *map(str, wanted)])
    return run(blend.main)


def cells(path: Path, count: int) -> list[np.ndarray]:
    """The last `count` pictures of a strip."""
    with Image.open(path) as picture:
        strip = np.asarray(picture).astype(int)[-SIZE[0] :]
    lefts = [strip.shape[1] - SIZE[1] - index * (SIZE[1] + GAP) for index in range(count)][::-1]
    return [strip[:, left : left + SIZE[1]] for left in lefts]


@pytest.mark.parametrize("system", NUM_STEPS)
def test_a_fade_runs_from_the_first_source_alone_to_the_second_alone(system, runs, tmp_path, monkeypatch):
    Image.new("L", SIZE[::-1]).save(tmp_path / "none.png")
    fading = tmp_path / "a new folder" / "fade.png"
    assert command(monkeypatch, runs, system, fading, "--count", 3) == 0
    assert command(monkeypatch, runs, system, tmp_path / "same.png", "--mask", tmp_path / "none.png") == 0
    fade = cells(fading, 3)
    first, second, exchanged = cells(tmp_path / "same.png", 3)
    # other batch sizes sum in another order
    assert np.abs(fade[0] - first).max() <= 1 and np.abs(fade[-1] - second).max() <= 1
    assert (exchanged == first).all(), "an empty mask exchanges nothing"
    assert (first != second).any()


@pytest.mark.parametrize("system", NUM_STEPS)
def test_a_white_mask_exchanges_all_and_a_region_is_named_by_the_pose(system, runs, tmp_path, monkeypatch):
    Image.new("L", SIZE[::-1], 255).save(tmp_path / "all.png")
    assert command(monkeypatch, runs, system, tmp_path / "all_b.png", "--mask", tmp_path / "all.png") == 0
    _, second, exchanged = cells(tmp_path / "all_b.png", 3)
    assert (exchanged == second).all()
    assert command(monkeypatch, runs, system, tmp_path / "region.png", "--region", "upper_body") == 0
    region, *_ = cells(tmp_path / "region.png", 4)
    assert region.max() == 255 and region.min() == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--region", "head", "--mask", "m.png"], "not both"),
        (["--count", 1], "--count is 1"),
        (["--region", "tail"], "region is 'tail'; it must be one of head, upper_body, lower_body"),
        (["--mask", "nowhere.png"], "nowhere.png"),
    ],
)
def test_bad_input_is_one_line(more, message, runs, tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, runs, "nted", tmp_path / "out.png", *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not (tmp_path / "out.png").exists()


def test_a_name_that_is_no_pictures_is_refused_before_the_work(runs, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command(monkeypatch, runs, "nted", tmp_path / "fade")
    assert "does not end in .png" in capsys.readouterr().err
