"""Checkpoints as they were written before format 2 still resume; which options make a run another one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from config.load import dump_config, load_config
from tests.trainers.test_ema import live_vectors
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers.engine import Engine
from trainers.saving import RUN_KEYS, check_run
from trainers.trainer import Trainer

R1 = ["objective.r1_gamma=1", "objective.r1_interval=16"]
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")
# of the names and shapes in a file that commit 0d7c6eb wrote for the tiny run of each system
STRUCTURES = {
    "nted": {
        "generator": "f3ce05be5909be44",
        "discriminator": "0a411a7428d2cfa3",
        "generator_ema": "f3ce05be5909be44",
        "generator_optimizer": "4c3274fdf9db3b99",
        "discriminator_optimizer": "f107f0a9af297c4c",
    },
    "dptn": {
        "generator": "8732be810929f832",
        "discriminator": "d9261ab5fbaa89c8",
        "generator_ema": "8732be810929f832",
        "generator_optimizer": "286e89749c1fbc7e",
        "discriminator_optimizer": "453921d48c59ae5d",
    },
}


def structure(part: dict) -> str:
    """A digest of the names and shapes of a network's state, or of Adam's moments in the order of its weights."""
    for index, moments in part.get("state", {}).items():
        part = {**part, **{f"{index}.{name}": value for name, value in moments.items()}}
    lines = sorted(f"{name} {list(value.shape)}" for name, value in part.items() if isinstance(value, torch.Tensor))
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def as_0d7c6eb_wrote(engine: Engine) -> dict:
    """R1's last value as a tensor of its own, the live network's singular vectors in the average, no word on data."""
    state = engine.state()
    old = {name: state[name] for name in ("config", "step", "nimg", "skipped", *engine.networks, *OPTIMIZERS)}
    return {**old, "format": 1, "r1": torch.tensor(0.125), "generator_ema": live_vectors(engine)}


@pytest.fixture(params=["nted", "dptn"])
def system(request) -> str:
    return request.param


def test_a_checkpoint_of_format_1_resumes(system, dataset, tmp_path):
    """As the run that never stopped, but for the average's singular vectors, which become its own."""
    through = Trainer(tiny(system, dataset, *R1, "trainer.max_steps=2"), tmp_path / "through", ALONE)
    through.train()
    old = as_0d7c6eb_wrote(through.engine)
    (tmp_path / "resumed" / "checkpoints").mkdir(parents=True)
    torch.save(old, tmp_path / "resumed" / "checkpoints" / "step_00000002.pt")
    config = tiny(system, dataset, *R1, "trainer.max_steps=3")
    trainers = [Trainer(config, tmp_path / name, ALONE) for name in ("through", "resumed")]
    assert [trainer.engine.step for trainer in trainers] == [2, 2]
    for trainer in trainers:
        trainer.train()
    states = [trainer.engine.state() for trainer in trainers]
    for name in ("generator", "discriminator", *OPTIMIZERS):
        assert same(*(state[name] for state in states)), name
    averages = [{k: v for k, v in s["generator_ema"].items() if not k.endswith(("._u", "._v"))} for s in states]
    assert same(*averages)
    lines = [(tmp_path / name / "log.jsonl").read_text().splitlines()[-1] for name in ("through", "resumed")]
    left, right = (json.loads(line) for line in lines)
    assert right.pop("r1") == 0.125 and left.pop("r1") > 0
    assert left == right and left["step"] == 3


def test_networks_and_moments_have_the_names_and_shapes_of_old_files(system):
    config = tiny(system, "none", *R1)
    engine = Engine(config, ALONE)
    for name, network in engine.networks.items():
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        engine.guard.step(engine.optimizers[name], {})
    state = engine.state()
    assert {name: structure(state[name]) for name in STRUCTURES[system]} == STRUCTURES[system]


# of config/dptn_256.yaml: a value that makes it another run, and one of every option that may change on resuming
ANOTHER_RUN = {
    "seed": 1,
    "data.image_size": [320, 224],
    "data.pose": "skeleton",
    "data.pose_strokes.radius": 2,
    "data.map_channels": 2,
    "data.augment_scale": 1.5,
    "data.num_sources": 2,
    "schedule.num_steps": 6,
    "rollout.window": 3,
    "rollout.bidirectional": True,
    "rollout.degrade_source": False,
    "generator.num_TTBs": 3,
    "discriminator.ndf": 16,
    "objective.l1": 9.0,
    "objective.channel_divisor": 2,
    "optim.generator.lr": 0.001,
    "optim.discriminator.betas": [0.5, 0.5],
    "optim.decay_epochs": 3,
    "trainer.start_from": "result/another",
    "trainer.start_with": "trained",
    "trainer.freeze": ["generator"],
    "trainer.batch_size": 8,
    "trainer.post_hoc_ema": [0.1],
    "trainer.ema_half_life": 5.0,
}
THE_SAME_RUN = {
    "data.root": "elsewhere",
    "data.num_workers": 1,
    "data.on_error": "skip",
    "data.max_bad_lines": 7,
    "trainer.epochs": 300,
    "trainer.max_steps": 7,
    "trainer.max_minutes": 3.0,
    "trainer.max_batch_per_process": 2,
    "trainer.trackers": ["wandb"],
    "trainer.log_every": 7,
    "trainer.sample_every": 7,
    "trainer.checkpoint_every": 7,
    "trainer.keep_checkpoints": 7,
    "trainer.eval_every": 7,
    "trainer.eval_pairs": 7,
    "trainer.eval_protocol": "offline",
    "trainer.best_metric": "l1",
    "trainer.precision": "fp32",
    "trainer.compile": True,
    "trainer.deterministic": False,
    "trainer.recompute_activations": True,
}
FILE = Path("step_00000001.pt")


def config(*changes: str):
    return load_config("config/dptn_256.yaml", ["objective.perceptual_net=random", *changes])


@pytest.mark.parametrize("key", ANOTHER_RUN)
def test_an_option_that_makes_another_run_is_refused_on_resuming(key):
    with pytest.raises(ValueError, match=rf"belongs to another config \({key}: .* there, .* here\)"):
        check_run(FILE, dump_config(config()), config(f"{key}={json.dumps(ANOTHER_RUN[key])}"))


@pytest.mark.parametrize("key", THE_SAME_RUN)
def test_an_option_of_the_machine_or_the_length_may_change_on_resuming(key):
    check_run(FILE, dump_config(config()), config(f"{key}={json.dumps(THE_SAME_RUN[key])}"))


def test_every_option_either_makes_another_run_or_may_change():
    """A new option of data, rollout or trainer must be put into one of the two tables above."""
    sections = config().model_dump()
    another = {".".join(key.split(".")[:2]) for key in ANOTHER_RUN}
    for section in ("data", "rollout", "trainer"):
        assert {f"{section}.{name}" for name in sections[section]} <= another | THE_SAME_RUN.keys()
    whole = sections.keys() - {"data", "trainer"}
    assert whole | {key for key in another if key.startswith(("data.", "trainer."))} == set(RUN_KEYS)
