"""scripts.blend as a command: fades, exchanges, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import blend
from studio.pictures import GAP
from tests.runs import BLENDING
from tests.tiny import SIZE

A, B, POSE = (f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side", "3_back"))


@pytest.fixture
def draw(command: Callable[..., int], runs: Path) -> Callable[..., int]:
    """Blend A and B with the run of a system; returns the exit code."""

    def call(system: str, output: Path, *more: object) -> int:
        known = ["--model", runs / system, "--pose", POSE, "--sources", A, B]
        return command(blend.main, *known, "--output", output, *more)

    return call


def cells(path: Path, count: int) -> list[np.ndarray]:
    """The last `count` pictures of a strip."""
    with Image.open(path) as picture:
        strip = np.asarray(picture).astype(int)[-SIZE[0] :]
    lefts = [strip.shape[1] - SIZE[1] - index * (SIZE[1] + GAP) for index in range(count)][::-1]
    return [strip[:, left : left + SIZE[1]] for left in lefts]


@pytest.mark.parametrize("system", BLENDING)
def test_a_fade_runs_from_the_first_source_alone_to_the_second_alone(system, draw, tmp_path):
    Image.new("L", SIZE[::-1]).save(tmp_path / "none.png")
    fading = tmp_path / "a new folder" / "fade.png"
    assert draw(system, fading, "--count", 3) == 0
    assert draw(system, tmp_path / "same.png", "--mask", tmp_path / "none.png") == 0
    fade = cells(fading, 3)
    first, second, exchanged = cells(tmp_path / "same.png", 3)
    # other batch sizes sum in another order
    assert np.abs(fade[0] - first).max() <= 1 and np.abs(fade[-1] - second).max() <= 1
    assert (exchanged == first).all(), "an empty mask exchanges nothing"
    assert (first != second).any()


@pytest.mark.parametrize("system", BLENDING)
def test_a_white_mask_exchanges_all_and_a_region_is_named_by_the_pose(system, draw, tmp_path):
    Image.new("L", SIZE[::-1], 255).save(tmp_path / "all.png")
    assert draw(system, tmp_path / "all_b.png", "--mask", tmp_path / "all.png") == 0
    _, second, exchanged = cells(tmp_path / "all_b.png", 3)
    assert (exchanged == second).all()
    assert draw(system, tmp_path / "region.png", "--region", "upper_body") == 0
    region, *_ = cells(tmp_path / "region.png", 4)
    assert region.max() == 255 and region.min() == 0


@pytest.mark.parametrize("system", BLENDING)
def test_people_with_unequally_many_photographs_are_blended(system, command, runs, tmp_path):
    known = ["--model", runs / system, "--pose", POSE, "--output", tmp_path / "fade.png", "--count", 3]
    assert command(blend.main, *known, "--sources", A, POSE, "--sources", B) == 0
    fade = cells(tmp_path / "fade.png", 3)
    assert command(blend.main, *known, "--sources", A, B) == 0
    plain = cells(tmp_path / "fade.png", 3)
    assert np.abs(fade[-1] - plain[-1]).max() <= 1 and (fade[0] != plain[0]).any()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--sources", A, "--sources", B], "--sources names 3 people; a blend has two"),
        (["--region", "head", "--mask", "m.png"], "not both"),
        (["--count", 1], "--count is 1"),
        (["--region", "tail"], "region is 'tail'; it must be one of head, upper_body, lower_body"),
        (["--mask", "nowhere.png"], "nowhere.png"),
    ],
)
def test_bad_input_is_one_line(more, message, draw, tmp_path, capsys):
    assert draw("nted", tmp_path / "out.png", *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not (tmp_path / "out.png").exists()


def test_a_generator_that_cannot_blend_says_so_in_one_line(draw, tmp_path, capsys):
    assert draw("unet", tmp_path / "out.png") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line == "error: a UNet cannot blend two sources; take a generator with textures"
    assert not (tmp_path / "out.png").exists()


def test_a_name_that_is_no_pictures_is_refused_before_the_work(draw, tmp_path, capsys):
    with pytest.raises(SystemExit):
        draw("nted", tmp_path / "fade")
    assert "does not end in .png" in capsys.readouterr().err
