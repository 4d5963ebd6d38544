"""scripts.import_checkpoint and scripts.export_original on tiny published files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from config.load import dump_config
from config.schema import Config
from models.originals import SYSTEMS, State, to_published
from models.originals_files import pack
from scripts import export_original, import_checkpoint
from studio.pipeline import StepPose
from tests.runs import save_run, tiny_config
from trainers.build import build_networks
from trainers.checkpoints import load_checkpoint
from trainers.distributed import World
from trainers.trainer import Trainer

ONE_STEP = {
    "nted": ["objective.step=0"],
    "dptn": ["data.pose=joints", "generator.spectral_norm=false", "rollout.degrade_source=false"],
}


def config_of(system: str, root: Path = Path(), *more: str) -> Config:
    base = system.removesuffix("-step")
    if system != base:
        return tiny_config(base, root, *more)
    return tiny_config(base, root, "rollout.window=1", *ONE_STEP[base], *more, num_steps=1)


def states(config: Config) -> dict[str, State]:
    """Random networks under our names; the EMA differs from the generator."""
    generator, discriminator = build_networks(config).values()
    ema = {name: value + 1 for name, value in generator.state_dict().items()}
    return {"generator": generator.state_dict(), "generator_ema": ema, "discriminator": discriminator.state_dict()}


def save(folder: Path, files: dict[str, Any]) -> list[Path]:
    for name, content in files.items():
        torch.save(content, folder / name)
    return [folder / name for name in files]


@pytest.fixture
def importing(command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Import files with a config and give the exit code; the run is called `run`."""
    monkeypatch.setattr(import_checkpoint, "SHIPPED_CONFIGS", tmp_path)

    def call(system: str, config: Config, inputs: list[Path], *more: object) -> int:
        (tmp_path / "config.yaml").write_text(dump_config(config))
        flags = ["--system", system, "--input", *inputs, "--config", tmp_path / "config.yaml", "--name", "run"]
        return command(import_checkpoint.main, *flags, "--checkpoints_dir", tmp_path / "result", *more)

    return call


def imported(folder: Path) -> dict[str, Any]:
    return load_checkpoint(folder / "result" / "run" / "checkpoints" / "step_00000000.pt")


def equal(left: State, right: State) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("system", SYSTEMS)
def test_import_of_export_is_the_same_bit_for_bit(system, tmp_path, importing, command):
    config = config_of(system)
    first = states(config)
    assert importing(system, config, save(tmp_path, pack(system, first))) == 0
    flags = ["--model", tmp_path / "result" / "run"]
    assert command(export_original.main, *flags, "--output", tmp_path / "out") == 0
    assert importing(system, config, sorted((tmp_path / "out").iterdir()), "--name", "again") == 0
    before = imported(tmp_path)
    after = load_checkpoint(tmp_path / "result" / "again" / "checkpoints" / "step_00000000.pt")
    for entry in ("generator_ema", "generator", "discriminator"):
        assert equal(before[entry], after[entry])
        kept = entry if system.startswith("nted") or entry == "discriminator" else "generator_ema"
        assert equal(before[entry], first[kept])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_ema_is_what_inference_uses(prefix, tmp_path, importing):
    config = config_of("nted")
    files = pack("nted", states(config))
    files = {
        file: {net: {prefix + name: value for name, value in state.items()} for net, state in content.items()}
        for file, content in files.items()
    }
    assert importing("nted", config, save(tmp_path, files)) == 0
    model = StepPose.load(tmp_path / "result" / "run", config=config)
    assert equal(model.generator.state_dict(), states(config)["generator_ema"])


def test_old_files_that_are_no_archives_are_read(tmp_path, importing):
    config = config_of("dptn")
    files = pack("dptn", states(config))
    for name, content in files.items():
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=False)
    assert importing("dptn", config, [tmp_path / name for name in files]) == 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_training_goes_on_from_a_generator_alone(system, dataset, tmp_path, importing):
    config = config_of(system, dataset)
    content = to_published(system, "generator", states(config)["generator_ema"])
    assert importing(system, config, save(tmp_path, {"g.pth": content})) == 0
    trainer = Trainer(config, tmp_path / "result" / "run", World(0, 1, torch.device("cpu")))
    assert equal(trainer.engine.networks["generator"].state_dict(), states(config)["generator_ema"])
    assert equal(
        trainer.engine.networks["discriminator"].state_dict(), build_networks(config)["discriminator"].state_dict()
    )
    assert "discriminator" not in imported(tmp_path)
    trainer.train()
    assert trainer.engine.step == config.trainer.max_steps


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_generator_alone_is_exported_alone(system, tmp_path, importing, command):
    content = to_published(system, "generator", states(config_of(system))["generator_ema"])
    assert importing(system, config_of(system), save(tmp_path, {"g.pth": content})) == 0
    flags = ["--model", tmp_path / "result" / "run", "--output", tmp_path / "out"]
    assert command(export_original.main, *flags) == 0
    [path] = (tmp_path / "out").iterdir()
    written = torch.load(path)
    assert all(equal(state, content) for state in ([written] if system == "dptn" else written.values()))


def adam_of(names: list[str], state: State, value: float) -> dict[str, Any]:
    """A published Adam's state dict over the named tensors."""
    moments = {
        number: {"step": 9, "exp_avg": torch.full_like(state[name], value), "exp_avg_sq": torch.ones_like(state[name])}
        for number, name in enumerate(names)
    }
    return {"state": moments, "param_groups": [{"lr": 1.0, "params": list(range(len(names)))}]}


def test_optimizers_of_the_file_are_taken_with_our_settings(dataset, tmp_path, importing):
    config = config_of("dptn-step", dataset)
    networks = build_networks(config)
    files = pack("dptn-step", states(config))["dptn-step.pth"]
    for short, part, value in (("G", "generator", 2.0), ("D", "discriminator", 3.0)):
        parameters = dict(networks[part].named_parameters())
        files[f"opt{short}"] = adam_of(list(parameters), parameters, value)  # type: ignore[arg-type]
    assert importing("dptn-step", config, save(tmp_path, {"all.pth": files}), "--step", 1) == 0
    trainer = Trainer(config, tmp_path / "result" / "run", World(0, 1, torch.device("cpu")))
    optimizer = trainer.engine.optimizers["generator"]
    assert all(float(state["exp_avg"].mean()) == 2 for state in optimizer.state.values())
    assert len(optimizer.state) == len(list(networks["generator"].parameters()))
    assert optimizer.param_groups[0]["betas"] == config.optim.generator.betas
    assert trainer.engine.step == 1
    trainer.train()
    assert float(next(iter(optimizer.state.values()))["step"]) == 10


def test_an_optimizer_of_another_network_is_refused(tmp_path, importing, capsys):
    config = config_of("dptn-step")
    files = pack("dptn-step", states(config))["dptn-step.pth"]
    files["optG"] = adam_of(["x"], {"x": torch.zeros(3)}, 0.0)
    inputs = save(tmp_path, {"all.pth": files})
    assert importing("dptn-step", config, inputs) == 2
    assert "--no_optimizers leaves it out" in capsys.readouterr().err
    assert not (tmp_path / "result").exists()
    assert importing("dptn-step", config, inputs, "--no_optimizers") == 0


def test_an_unexplained_key_ends_the_import_with_nothing_written(tmp_path, importing, capsys):
    config = config_of("nted")
    files = pack("nted", states(config))
    del files["nted.pt"]["net_G"]["target_image_renderer.convs.0.to_rgb.conv.bias"]
    files["nted.pt"]["net_D"]["extra.weight"] = torch.zeros(4, 2)
    assert importing("nted", config, save(tmp_path, files)) == 2
    out, err = capsys.readouterr()
    assert "missing target_image_renderer.convs.0.to_rgb.conv.bias (3,)" in out
    assert "unexpected extra.weight (4, 2)" in out
    assert "2 keys do not fit" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "result").exists()


def test_the_error_names_the_config_and_system_that_fit(tmp_path, importing, capsys):
    config = config_of("nted-step")
    inputs = save(tmp_path, pack("nted-step", states(config)))
    (tmp_path / "fits.yaml").write_text(dump_config(config))
    wide = config_of("nted-step", Path(), "generator.channels=[8,8,8]")
    assert importing("nted-step", wide, inputs) == 2
    assert importing("dptn", config_of("dptn"), inputs) == 2
    assert importing("nted", config, inputs) == 2
    wrong_size, wrong_system, wrong_steps = capsys.readouterr().err.splitlines()
    for line in (wrong_size, wrong_system, wrong_steps):
        assert f"--system nted-step --config {tmp_path / 'fits.yaml'}" in line
    assert "schedule.num_steps is 4, nted has one step" in wrong_steps


def test_a_discriminator_alone_is_refused(tmp_path, importing, capsys):
    config = config_of("dptn")
    content = to_published("dptn", "discriminator", states(config)["discriminator"])
    assert importing("dptn", config, save(tmp_path, {"d.pth": content})) == 2
    assert "hold no generator" in capsys.readouterr().err


def test_a_file_with_code_is_refused_unless_trusted(tmp_path, importing, capsys):
    config = config_of("dptn")
    files = pack("dptn", states(config))
    inputs = save(tmp_path, {"all.pth": {"netG": files["latest_net_G.pth"], "opt": argparse.Namespace(lr=1)}})
    assert importing("dptn", config, inputs) == 2
    error = capsys.readouterr().err
    assert "argparse.Namespace" in error
    assert "can run any program with your rights" in error
    assert "--trust" in error
    assert importing("dptn", config, inputs, "--trust") == 0


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut", b"\x80\x02."])
def test_other_files_are_refused_in_one_line(content, tmp_path, importing, capsys):
    (tmp_path / "file.pt").write_bytes(content)
    assert importing("nted", config_of("nted"), [tmp_path / "file.pt"]) == 2
    assert "damaged or no PyTorch file" in capsys.readouterr().err


def test_a_run_that_is_there_is_left_alone(tmp_path, importing, capsys):
    config = config_of("nted")
    inputs = save(tmp_path, pack("nted", states(config)))
    assert importing("nted", config, inputs) == 0
    assert importing("nted", config, inputs) == 2
    assert "use another --name" in capsys.readouterr().err


def test_every_key_is_listed_beside_the_run(tmp_path, importing):
    config = config_of("nted")
    files = pack("nted", states(config))
    assert importing("nted", config, save(tmp_path, files)) == 0
    text = (tmp_path / "result" / "run" / "import.txt").read_text()
    assert all(f" {name} " in text for state in files["nted.pt"].values() for name in state)


def test_export_says_why_a_crossed_run_has_no_published_form(tmp_path, importing, command, capsys):
    config = config_of("nted-step", Path(), "schedule={kind: quantize, num_steps: 4}")
    folder = tmp_path / "result" / "run" / "checkpoints"
    folder.mkdir(parents=True)
    state = {"format": 1, "step": 3, "config": dump_config(config), **states(config)}
    torch.save(state, folder / "step_00000003.pt")
    flags = ["--model", tmp_path / "result" / "run", "--output", tmp_path / "out"]
    assert command(export_original.main, *flags) == 2
    assert "no published system: schedule.kind is quantize" in capsys.readouterr().err


NO_DISCRIMINATOR = ["discriminator=null", *(f"objective.{name}=0" for name in ("gan", "step", "r1_gamma"))]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_config_without_a_discriminator_is_no_published_system(system, tmp_path, importing, command, capsys):
    config = config_of(system, Path(), *NO_DISCRIMINATOR)
    assert importing(system, config, save(tmp_path, pack(system, states(config_of(system))))) == 2
    assert f"error: discriminator is null; import {system} with its discriminator" in capsys.readouterr().err
    save_run(tmp_path / "result" / "mine", config)
    flags = ["--model", tmp_path / "result" / "mine", "--output", tmp_path / "out"]
    assert command(export_original.main, *flags) == 2
    assert "error: this run is no published system: discriminator.kind is None, " in capsys.readouterr().err
