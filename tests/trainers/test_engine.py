"""One step computed in other ways gives the same numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from config.load import load_config
from studies.flops import synthetic_batch
from tests.runs import TWO_PROCESSES
from tests.tiny import overrides
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers.engine import Engine

R1 = ["objective.r1_gamma=1", "objective.r1_interval=2"]


def steps(system: str, *more: str, count: int = 3) -> tuple[list[dict[str, float]], Engine]:
    """Every term of a few steps, R1 among them, and the engine afterwards."""
    config = tiny(system, "none", *R1, *more)
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
    return [{k: float(v) for k, v in engine.train_step([batch], epoch=0).items()} for _ in range(count)], engine


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_activations_computed_again_change_no_bit(system, precision):
    """Losses, weights, Adam's moments and the vectors of spectral norm of three steps."""
    more = (f"trainer.precision={precision}",)
    kept, again = (steps(system, *more, f"trainer.recompute_activations={choice}") for choice in ("false", "true"))
    assert kept[0] == again[0]
    states = [{**engine.state(), "config": ""} for _, engine in (kept, again)]
    assert same(*states)


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_activations_computed_again_are_not_kept(system):
    """Fewer bytes wait for backward when the generator's loss is there."""

    def waiting(recompute: bool) -> int:
        config = tiny(system, "none", f"trainer.recompute_activations={str(recompute).lower()}")
        engine, batch, sizes = Engine(config, ALONE), synthetic_batch(config, ALONE.device), {}

        def note(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss, _, _ = engine.phases[0].module(batch)
        loss.backward()
        return sum(sizes.values())

    assert waiting(recompute=True) < waiting(recompute=False) / 5


@pytest.mark.slow
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_two_processes_that_compute_activations_again_equal_two_that_keep_them(system, dataset, tmp_path):
    launcher = [*TWO_PROCESSES, "train.py"]
    for choice in ("false", "true"):
        flags = [f"--config=config/{system}_256.yaml", f"--name={choice}", f"--checkpoints_dir={tmp_path}"]
        keys = overrides(system, dataset, "schedule.num_steps=3", "rollout.window=2", *R1)
        keys += [f"trainer.recompute_activations={choice}"]
        done = subprocess.run([*launcher, *flags, *keys], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "true" / "log.jsonl").read_text() == (tmp_path / "false" / "log.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("recompute", ["false", "true"])
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_compiled_networks_give_the_same_losses(system, recompute):
    """Compiled code rounds elsewhere; a tiny learning rate keeps Adam from blowing that up."""
    more = ["optim.generator.lr=1e-8", "optim.discriminator.lr=1e-8", f"trainer.recompute_activations={recompute}"]
    eager, compiled = (steps(system, *more, f"trainer.compile={choice}")[0] for choice in ("false", "true"))
    for left, right in zip(eager, compiled, strict=True):
        assert right == pytest.approx(left, rel=1e-4, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_two_processes_train_compiled_networks(system, dataset, tmp_path):
    launcher = [*TWO_PROCESSES, "train.py"]
    keys = overrides(system, dataset, "schedule.num_steps=3", "rollout.window=2", *R1)
    keys += ["optim.generator.lr=1e-8", "optim.discriminator.lr=1e-8"]
    for choice in ("false", "true"):
        flags = [f"--config=config/{system}_256.yaml", f"--name={choice}", f"--checkpoints_dir={tmp_path}"]
        command = [*launcher, *flags, *keys, f"trainer.compile={choice}"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    command = [sys.executable, "-m", "scripts.compare_runs", str(tmp_path / "false"), str(tmp_path / "true")]
    compared = subprocess.run([*command, "--tolerance", "1e-4"], capture_output=True, text=True)
    assert compared.stdout.startswith("equal in all 2 common log steps"), compared.stdout


def test_what_is_differentiated_twice_is_never_compiled():
    """R1 and the gradient penalty go through `forward`, which `Module.compile` leaves alone."""
    config = load_config("config/nted_256.yaml", overrides("nted", "none", *R1, "schedule.num_steps=3"))
    engine = Engine(config, ALONE)

    def refuse(*arguments):
        raise AssertionError("the compiled function was called")

    making, _, r1 = (phase.module for phase in engine.phases)
    window = making(synthetic_batch(config, ALONE.device))[2]
    engine.networks["discriminator"]._compiled_call_impl = refuse
    images = torch.zeros(2, 3, *config.data.image_size)
    with pytest.raises(AssertionError, match="compiled function"):
        engine.networks["discriminator"](images)
    loss, terms, _ = r1(window)
    loss.backward()
    assert float(terms["r1"]) > 0
