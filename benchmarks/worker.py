"""One process of `benchmarks.train_step`: an engine on a synthetic batch that takes a step when it is told to.

It is started in the folder of the revision that it measures and imports that one's code, so it relies only on what all
of them have: `load_config`, `connect`, `Engine(config, world)`, `engine.step` and `engine.train_step(batches, epoch)`.
Older ones lack `studies`, which is then taken from here.
Commands are lines of the standard input, each is answered by a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from config.load import load_config
from config.schema import Config
from losses.perceptual import PerceptualConfig
from studies.flops import CountFlops, synthetic_batch
from trainers.distributed import connect
from trainers.engine import Engine


def main() -> None:
    path, batch_size, num_threads, *overrides = sys.argv[1:]
    # answers go where the standard output went; what the libraries print joins the errors
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if int(num_threads):
        torch.set_num_threads(int(num_threads))
    with connect() as world:
        config = benchmark_config(path, overrides, int(batch_size) or None, world.size)
        engine = Engine(config, world)
        batch = synthetic_batch(config, world.device, world.size)

        def step(kind: str) -> None:
            engine.step = 0 if kind == "r1" else 1
            engine.train_step([batch], epoch=0.0)

        answers.write(json.dumps(description(config, engine, world.device)) + "\n")
        for command in sys.stdin:
            work, _, kind = command.strip().partition(" ")
            if work == "count" and config.trainer.compile:
                step(kind)  # counting runs it eagerly
            call = {"count": count, "time": timed}[work]
            answers.write(json.dumps(call(partial(step, kind), world.device)) + "\n")


def benchmark_config(path: str, overrides: list[str], batch: int | None, num_processes: int = 1) -> Config:
    """A config whose step is one micro-batch of `batch` pairs a process; None: as many as one process takes at once.

    VGG's random weights cost what ImageNet's do and need no download.
    """
    config = load_config(path, overrides)
    trainer, keys = config.trainer, list(overrides)
    if isinstance(config.objective, PerceptualConfig):
        keys.insert(0, "objective.perceptual_net=random")
    size = batch or min(trainer.batch_size, trainer.max_batch_per_process)
    sizes = [f"trainer.batch_size={size * num_processes}", f"trainer.max_batch_per_process={size}"]
    return load_config(path, [*keys, *sizes])


def description(config: Config, engine: Engine, device: torch.device) -> dict[str, Any]:
    """What is measured, as far as this revision decides it."""
    return {
        "batch": config.trainer.batch_size,
        "image_size": list(config.data.image_size),
        "precision": str(engine.dtype).removeprefix("torch."),
        "r1_interval": config.objective.r1_interval if config.objective.r1_gamma else None,
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def count(call: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Floating-point operations of the matrix products and convolutions of a call; it warms up too."""
    with torch.compiler.set_stance("force_eager"), CountFlops() as counter:
        call()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return {"flops": counter.flops}


def timed(call: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Seconds on the clock and of all processor time, pages fetched, and the most memory so far in GiB."""
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    seconds, processor = time.perf_counter(), time.process_time()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else usage.ru_maxrss << 10
    return {
        "seconds": time.perf_counter() - seconds,
        "cpu_seconds": time.process_time() - processor,
        "page_faults": usage.ru_minflt - pages,
        "peak_gib": peak / 2**30,
    }


if __name__ == "__main__":
    main()
