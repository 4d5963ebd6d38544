"""scripts.export: every format gives the model's own images, and the card says what it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch

import eval_step
import inference
from config.load import load_config
from evaluation.manifest import weights_hash
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
    assert (after.trained_steps, after.config) == (7, export.shared(before.config))


def test_an_export_says_nothing_of_the_machine_that_made_it(exporting, tmp_path):
    home, keys = Path("/home/somebody"), ["trainer.start_from=/home/somebody/one", "trainer.eval_every=5"]
    keys += ["trainer.eval_protocol=/home/somebody/own.yaml", "trainer.best_metric=fd_own"]
    save_run(tmp_path / "unet", tiny_config("unet", home / "clothes", *keys, num_steps=2))
    for kind in export.FORMATS:
        assert exporting("unet", kind) == 0
    texts = {}
    for file in (tmp_path / "out").iterdir():
        archive = zipfile.ZipFile(file) if zipfile.is_zipfile(file) else None
        texts[file.name] = b"".join(map(archive.read, archive.namelist())) if archive else file.read_bytes()
    assert texts.keys() == {"README.md", "config.yaml", "model.onnx", "model.pt2", "model.safetensors"}
    for name, text in texts.items():
        for place in (home, tmp_path, Path.cwd(), Path(torch.__file__).parent):
            assert str(place).encode() not in text, f"{name} names {place}"
    assert b"| data | clothes |" in texts["README.md"] and b"the networks of one |" in texts["README.md"]
    for config in (StepPose.load(tmp_path / "out").config, load_config(tmp_path / "out" / "config.yaml")):
        assert (config.data.root, config.trainer.start_from) == ("dataset/clothes", None)
        assert (config.trainer.eval_protocol, config.trainer.best_metric) == ("own.yaml", "fd_own")


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
    assert "`source` and `source_pose` are (B, 2, ...)" in (tmp_path / "out" / "README.md").read_text()
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


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("onnx", ["--half"], "--half is for weights"),
        ("safetensors", ["--num_sources", 2], "weights take any number"),
        ("safetensors", ["--which_iter", 8], "no checkpoint of step 8"),
        ("safetensors", ["--output", "nted"], "nted is a run; name another --output"),
    ],
)
def test_what_would_do_nothing_or_harm_is_refused(kind, more, says, exporting, tmp_path, capsys, monkeypatch):
    config = save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    text = config.read_text()
    monkeypatch.chdir(tmp_path)
    assert exporting("nted", kind, *more) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists() and config.read_text() == text


@pytest.mark.parametrize("given", ["", "/model.safetensors"], ids=["folder", "file"])
def test_an_export_is_not_written_over_by_itself(given, exporting, tmp_path, command, capsys):
    save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    assert exporting("nted", "safetensors", "--half") == 0
    weights = tmp_path / "out" / "model.safetensors"
    before, words = weights.read_bytes(), ["--model", f"{weights.parent}{given}", "--format", "safetensors"]
    assert command(export.main, *words, "--output", weights.parent) == 2
    assert "is the model itself; name another --output" in capsys.readouterr().err and weights.read_bytes() == before


# the others take as long again, see above
@pytest.mark.parametrize("system", ["unet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nted", "dptn"))])
def test_the_onnx_file_draws_the_same_for_any_batch_size(system, exporting, tmp_path):
    save_run(tmp_path / system, tiny_config(system, tmp_path, num_steps=2))
    model = StepPose.load(tmp_path / system)
    assert exporting(system, "onnx") == 0
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    for count in (1, 3, 4):
        source, own, pose = inputs(model, count)
        fed = {"source": source, "source_pose": own, "pose": pose, "noise": model.noise(count)}
        (images,) = session.run(None, {name: value.numpy() for name, value in fed.items()})
        expected = model.generate(source, pose, "all", source_pose=own)
        assert images.shape == (2, count, 3, *SIZE)
        assert torch.allclose(
            torch.from_numpy(images), torch.stack([torch.stack(step) for step in expected]), atol=1e-4
        )


def test_a_program_that_draws_something_else_is_refused(exporting, tmp_path, monkeypatch, capsys):
    save_run(tmp_path / "unet", tiny_config("unet", tmp_path, num_steps=2))
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    assert exporting("unet", "onnx") == 2
    assert "the exported program's images differ by" in capsys.readouterr().err


def test_without_onnx_the_packages_are_named(exporting, tmp_path, monkeypatch, capsys):
    save_run(tmp_path / "unet", tiny_config("unet", tmp_path))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert exporting("unet", "onnx") == 2
    assert "pip install -r requirements-onnx.txt" in capsys.readouterr().err


def test_a_file_alone_is_a_model(exporting, tmp_path):
    save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    before = StepPose.load(tmp_path / "nted")
    assert exporting("nted", "safetensors") == 0
    (tmp_path / "alone").mkdir()
    for name in ("renamed.safetensors", "model.safetensors"):
        file = tmp_path / "alone" / name
        file.write_bytes((tmp_path / "out" / "model.safetensors").read_bytes())
        after = StepPose.load(file)
        assert (after.trained_steps, after.config) == (7, export.shared(before.config))
        assert weights_hash(after.generator) == weights_hash(before.generator)
    assert StepPose.load(tmp_path / "out", which=7).trained_steps == 7
    for path in (tmp_path / "out", file, next((tmp_path / "nted" / "checkpoints").glob("*.pt"))):
        with pytest.raises(ValueError, match="is of step 7, not 8; leave the step out"):
            StepPose.load(path, which=8)


def test_half_the_bits_are_half_the_file_and_nearly_the_same_images(exporting, tmp_path):
    save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    before, sizes = StepPose.load(tmp_path / "nted"), []
    source, own, pose = inputs(before, 2)
    expected = before.generate(source, pose, source_pose=own)
    for more in ((), ("--half",)):
        assert exporting("nted", "safetensors", *more) == 0
        sizes.append((tmp_path / "out" / "model.safetensors").stat().st_size)
        after = StepPose.load(tmp_path / "out")
        torch.testing.assert_close(
            after.generate(source, pose, source_pose=own), expected, rtol=0, atol=0.02 * bool(more)
        )
    assert sizes[1] < 0.7 * sizes[0]
    assert all(p.dtype is torch.float32 for p in after.generator.parameters())


def test_the_card_says_what_the_model_is_and_how_to_load_it(exporting, dataset, tmp_path, command, monkeypatch):
    save_run(tmp_path / "unet", tiny_config("unet", dataset))
    flags = ["--config", tmp_path / "unet" / "config.yaml", "--name", "unet", "--checkpoints_dir", tmp_path]
    assert command(inference.main, *flags, "--output_dir", tmp_path / "images") == 0
    scoring = ["--generated", tmp_path / "images", "--protocol", "offline", "--cache", tmp_path / "cache"]
    assert command(eval_step.main, *flags, *scoring) == 0
    report = ["--report", tmp_path / "images_report", "--licence", "cc-by-4.0"]
    for kind in ("safetensors", "onnx"):
        assert exporting("unet", kind, *report) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    model = StepPose.load(tmp_path / "unet")
    parameters = sum(parameter.numel() for parameter in model.generator.parameters())
    for text in (f"| generator | unet, {parameters:,} parameters |", "| steps | 3, schedule quantize |", "64x48",
                 "7 optimizer steps of 2 pairs", f"| data | {dataset.name} |", "license: cc-by-4.0"):  # fmt: skip
        assert text in card
    last = json.loads((tmp_path / "images_report" / "report.json").read_text())["steps"][-1]
    assert f"| PSNR (dB) ↑ | {last['psnr']:.3f} | " in card
    assert "3 test pairs, protocol `offline`" in card
    source, own, pose = inputs(model, 2)
    named = {"source": source, "source_pose": own, "pose": pose, "noise": model.noise(2)}
    load, run = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(tmp_path)  # the card names the folder, not where it lies
    made = dict(named)
    exec(load, made)
    assert torch.equal(torch.stack(made["image"]), torch.stack(model.generate(source, pose, source_pose=own)))
    assert weights_hash(made["model"].generator) == weights_hash(model.generator)
    made = {name: value.numpy() for name, value in named.items()}
    exec(run, made)
    assert made["images"].shape == (3, 2, 3, *SIZE)


def test_a_card_without_scores_says_so_and_scores_of_others_are_refused(exporting, tmp_path, capsys):
    save_run(tmp_path / "unet", tiny_config("unet", tmp_path))
    assert exporting("unet", "safetensors") == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "## Scores\n\nNot stated." in card and "| licence of the weights | not stated;" in card
    report = {"name": "x", "steps": [{}], "protocol": {}, "reals": {}, "image_size": [1, 1], "origin": {"weights": "y"}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert exporting("unet", "safetensors", "--report", tmp_path / "report.json") == 2
    assert "is of images of other weights" in capsys.readouterr().err


def test_a_truncated_export_and_a_missing_run_are_one_line(exporting, tmp_path, capsys):
    save_run(tmp_path / "nted", tiny_config("nted", tmp_path))
    assert exporting("nted", "safetensors") == 0
    file = tmp_path / "out" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut short"):
        StepPose.load(tmp_path / "out")
    assert exporting("none", "safetensors") == 2
    assert "there is no model" in capsys.readouterr().err
