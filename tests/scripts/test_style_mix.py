"""scripts.style_mix: strips and grids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import style_mix
from studio.mixing import mix_grid
from studio.people import Gallery
from tests.runs import NUM_STEPS, tiny_model
from tests.tiny import SIZE

A, B, POSE = (f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side", "3_back"))


@pytest.fixture
def mix(command: Callable[..., int], runs: Path, tmp_path: Path) -> Callable[..., int]:
    """Write `mix.png` with the run of a system; returns the exit code."""

    def call(system: str, *more: object) -> int:
        return command(style_mix.main, "--model", runs / system, "--output", tmp_path / "mix.png", *more)

    return call


@pytest.mark.parametrize("system", NUM_STEPS)
@pytest.mark.parametrize("mode", [["--switch", 1, 2], ["--grid"]])
def test_a_picture_is_written_for_both_systems(system, mode, mix, tmp_path):
    assert mix(system, "--pose", POSE, "--sources", A, B, A, *mode) == 0
    with Image.open(tmp_path / "mix.png") as picture:
        columns = 3 + 1 + NUM_STEPS[system] if mode[0] == "--switch" else 2 + NUM_STEPS[system] + 1
        assert picture.width >= columns * SIZE[1]


@pytest.mark.parametrize("system", NUM_STEPS)
def test_the_grids_first_and_last_columns_are_the_unmixed_images(system, dataset):
    model = tiny_model(system, dataset)
    gallery = Gallery(model.config.data)
    people, pose = [gallery.person(A), gallery.person(B)], gallery.person(POSE)
    picture = mix_grid(model, people, pose.joints)
    alone = [model.generate(person.image, pose.maps(model), source_pose=person.maps(model)) for person in people]
    height, width = SIZE
    corners = [picture[row : row + height] for row in (len(picture) - 2 * height - 4, len(picture) - height)]
    left = picture.shape[1] - (model.num_steps + 1) * (width + 4) + 4
    for row, (first, second) in zip(corners, [(0, 1), (1, 0)], strict=True):
        switch_0, switch_s = row[:, left : left + width], row[:, -width:]
        # other batch sizes sum in another order
        assert np.abs(switch_0.astype(int) - alone[second]).max() <= 1
        assert np.abs(switch_s.astype(int) - alone[first]).max() <= 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pose", POSE, "--sources", A, "--switch", 1], "two or more"),
        (["--pose", POSE, "--sources", A, B], "either --switch or --grid"),
        (["--pose", POSE, "--sources", A, B, "--switch", 9], "must ascend within 0..4"),
        (["--pose", "img/WOMEN/none.jpg", "--sources", A, B, "--switch", 1], "nearest name is img/WOMEN/Dresses"),
    ],
)
def test_bad_input_is_one_line(more, message, mix, capsys):
    assert mix("nted", *more) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
