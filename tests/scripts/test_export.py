"""scripts.export: both formats give the model's own images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.rollout import Pair
from scripts import export
from studio.pipeline import StepPose
from tests.runs import NUM_STEPS, save_run, tiny_config
from tests.tiny import SIZE


@pytest.fixture
def exporting(command: Callable[..., int], tmp_path: Path) -> Callable[..., int]:
    """Export a run to the folder `out`; returns the exit code."""

    def call(name: str, kind: str, *more: object) -> int:
        flags = ["--model", tmp_path / name, "--format", kind, "--output", tmp_path / "out"]
        return command(export.main, *flags, *more)

    return call


def inputs(model: StepPose, count: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(9)
    poses = torch.rand(2, count, model.config.data.pose_channels, *SIZE)
    return torch.rand(count, 3, *SIZE) * 2 - 1, poses[0], poses[1]


@pytest.mark.parametrize("system", NUM_STEPS)
def test_safetensors_load_without_the_checkpoint_and_draw_the_same(system, exporting, tmp_path):
    save_run(tmp_path / system, tiny_config(system, tmp_path))
    before = StepPose.load(tmp_path / system)
    assert exporting(system, "safetensors") == 0
    (next((tmp_path / system / "checkpoints").glob("*.pt"))).unlink()
    after = StepPose.load(tmp_path / "out")
    source, own, pose = inputs(before, 2)
    images = [model.generate(source, pose, "all", source_pose=own) for model in (before, after)]
    assert all(torch.equal(a, b) for left, right in zip(*images, strict=True) for a, b in zip(left, right, strict=True))
    assert (after.trained_steps, after.config) == (7, before.config)


# tracing takes the better part of a minute on a busy core, so one of the two is enough every day
@pytest.mark.parametrize("system", ["nted", pytest.param("dptn", marks=pytest.mark.slow)])
def test_the_exported_program_draws_the_same_for_any_batch_size_without_this_projects_code(system, exporting, tmp_path):
    save_run(tmp_path / system, tiny_config(system, tmp_path, num_steps=2))
    model = StepPose.load(tmp_path / system)
    assert exporting(system, "torch_export") == 0
    cases = [(*inputs(model, count), model.noise(count)) for count in (1, 5)]
    torch.save(cases, tmp_path / "inputs.pt")
    code = (
        "import sys, torch; program = torch.export.load('out/model.pt2').module(); "
        "torch.save([program(*case) for case in torch.load('inputs.pt')], 'images.pt'); "
        "assert not {'models', 'config', 'data', 'trainers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    for (source, own, pose, _), images in zip(cases, torch.load(tmp_path / "images.pt"), strict=True):
        expected = model.generate(source, pose, "all", source_pose=own)
        assert images.shape == (model.num_steps, len(source), 3, *SIZE)
        assert torch.allclose(images, torch.stack([torch.stack(step) for step in expected]), atol=1e-4)


@pytest.mark.parametrize("system", ["nted", pytest.param("dptn", marks=pytest.mark.slow)])
def test_a_program_of_two_sources_draws_the_same_for_any_batch_size(system, exporting, tmp_path):
    save_run(tmp_path / system, tiny_config(system, tmp_path, num_steps=2))
    model = StepPose.load(tmp_path / system)
    assert exporting(system, "torch_export", "--num_sources", 2) == 0
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    for count in (1, 5):
        (first, own, pose), (second, other, _) = inputs(model, count), inputs(model, count)
        sources, poses = torch.stack((first, second.flip(3)), dim=1), torch.stack((own, other.flip(3)), dim=1)
        images = program(sources, poses, pose, model.noise(count))
        expected = torch.stack(list(model.stream(Pair(sources, poses, pose), model.noise(count))))
        assert torch.allclose(images, expected, atol=1e-4)


def test_a_program_of_several_sources_needs_a_generator_that_takes_them(exporting, tmp_path, capsys):
    save_run(tmp_path / "unet", tiny_config("unet", tmp_path))
    assert exporting("unet", "torch_export", "--num_sources", 2) == 2
    assert "--num_sources is 2: this model takes one photograph" in capsys.readouterr().err


def test_a_truncated_export_and_a_missing_run_are_one_line(exporting, tmp_path, capsys):
    save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    assert exporting("nted", "safetensors") == 0
    file = tmp_path / "out" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut short"):
        StepPose.load(tmp_path / "out")
    assert exporting("none", "safetensors") == 2
    assert "there is no model" in capsys.readouterr().err
