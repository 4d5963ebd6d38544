"""How fast a training step is, against the same step done the obvious way.

python -m benchmarks.train_step --config config/nted_256.yaml [--batch B] [--mode plain|fast|both] [key=value ...]

Times whole steps on synthetic batches, R1 included by its share of the steps, and prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.operations import Operations
from benchmarks.plain import PlainEngine
from config.cli import run
from config.load import load_config
from config.schema import Config
from models.device import resolve_precision
from trainers.distributed import World
from trainers.engine import Engine
from trainers.phases import Batch

MODES: dict[str, type[Engine]] = {"plain": PlainEngine, "fast": Engine}


def main() -> None:
    arguments = parse()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    modes = list(MODES) if arguments.mode == "both" else [arguments.mode]
    results = {}
    for mode in modes:
        try:
            results[mode] = measure(mode, config_of(mode, arguments), device, arguments.steps)
        except torch.OutOfMemoryError as error:
            sys.stderr.write(f"{mode} does not fit; --batch takes fewer pairs ({error})\n")
    report: dict[str, Any] = {"config": arguments.config, "device": device_name(device), "torch": torch.__version__}
    report |= {"threads": torch.get_num_threads(), "modes": results}
    if len(results) == 2:
        report["ratio"] = results["fast"]["pairs_per_second"] / results["plain"]["pairs_per_second"]
    sys.stdout.write(table(report) + "\n" + json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument("--batch", type=int, help="pairs a step; default: trainer.max_batch_per_process")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both", help="which step to time")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after two that warm up")
    parser.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    return parser.parse_args()


def config_of(mode: str, arguments: argparse.Namespace) -> Config:
    plain = ["trainer.precision=fp32", "trainer.compile=false"] if mode == "plain" else []
    return benchmark_config(arguments.config, [*arguments.overrides, *plain], arguments.batch)


def benchmark_config(path: str, overrides: list[str], batch: int | None) -> Config:
    """A config whose step is one micro-batch of `batch` pairs; None: `trainer.max_batch_per_process`.

    VGG's random weights cost what ImageNet's do and need no download.
    """
    keys = ["objective.vgg.weights=random", *overrides]
    size = batch or load_config(path, keys).trainer.max_batch_per_process
    return load_config(path, [*keys, f"trainer.batch_size={size}", f"trainer.max_batch_per_process={size}"])


def measure(mode: str, config: Config, device: torch.device, num_steps: int) -> dict[str, Any]:
    """Times and FLOPs of one way to take a step."""
    engine, batch = MODES[mode](config, World(0, 1, device)), synthetic_batch(config, device)
    interval = config.objective.r1_interval if config.objective.r1_gamma else None

    def step(with_r1: bool) -> None:
        engine.step = 0 if with_r1 else 1
        engine.train_step([batch], epoch=0)

    # counted before anything is timed: counting runs a compiled step eagerly, which needs more memory
    usual_flops = count_flops(lambda: step(False))
    flops = usual_flops + (count_flops(lambda: step(True)) - usual_flops) / interval if interval else usual_flops
    reset_peak(device)
    seconds = time_of(lambda: step(False), num_steps, device)
    phases = phase_times(engine, batch, num_steps, device)
    if interval:
        extra_seconds = time_of(lambda: step(True), max(num_steps // 2, 1), device) - seconds
        seconds += extra_seconds / interval
        phases["r1_amortised"] = 1e3 * extra_seconds / interval
    rate = matmul_rate(device, engine.dtype)
    return {
        "pairs_per_second": config.trainer.batch_size / seconds,
        "ms_per_step": 1e3 * seconds,
        "ms_per_phase": phases,
        "peak_memory_gib": peak_memory(device),
        "tflops": flops / seconds / 1e12,
        "matmul_tflops": rate / 1e12,
        "share_of_matmul": flops / seconds / rate,
        "precision": str(engine.dtype).removeprefix("torch."),
        "batch": config.trainer.batch_size,
        "image_size": list(config.data.image_size),
    }


def phase_times(engine: Engine, batch: Batch, num_steps: int, device: torch.device) -> dict[str, float]:
    """Milliseconds of the generator's and the discriminator's phase with their optimizer steps."""
    batch = engine._laid_out(batch)
    _, windows = engine._optimize(engine.generator_phase, engine.generator_optimizer, [batch])
    calls = {
        "generator": lambda: engine._optimize(engine.generator_phase, engine.generator_optimizer, [batch]),
        "discriminator": lambda: engine._optimize(engine.discriminator_phase, engine.discriminator_optimizer, windows),
    }
    return {name: 1e3 * time_of(call, num_steps, device, warm_up=1) for name, call in calls.items()}


def time_of(call: Callable[[], Any], repeats: int, device: torch.device, warm_up: int = 2) -> float:
    """Seconds of one call, the mean of several after a few to warm up."""
    for _ in range(warm_up):
        call()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def count_flops(call: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products and convolutions of a call."""
    with torch.compiler.set_stance("force_eager"), Operations() as operations:
        call()
    return operations.total.flops


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Measured operations a second of a large matrix product; of fp32 numbers as convolutions multiply them."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    matmul, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before, matmul.allow_tf32 = matmul.allow_tf32, convolutions.allow_tf32
    try:
        return 2 * size**3 / time_of(lambda: left @ right, 10 if device.type == "cuda" else 3, device)
    finally:
        matmul.allow_tf32 = before


def synthetic_batch(config: Config, device: torch.device) -> Batch:
    """Random numbers in the shape of a finished batch."""
    random = torch.Generator().manual_seed(0)
    count, (height, width) = config.trainer.batch_size, config.data.image_size
    directions = 2 if config.rollout.bidirectional else 1

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random)

    eyes = torch.tensor([0.45 * width, 0.15 * height, 0.58 * width, 0.16 * height]).repeat(count, 1)
    images, poses = (count, 3, height, width), (count, config.data.pose_channels, height, width)
    batch = {
        "source_image": uniform(*images) * 2 - 1,
        "target_image": uniform(*images) * 2 - 1,
        "source_pose": uniform(*poses),
        "target_pose": uniform(*poses),
        "source_face": eyes,
        "target_face": eyes,
        "noise": torch.randn(count, directions, 3, height, width, generator=random),
        "start": uniform(count, directions),
    }
    return {name: value.to(device) for name, value in batch.items()}


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """GiB at the most: of the GPU, or resident in this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    units = "bf16 matrix units" if resolve_precision("auto", device) is torch.bfloat16 else "no bf16 matrix units"
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}, {units}"


def table(report: dict[str, Any]) -> str:
    """The report for a person, as Markdown."""
    lines = [f"{report['config']} on {report['device']}, torch {report['torch']}, {report['threads']} threads", ""]
    lines += ["| mode | precision | pairs/s | ms/step | generator ms | discriminator ms | TFLOP/s | of matmul | GiB |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for mode, row in report["modes"].items():
        phases = row["ms_per_phase"]
        lines.append(
            f"| {mode} | {row['precision']} | {row['pairs_per_second']:.2f} | {row['ms_per_step']:.0f} | "
            f"{phases['generator']:.0f} | {phases['discriminator']:.0f} | {row['tflops']:.3f} | "
            f"{row['share_of_matmul']:.0%} | {row['peak_memory_gib']:.1f} |"
        )
    if "ratio" in report:
        lines += ["", f"fast is {report['ratio']:.2f} times plain"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(main))
