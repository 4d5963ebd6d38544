"""The fast training step against the plain one."""

from __future__ import annotations

import pytest
import torch

from config.load import load_config
from studies.flops import synthetic_batch
from tests.plain import be_plain
from tests.tiny import overrides
from trainers.distributed import World
from trainers.engine import Engine

ALONE = World(0, 1, torch.device("cpu"))
NUM_STEPS = 20
WINDOWS = {"nted": ["schedule.num_steps=4", "rollout.window=2"], "dptn": ["schedule.num_steps=2", "rollout.window=2"]}
# a tiny learning rate, since Adam blows rounding up to it
RATES = ["optim.generator.lr=1e-8", "optim.discriminator.lr=1e-8", "objective.r1_gamma=1", "objective.r1_interval=8"]


def losses(system: str, precision: str) -> list[dict[str, float]]:
    """Every term of twenty steps; not the accuracies, where rounding moves whole images."""
    sizes = ["trainer.batch_size=2", f"trainer.precision={precision}"]
    config = load_config(f"config/{system}_256.yaml", overrides(system, "none", *WINDOWS[system], *RATES, *sizes))
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
    found = (engine.train_step([batch], epoch=0) for _ in range(NUM_STEPS))
    return [{k: float(v) for k, v in terms.items() if "accuracy" not in k} for terms in found]


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_fast_equals_plain_at_every_term_over_twenty_steps(monkeypatch, system):
    fast = {precision: losses(system, precision) for precision in ("fp32", "bf16")}
    be_plain(monkeypatch)
    plain = losses(system, "fp32")
    for precision, tolerance in (("fp32", 1e-5), ("bf16", 5e-2)):
        for step, (left, right) in enumerate(zip(plain, fast[precision], strict=True)):
            for name, value in left.items():
                assert right[name] == pytest.approx(value, rel=tolerance, abs=tolerance * 1e-2), (step, name)
