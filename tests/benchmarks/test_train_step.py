"""The fast training step against the plain one."""

from __future__ import annotations

from contextlib import ExitStack
from unittest.mock import patch

import pytest
import torch

from benchmarks.plain import PlainEngine
from benchmarks.train_step import count_flops, synthetic_batch
from config.load import load_config
from tests.tiny import overrides
from trainers.distributed import World
from trainers.engine import Engine

ALONE = World(0, 1, torch.device("cpu"))
NUM_STEPS = 20


def losses(engine_class, system: str, precision: str) -> list[dict[str, float]]:
    """Every term of twenty steps; a tiny learning rate, since Adam blows rounding up to it."""
    window = (
        ["schedule.num_steps=4", "rollout.window=2"]
        if system == "nted"
        else ["schedule.num_steps=2", "rollout.window=2"]
    )
    rates = [
        "optim.generator.lr=1e-8",
        "optim.discriminator.lr=1e-8",
        "objective.r1_gamma=1",
        "objective.r1_interval=8",
    ]
    keys = overrides(system, "none", *window, *rates, "trainer.batch_size=2", f"trainer.precision={precision}")
    config = load_config(f"config/{system}_256.yaml", keys)
    engine, batch = engine_class(config, ALONE), synthetic_batch(config, ALONE.device)
    return [{k: float(v) for k, v in engine.train_step([batch], epoch=0).items()} for _ in range(NUM_STEPS)]


@pytest.mark.parametrize(
    ("system", "precision", "tolerance"),
    [
        ("nted", "fp32", 1e-5),
        ("dptn", "fp32", 1e-5),
        ("dptn", "bf16", 5e-2),
        ("nted", "bf16", 5e-2),
    ],
)
def test_fast_equals_plain_at_every_term_over_twenty_steps(system, precision, tolerance):
    plain, fast = losses(PlainEngine, system, "fp32"), losses(Engine, system, precision)
    for step, (left, right) in enumerate(zip(plain, fast, strict=True)):
        for name, value in left.items():
            assert right[name] == pytest.approx(value, rel=tolerance, abs=tolerance * 1e-2), (step, name)


def test_a_training_step_waits_for_the_device_only_when_it_logs():
    """Nothing in a step turns a tensor into a number, or numbers into a tensor, which on a GPU is a copy that waits."""
    config = load_config("config/nted_256.yaml", overrides("nted", "none", "schedule.num_steps=4", "rollout.window=2"))
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)

    def refuse(*arguments, **options):
        raise AssertionError("a number was asked for, or given")

    engine.train_step([batch], epoch=0)  # makes the optimizers' states
    places = [(torch.Tensor, "item"), (torch.Tensor, "tolist"), (torch, "tensor"), (torch, "as_tensor")]
    with ExitStack() as refusals:
        for place, name in places:
            refusals.enter_context(patch.object(place, name, refuse))
        engine.train_step([batch], epoch=0)


def test_the_operations_of_a_step_with_r1_are_counted():
    """The gradient of a gradient costs operations of its own; a matrix product costs 2 n^3."""
    square = torch.randn(8, 8)
    assert count_flops(lambda: square @ square) == 2 * 8**3
    layer = torch.nn.Linear(4, 4, bias=False)

    def penalty() -> None:
        images = torch.randn(2, 4, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(layer(images)).sum(), images, create_graph=True)
        gradient.square().sum().backward()

    forward = 2 * (2 * 2 * 4 * 4)
    assert count_flops(penalty) > 3 * forward
