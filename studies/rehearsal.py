"""A dry run: whether a training could start on this machine, and what it would take. It writes nothing."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch.utils._pytree import tree_leaves

from config.load import dump_config
from config.schema import Config
from data.loader import Batch
from images.writing import check_place
from losses.families import build_objective
from studies.flops import CountFlops
from trainers.distributed import World
from trainers.stored import read_model
from trainers.trackers import check_trackers
from trainers.trainer import Trainer, training_pairs
from trainers.validation import test_pairs

TIMED_STEPS = 3
UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def missing(config: Config, folder: Path) -> list[str]:
    """What this machine lacks for a run in `folder`, a line each; empty where nothing does."""
    checks: dict[str, Callable[[], object]] = {
        "training data": lambda: training_pairs(config)[0],
        "test data": lambda: test_pairs(config)[0],
        "weights of the losses": lambda: build_objective(config.objective),
        "trackers": lambda: check_trackers(config.trainer.trackers),
        "folder of the run": lambda: check_place(folder / "config.yaml"),
    }
    if config.trainer.start_from:
        checks["trainer.start_from"] = lambda: read_model(str(config.trainer.start_from))
    found = []
    for what, check in checks.items():
        try:
            check()
        except (ValueError, OSError) as error:
            found.append(f"{what}: {error}")
    return found


def rehearse(config: Config, folder: Path, world: World) -> list[str]:
    """Take a few steps of a run as it would go on now, and forget them; returns lines on what it would take.

    Raises:
        ValueError: the training could not start, or the disk is too small for its checkpoints.
    """
    trainer = Trainer(config, folder, world, dry_run=True)
    left = trainer.total_steps - trainer.engine.step
    batches = next(iter(trainer.batches()), None)
    if batches is None:
        return [f"all {trainer.total_steps} steps are done"]
    flops, seconds = measured(trainer, batches)
    epoch = len(trainer.dataset) / config.trainer.batch_size
    shares = f"{world.size} processes x {trainer.num_micro} micro-batches x {trainer.micro_batch_size} pairs"
    return [
        dump_config(config),
        *(
            f"{name}: {sum(parameter.numel() for parameter in network.parameters()):,} parameters"
            for name, network in trainer.engine.networks.items()
        ),
        f"a step: {config.trainer.batch_size} pairs ({shares}), {flops / 1e9:.4g} GFLOP of a process, "
        f"{seconds:.3g} s on {world.device} in {trainer.engine.dtype}",
        f"memory of a process: {peak_bytes(world.device) / 2**30:.2f} GiB at the most",
        f"an epoch: {epoch:.1f} steps of {len(trainer.dataset)} pairs",
        disk(trainer),
        f"left: {left} of {trainer.total_steps} steps, {clock(left * seconds)} without drawing, scoring and saving",
    ]


def measured(trainer: Trainer, batches: list[Batch]) -> tuple[float, float]:
    """(FLOPs, seconds) of a step of one process, phases that are seldom due counted by their share."""
    interval = max(phase.interval for phase in trainer.engine.phases)
    # every phase is due at step 0, at step 1 only those of every step
    costs = [(cost(trainer, batches, step=0), 1 / interval), (cost(trainer, batches, step=1), 1 - 1 / interval)]
    flops, seconds = (sum(part[index] * share for part, share in costs) for index in (0, 1))
    return flops, seconds


def cost(trainer: Trainer, batches: list[Batch], step: int) -> tuple[float, float]:
    """(FLOPs, seconds) of one step; the counted one comes first and warms up."""
    engine, seconds = trainer.engine, []
    engine.step = step
    with torch.compiler.set_stance("force_eager"), CountFlops() as counter:
        engine.train_step(batches, 0)
    for _ in range(TIMED_STEPS + trainer.config.trainer.compile):
        engine.step, start = step, time.perf_counter()
        engine.train_step(batches, 0)
        if engine.world.device.type == "cuda":
            torch.cuda.synchronize(engine.world.device)
        seconds.append(time.perf_counter() - start)
    return counter.flops, median(seconds)


def peak_bytes(device: torch.device) -> int:
    """The most memory so far: of the device, or of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def disk(trainer: Trainer) -> str:
    """A line on what checkpoints take; raises ValueError where there is no room for them."""
    settings = trainer.config.trainer
    size, snapshot = (
        sum(leaf.nbytes for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor))
        for state in (trainer.state(), trainer.engine.snapshot())
    )
    # one more is written before the oldest goes
    number = settings.keep_checkpoints + 1 + (settings.eval_every is not None)
    place = next(parent for parent in trainer.folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    whole = number * size + -(-trainer.total_steps // settings.checkpoint_every) * snapshot
    kinds = f"{number} checkpoints of {size / 1e6:.1f} MB{' and all snapshots' if snapshot else ''}"
    line = f"disk: {kinds}, {whole / 1e9:.3g} GB of {free / 1e9:.3g} free"
    if whole > free:
        raise ValueError(f"{line}: free the disk, lower trainer.keep_checkpoints or choose another --checkpoints_dir")
    return line


def clock(seconds: float) -> str:
    """A duration in its largest fitting unit."""
    unit, length = next((item for item in UNITS if seconds >= item[1]), UNITS[-1])
    return f"{seconds / length:.1f} {unit}"
