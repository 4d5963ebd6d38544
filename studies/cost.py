"""What a configuration costs: floating-point operations of a training step and of an image, parameters, seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from config.schema import Config
from models.families import build_schedule
from models.rollout import Pair, generate
from studies.flops import Batch, CountFlops, synthetic_batch
from trainers.distributed import World
from trainers.engine import Engine


@dataclass(frozen=True)
class Cost:
    """Operations of an optimizer step (R1 by its share) and of all steps of one drawn image, and the generator's size.

    seconds: of an optimizer step where this was counted; None: not timed.
    """

    step_flops: float
    image_flops: float
    parameters: int
    seconds: float | None = None


def cost_of(config: Config, device: torch.device, timed: bool = False) -> Cost:
    """Count the operations of a configuration, on steps of one and of two pairs, and take the time of whole ones.

    All operations are a constant (spectral norm) and so much a pair; raises ValueError where a network cannot be built.
    """
    world, interval = World(0, 1, device), config.objective.r1_interval if config.objective.r1_gamma else None
    engine, found = Engine(_with_batch(config, 1), world), []
    for size in (1, 2):
        batch = synthetic_batch(_with_batch(config, size), device)
        usual, every = (_flops_of_step(engine, batch, step) for step in (1, 0))
        found.append(usual + (every - usual) / interval if interval else usual)
    batch_size = config.trainer.batch_size
    return Cost(
        step_flops=found[0] + (found[1] - found[0]) * (batch_size - 1),
        image_flops=_flops_of_image(engine, config, device),
        parameters=sum(parameter.numel() for parameter in engine.networks["generator"].parameters()),
        seconds=_seconds_of_step(config, world) if timed else None,
    )


def _with_batch(config: Config, size: int) -> Config:
    """The same with so many pairs at once, uncompiled: operations are counted one by one."""
    sizes = {"batch_size": size, "max_batch_per_process": size, "compile": False}
    return config.model_copy(update={"trainer": config.trainer.model_copy(update=sizes)})


def _flops_of_step(engine: Engine, batch: Batch, step: int) -> int:
    engine.step = step
    with CountFlops() as counter:
        engine.train_step([batch], epoch=0.0)
    return counter.flops


def _flops_of_image(engine: Engine, config: Config, device: torch.device) -> int:
    batch = synthetic_batch(_with_batch(config, 1), device)
    schedule = build_schedule(config.schedule, config.data.image_size).to(device)
    pair = Pair(batch["source_image"], batch["source_pose"], batch["target_pose"])
    with CountFlops() as counter, engine.autocast():
        list(generate(engine.generator_ema, schedule, pair, batch["noise"][:, 0], config.rollout.degrade_source))
    return counter.flops


def _seconds_of_step(config: Config, world: World, steps: int = 2) -> float:
    """The fastest of so many whole steps, after one that warms up."""
    size = min(config.trainer.batch_size, config.trainer.max_batch_per_process)
    engine, batch = Engine(config, world), synthetic_batch(_with_batch(config, size), world.device)
    batches = [batch] * -(-config.trainer.batch_size // size)
    engine.step = 1
    engine.train_step(batches, epoch=0.0)
    return min(_seconds(lambda: engine.train_step(batches, epoch=0.0), world.device) for _ in range(steps))


def _seconds(call: Callable[[], Any], device: torch.device) -> float:
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
