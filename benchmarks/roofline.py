"""What bounds a training step on a device that is not at hand: its arithmetic or its memory.

python -m benchmarks.roofline --config config/nted_256.yaml [--mode plain|fast|both] [--batch B] [key=value ...]

Walks the steps of `benchmarks.train_step` with tensors that have a shape and no contents, and gives every operation the
longer of two times: its floating-point operations at the device's rate, and the bytes of its arguments and results at
the memory's bandwidth. Eager PyTorch cannot be faster than the sum, but for what caches keep. A compiler may fuse what
is no matrix product or convolution, at best until it costs nothing: the time of the matrix operations alone is printed
too.

Nothing here is measured, and autocast is the CPU's: a GPU's keeps softmax in fp32, some 3 % more. The default rates are
those of the NVIDIA H200's data sheet, dense.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from benchmarks.memory import fake_engine
from benchmarks.operations import Cost, Kind, Operations
from benchmarks.train_step import MODES, benchmark_config
from config.cli import run
from config.schema import Config
from trainers.engine import Engine

NUM_NAMED = 10
FLOPS, BYTES, ARITHMETIC, SECONDS = range(4)
# of each kind of operation: FLOPs, bytes, seconds of the FLOPs alone, seconds on the roofline
Tally = dict[Kind, np.ndarray]


@dataclass(frozen=True)
class Device:
    """Operations a second in each format, and bytes a second.

    tf32 is what PyTorch multiplies fp32 numbers as: in convolutions always, in matrix products where a run in bf16
    allows it; fp32 for the matrix products of a run in fp32.
    """

    bf16: float
    tf32: float
    fp32: float
    bandwidth: float

    def rate(self, kind: Kind) -> float:
        if kind.dtype is torch.bfloat16:
            return self.bf16
        return self.tf32 if "convolution" in kind.name else self.fp32

    def tally(self, kind: Kind, cost: Cost) -> np.ndarray:
        arithmetic, memory = cost.flops / self.rate(kind), cost.bytes / self.bandwidth
        return np.array([cost.flops, cost.bytes, arithmetic, max(arithmetic, memory)])


def main() -> None:
    arguments = parse()
    device = Device(*(1e12 * getattr(arguments, name) for name in ("bf16", "tf32", "fp32", "bandwidth")))
    modes = list(MODES) if arguments.mode == "both" else [arguments.mode]
    report: dict[str, Any] = {"config": arguments.config, "modes": {}}
    for mode in modes:
        config = config_of(mode, arguments)
        # what `models.device` allows in bf16
        rates = replace(device, fp32=device.tf32) if config.trainer.precision == "bf16" else device
        report["modes"][mode] = summary(step_tally(config, MODES[mode], rates), config, device.bf16)
    if len(modes) == 2:
        plain, fast = (report["modes"][mode]["seconds"] for mode in modes)
        report["ratio"], report["ratio_fused"] = plain / fast, plain / report["modes"]["fast"]["matrix_seconds"]
    sys.stdout.write(table(report) + "\n" + json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument("--batch", type=int, help="pairs a step; default: trainer.max_batch_per_process")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both", help="which step to walk")
    parser.add_argument("--bf16", type=float, default=989, help="TFLOP/s of matrix products in bf16")
    parser.add_argument("--tf32", type=float, default=494, help="TFLOP/s of TF32")
    parser.add_argument("--fp32", type=float, default=67, help="TFLOP/s of matrix products of fp32 numbers")
    parser.add_argument("--bandwidth", type=float, default=4.8, help="TB/s of the memory")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    return parser.parse_args()


def config_of(mode: str, arguments: argparse.Namespace) -> Config:
    precision = {"plain": "fp32", "fast": "bf16"}[mode]
    keys = [f"trainer.precision={precision}", "trainer.compile=false", *arguments.overrides]
    return benchmark_config(arguments.config, keys, arguments.batch)


def step_tally(config: Config, kind: type[Engine], device: Device) -> Tally:
    """One training step, R1 by its share of the steps."""
    with fake_engine(config, kind) as (engine, batch), numbers_answered():

        def step(with_r1: bool) -> None:
            engine.step = 0 if with_r1 else 1
            engine.train_step([batch], epoch=0)

        step(with_r1=True)  # makes the optimizers' states
        usual = _tally(lambda: step(False), device)
        if not config.objective.r1_gamma:
            return usual
        lazy, none = _tally(lambda: step(True), device), np.zeros(4)
    interval = config.objective.r1_interval
    return {kind: usual.get(kind, none) * (1 - 1 / interval) + lazy[kind] / interval for kind in lazy}


@contextmanager
def numbers_answered() -> Iterator[None]:
    """The plain step asks tensors for their numbers, which these do not have: levels and boxes become 0, counts 1."""

    def zeros(tensor: Tensor) -> Any:
        return np.zeros(tensor.shape, float if tensor.is_floating_point() else int).tolist()

    with patch.object(FakeTensor, "tolist", zeros), patch.object(Tensor, "item", lambda tensor: 1.0):
        yield


def summary(tally: Tally, config: Config, peak: float) -> dict[str, Any]:
    """What the table says, in SI units; `peak` is the rate that shares are of."""
    total = sum(tally.values(), np.zeros(4))
    matrix = sum((row for row in tally.values() if row[FLOPS]), np.zeros(4))
    flops, seconds = total[FLOPS], total[SECONDS]
    slowest = sorted(tally.items(), key=lambda item: -item[1][SECONDS])
    return {
        "precision": config.trainer.precision,
        "batch": config.trainer.batch_size,
        "flops": flops,
        "bytes": total[BYTES],
        "seconds": seconds,
        "matrix_seconds": matrix[SECONDS],
        "arithmetic_seconds": matrix[ARITHMETIC],
        "share_of_matmul": flops / seconds / peak,
        "share_of_matmul_if_the_rest_were_free": flops / matrix[SECONDS] / peak,
        "pairs_per_second": config.trainer.batch_size / seconds,
        "slowest": [[_name(kind), row[SECONDS], row[ARITHMETIC]] for kind, row in slowest[:NUM_NAMED]],
    }


def table(report: dict[str, Any]) -> str:
    """The report for a person, as Markdown."""
    lines = []
    for mode, row in report["modes"].items():
        lines += [
            f"{report['config']}, {mode}, {row['precision']}, {row['batch']} pairs a step: "
            f"{row['flops'] / 1e12:.1f} TFLOP, {row['bytes'] / 1e9:.0f} GB",
            "",
            "| a step takes at least | ms | of the bf16 rate |",
            "|---|---|---|",
            f"| eager | {1e3 * row['seconds']:.1f} | {row['share_of_matmul']:.0%} |",
            f"| if all but matrix operations were free | {1e3 * row['matrix_seconds']:.1f} | "
            f"{row['share_of_matmul_if_the_rest_were_free']:.0%} |",
            f"| if memory were free too | {1e3 * row['arithmetic_seconds']:.1f} | |",
            "",
            "| slowest operations | ms | of it arithmetic |",
            "|---|---|---|",
        ]
        lines += [f"| {name} | {1e3 * seconds:.2f} | {1e3 * part:.2f} |" for name, seconds, part in row["slowest"]]
        lines += [""]
    if "ratio" in report:
        lines += [
            f"with both at these bounds fast is {report['ratio']:.1f} times plain, "
            f"and at most {report['ratio_fused']:.1f} times if compiled code were free",
        ]
    return "\n".join(lines)


def _tally(call: Callable[[], None], device: Device) -> Tally:
    with Operations() as operations:
        call()
    return {
        kind: np.sum([device.tally(kind, cost) for cost in costs], axis=0) for kind, costs in operations.costs.items()
    }


def _name(kind: Kind) -> str:
    return f"{kind.name} {str(kind.dtype).removeprefix('torch.')}"


if __name__ == "__main__":
    sys.exit(run(main))
