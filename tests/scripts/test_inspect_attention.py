"""scripts.inspect_attention as a command: its files, chosen pixels and steps, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import inspect_attention
from tests.tiny import SIZE

SOURCE, POSE = (f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side"))
# two layers a level with textures, coarse to fine
TEXTURES = [f"textures_{size}_layer_{layer}.png" for size in ("16x12", "32x24") for layer in (1, 2)]


@pytest.fixture
def look(command: Callable[..., int], runs: Path) -> Callable[..., int]:
    """Look inside the run of a system; returns the exit code."""

    def call(system: str, output: Path, *more: object) -> int:
        known = ["--model", runs / system, "--source", SOURCE, "--pose", POSE]
        return command(inspect_attention.main, *known, "--output", output, *more)

    return call


@pytest.mark.parametrize(("system", "files", "columns"), [("nted", TEXTURES, 5), ("dptn", [], 2)])
def test_a_row_a_pixel_and_a_picture_a_texture_layer_are_written(system, files, columns, look, tmp_path):
    output = tmp_path / "new" / "folder"
    assert look(system, output, "--pixel", 1, 2, "--pixel", 40, 60) == 0
    assert {path.name for path in output.iterdir()} == {"pixels.png", *files}
    with Image.open(output / "pixels.png") as picture:
        assert picture.width == columns * (SIZE[1] + 4) - 4
        assert 2 * SIZE[0] < picture.height < 3 * SIZE[0]


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_every_photograph_of_several_has_a_row(system, look, tmp_path):
    assert look(system, tmp_path, "--source", POSE, "--pixel", 1, 2) == 0
    with Image.open(tmp_path / "pixels.png") as picture:
        assert 2 * SIZE[0] < picture.height < 3 * SIZE[0]


def test_the_step_asked_for_is_shown(look, tmp_path):
    for step in (0, 3):
        assert look("nted", tmp_path / str(step), "--step", step) == 0
    first, last = (np.asarray(Image.open(tmp_path / name / "pixels.png")) for name in ("0", "3"))
    assert first.shape == last.shape and (first != last).any()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pixel", 48, 0], "x in 0..47, y in 0..63"),
        (["--step", 4], "step 4 is outside 0..3"),
        (["--which_iter", 9], "9"),
        ([], "a UNet reads its source at no place that could be shown"),
    ],
)
def test_bad_input_is_one_line(more, message, look, tmp_path, capsys):
    assert look("unet" if "UNet" in message else "nted", tmp_path / "out", *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not (tmp_path / "out").exists()
