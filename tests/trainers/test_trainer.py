"""The loop: crossing, resume, processes, checkpoints."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

import train
from config.load import load_config
from tests import tiny as tiny_parts
from tests.runs import TWO_PROCESSES
from tests.tiny import overrides
from trainers.distributed import World
from trainers.trainer import Trainer, micro_batches

ALONE = World(0, 1, torch.device("cpu"))
DISCRIMINATORS, OBJECTIVES = list(tiny_parts.DISCRIMINATORS), list(tiny_parts.OBJECTIVES)


def tiny(system: str, root: Path, *more: str):
    window = (
        ["schedule.num_steps=4", "rollout.window=2"]
        if system == "nted"
        else ["schedule.num_steps=2", "rollout.window=2"]
    )
    return load_config(f"config/{system}_256.yaml", overrides(system, root, *window, *more))


def same(left: object, right: object) -> bool:
    """Bitwise equality of nested states."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)  # type: ignore[arg-type]
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)  # type: ignore[attr-defined,index]
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))  # type: ignore[arg-type]
    return left == right


@pytest.mark.parametrize(
    ("generator", "schedule", "discriminator", "objective", "steps"),
    [
        # nine of 81: every two kinds of two families meet
        *((g, s, DISCRIMINATORS[(g + s) % 3], OBJECTIVES[(g + 2 * s) % 3], 3) for g in range(3) for s in range(3)),
        (1, 1, "residual", "nted", 1),
        (0, 2, "stylegan2", "dptn", 1),
    ],
)
def test_any_generator_schedule_discriminator_and_objective_train(
    generator, schedule, discriminator, objective, steps, dataset, tmp_path
):
    generator, schedule = list(tiny_parts.GENERATORS)[generator], list(tiny_parts.SCHEDULES)[schedule]
    more = ["rollout.window=null", tiny_parts.SCHEDULES[schedule], f"schedule.num_steps={steps}"]
    more += [tiny_parts.DISCRIMINATORS[discriminator], tiny_parts.OBJECTIVES[objective], "objective.r1_gamma=1"]
    more += ["objective.attention=0"] * (objective == "nted" and generator != "nted")
    config = load_config(f"config/{generator}_256.yaml", overrides(generator, dataset, *more))
    trainer = Trainer(config, tmp_path / "run", ALONE)
    before = [p.detach().clone() for p in trainer.engine.networks["generator"].parameters()]
    trainer.train()
    assert trainer.engine.step == 2
    after = trainer.engine.networks["generator"].parameters()
    changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(changed) > 0.9 * len(changed)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["nimg"]) for line in lines] == [(1, 2), (2, 4)]
    assert all(torch.isfinite(torch.tensor(list(line.values()))).all() for line in lines)
    assert ("d_real_step_nll" in lines[0]) == (steps > 1)
    assert lines[0]["r1"] > 0


def test_a_training_without_a_discriminator_is_one_phase(dataset, tmp_path):
    weights = ("gan", "step", "r1_gamma")
    more = ["discriminator=null", *(f"objective.{name}=0" for name in weights)]
    with pytest.raises(ValueError, match=r"discriminator is null.*set objective\.gan=0 objective\.step=0$"):
        tiny("dptn", dataset, "discriminator=null")
    trainer = Trainer(tiny("dptn", dataset, *more, "trainer.eval_every=1"), tmp_path / "run", ALONE)
    trainer.train()
    assert [phase.name for phase in trainer.engine.phases] == ["generator"]
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert line["l1"] > 0 and "gan" not in line and "d_real" not in line
    assert Trainer(tiny("dptn", dataset, *more), tmp_path / "run", ALONE).engine.step == 2


def test_options_that_do_nothing_or_something_else_are_said(dataset, tmp_path, command, caplog):
    flags = ["--config=config/unet_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}", "trainer.epochs=25"]
    idle = ["trainer.eval_protocol=offline", "trainer.start_with=trained", "discriminator.step=projection"]
    more = [*overrides("unet", dataset), "schedule.num_steps=1", "rollout.window=null", *idle]
    assert command(train.main, *flags, *more) == 0
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "optim.decay_epochs is 100, trainer.epochs 25: learning rates start at 25 % and fall",
        "trainer.eval_protocol is offline, but trainer.eval_every is null: nothing is validated",
        "trainer.start_with is trained, but trainer.start_from is null: the run begins afresh",
        "discriminator.step is projection, but there is one step: nothing is told",
    ]
    caplog.clear()
    assert command(train.main, *flags, "optim.decay_epochs=25", "--no_resume", *overrides("unet", dataset)) == 0
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_resume_is_bitwise_equal(system, dataset, tmp_path):
    through = Trainer(tiny(system, dataset, "trainer.max_steps=5"), tmp_path / "through", ALONE)
    through.train()
    Trainer(tiny(system, dataset, "trainer.max_steps=2"), tmp_path / "halves", ALONE).train()
    resumed = Trainer(tiny(system, dataset, "trainer.max_steps=5"), tmp_path / "halves", ALONE)
    assert resumed.engine.step == 2
    resumed.train()
    states = [trainer.engine.state() for trainer in (through, resumed)]
    assert same(*[{**state, "config": ""} for state in states])
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("through", "halves")]
    assert logs[0] == logs[1]


def test_wasserstein_with_gradient_penalty_trains(dataset, tmp_path):
    more = ["objective.gan_mode=wasserstein", "objective.gradient_penalty=10"]
    trainer = Trainer(tiny("dptn", dataset, *more), tmp_path / "run", ALONE)
    trainer.train()
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])["gradient_penalty"] > 0


def test_a_global_batch_is_shared_among_processes_and_micro_batches(dataset):
    config = tiny("nted", dataset, "trainer.batch_size=12", "trainer.max_batch_per_process=4")
    assert micro_batches(config, 1) == (4, 3)
    assert micro_batches(config, 2) == (3, 2)
    with pytest.raises(ValueError, match="not a multiple of the 5 processes"):
        micro_batches(config, 5)


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_two_processes_equal_one(system, dataset, tmp_path):
    """One process that accumulates two micro-batches sees the same, up to summation order.

    Biases in front of an instance norm have a gradient of zero, whose rounding Adam blows up: weights are compared.
    """
    more = ["trainer.max_batch_per_process=2", "trainer.batch_size=4"]
    arguments = [f"--config=config/{system}_256.yaml", f"--checkpoints_dir={tmp_path}"]
    config = tiny(system, dataset, *more)
    Trainer(config, tmp_path / "one", ALONE).train()
    window = ["schedule.num_steps=4"] if system == "nted" else ["schedule.num_steps=2"]
    keys = overrides(system, dataset, *window, "rollout.window=2", *more)
    done = subprocess.run([*TWO_PROCESSES, "train.py", *arguments, "--name=two", *keys], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (torch.load(tmp_path / name / "checkpoints" / "step_00000002.pt") for name in ("one", "two"))
    for network in ("generator", "discriminator", "generator_ema"):
        for key, value in [(key, value) for key, value in one[network].items() if value.dim() > 1]:
            torch.testing.assert_close(value, two[network][key], rtol=2e-3, atol=2e-5, msg=f"{network}.{key}")
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    for left, right in zip(*([json.loads(line) for line in log] for log in logs), strict=True):
        assert left == pytest.approx(right, rel=1e-3)
