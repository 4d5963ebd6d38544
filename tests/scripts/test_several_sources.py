"""Several photographs of one person: in style mixing, in the files of inference.py and their scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import eval_step
import inference
from data import loader
from data.pairs import PairLine, output_name, write_pairs
from images.strips import GAP
from scripts import style_mix
from studio.pipeline import StepPose
from tests.runs import NUM_STEPS, run_flags
from tests.tiny import SIZE, pair_dataset

SYSTEMS = ("nted", "dptn")
VIEWS = [f"img/WOMEN/Dresses/id_00000004/01_{view}.jpg" for view in ("1_front", "2_side", "3_back")]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("mode", "columns"), [(["--switch", 1], 3 + 1), (["--grid"], 2 + 1)])
def test_style_mix_takes_all_photographs_of_each_person(system, mode, columns, command, runs, tmp_path):
    flags = ["--model", runs / system, "--pose", VIEWS[2], "--output", tmp_path / "mix.png"]
    assert command(style_mix.main, *flags, "--sources", *VIEWS[:2], "--sources", VIEWS[2], *mode) == 0
    picture = cv2.imread(str(tmp_path / "mix.png"))
    assert picture.shape[1] >= (columns + NUM_STEPS[system]) * SIZE[1]


@pytest.fixture
def lines(dataset: Path, tmp_path: Path) -> Path:
    """The dataset with test lines of two, one and two sources."""
    shutil.copytree(dataset, tmp_path / "data")
    first, second, third = VIEWS
    pairs = [PairLine(first, (second, third)), PairLine(second, (third,)), PairLine(third, (first, second))]
    write_pairs(tmp_path / "data" / "test_pairs.txt", pairs)
    return tmp_path / "data"


@pytest.mark.parametrize("system", SYSTEMS)
def test_lines_with_several_sources_are_drawn_named_and_scored(
    system, lines, runs, command: Callable, tmp_path, capsys
):
    first, second, third = VIEWS
    flags, root = [*run_flags(runs, system), "--batch_size", 2], f"data.root={lines}"
    assert command(inference.main, *flags, "--output_dir", tmp_path / "one", root) == 0
    out, several = tmp_path / "several", [root, "data.num_sources=2"]
    assert command(inference.main, *flags, "--output_dir", out, "--save_steps", "--strip", *several) == 0
    names = [output_name(second, first, third), output_name(third, second), output_name(first, third, second)]
    assert sorted(path.name for path in out.glob("*.png")) == sorted(names)
    assert "_2side_and_fashionWOMEN" in names[0]
    alone = output_name(third, second)
    pictures = [cv2.imread(str(folder / alone)).astype(int) for folder in (out, tmp_path / "one")]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1  # in batches of other sizes
    others = [output_name(second, first), output_name(first, third)]
    assert sorted(path.name for path in (tmp_path / "one").glob("*.png")) == sorted([alone, *others])
    strip = cv2.imread(str(out / "strips" / names[0]))
    assert strip.shape[1] == (NUM_STEPS[system] + 4) * (SIZE[1] + GAP) - GAP
    scoring = [*run_flags(runs, system), "--generated", out, "--protocol", "offline", "--output", tmp_path / "report"]
    assert command(eval_step.main, *scoring, root) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["counts"]["pairs"] == 3 and len(report["steps"]) == NUM_STEPS[system]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_python_program_draws_the_file_of_a_line_with_several_sources(system, lines, runs, command, tmp_path):
    flags = [*run_flags(runs, system), f"data.root={lines}", "data.num_sources=2", "--batch_size", 1]
    assert command(inference.main, *flags, "--output_dir", tmp_path / "out") == 0
    model = StepPose.load(runs / system)
    data = pair_dataset(lines, "test", SIZE, model.config.data.pose, num_sources=2)
    for raw in loader.test_loader(data, 1, 0):
        batch, index = loader.to_device(raw, "cpu"), int(raw["index"])
        if batch["source_image"].ndim == 5:
            photos, own = torch.unbind(batch["source_image"][0]), batch["source_pose"][0]
            image = model.generate(sources=photos, pose=batch["target_pose"][0], source_pose=own, first=index)
            saved = cv2.imread(str(tmp_path / "out" / output_name(*data.names(index))))[..., ::-1]
            drawn = ((image.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).numpy()
            assert np.abs(drawn - saved).max() <= 0.5 + 1e-3
