"""What a training step needs of a device that is not at hand: arithmetic, memory traffic, time at least, and memory.

python -m benchmarks.shapes --config config/nted_256.yaml [--batch_size B] [key=value ...]

Walks whole steps with tensors that have a shape and no contents (PyTorch's fake tensors). Every operation takes the
longer of two times: its floating-point operations at the device's rate, and the bytes of its arguments and results at
the memory's bandwidth. Eager PyTorch cannot be faster than the sum, but for what caches keep. A compiler may fuse what
is no matrix product or convolution, at best until it costs nothing: the time of the matrix operations alone is printed
too. Memory is the bytes of all storages alive at a time: weights, EMA, gradients, optimizer states, activations.

Nothing here is measured. What a device adds of its own (workspaces, fragmentation, the CUDA context) is not in it, and
autocast is the CPU's: a GPU's keeps softmax in fp32, some 3 % more. The default rates are those of the NVIDIA H200's
data sheet, dense, which are an H100's but for its bandwidth (3.35 TB/s).
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.worker import benchmark_config
from config.cli import Parser, run
from config.schema import Config
from studies.flops import Batch, flops_of, synthetic_batch
from trainers.distributed import World
from trainers.engine import Engine

NUM_NAMED = 10
DEVICE = torch.device("cpu")
FLOPS, BYTES, ARITHMETIC, SECONDS = range(4)
# of each kind of operation: FLOPs, bytes read and written, seconds of the FLOPs alone, seconds at least
Tally = dict[str, np.ndarray]
aten = torch.ops.aten
# results without a kernel
_FREE = {aten._unsafe_view, aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}
# what they write they do not read
_OVERWRITING = {aten.copy_, aten.zero_, aten.fill_, aten.normal_, aten.uniform_}


@dataclass(frozen=True)
class Device:
    """Operations a second of matrix products in bf16 and of fp32 numbers, which go as TF32; bytes a second."""

    bf16: float
    tf32: float
    bandwidth: float

    def cost(self, dtype: torch.dtype, flops: int, num_bytes: int) -> np.ndarray:
        """A row of a tally."""
        arithmetic = flops / (self.bf16 if dtype is torch.bfloat16 else self.tf32)
        return np.array([flops, num_bytes, arithmetic, max(arithmetic, num_bytes / self.bandwidth)])


class Counter(TorchDispatchMode):
    """Counts what every operation inside costs, and the bytes of all storages that it makes, until they are freed.

    Attributes:
        tally: by kind of operation. now, peak: bytes alive, and at the most.
    """

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device, self.tally, self.now, self.peak = device, Tally(), 0, 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        results, arguments = _tensors(result), _tensors((args, kwargs))
        for tensor in results:
            self.hold(tensor.untyped_storage())
        # `prim` holds questions about tensors, e.g. where they are
        costs_nothing = func.namespace != "aten" or func.is_view or func.overloadpacket in _FREE
        if not costs_nothing and (results or arguments):
            dtype = (results or arguments)[0].dtype
            name = f"{func.overloadpacket.__name__} {str(dtype).removeprefix('torch.')}"
            num_bytes = _bytes(func, args, kwargs, arguments, results)
            cost = self.device.cost(dtype, flops_of(func, args, kwargs, result), num_bytes)
            self.tally[name] = self.tally.get(name, np.zeros(4)) + cost
        return result

    def hold(self, storage: torch.UntypedStorage) -> None:
        """Count a storage, once, for as long as it lives."""
        key = storage._cdata
        if key in self._alive:
            return
        self._alive.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, storage.nbytes())

    def taken(self) -> tuple[Tally, int]:
        """The tally and the peak since the last time."""
        tally, peak = self.tally, self.peak
        self.tally, self.peak = Tally(), self.now
        return tally, peak

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


def main() -> None:
    arguments = parse()
    device = Device(*(1e12 * getattr(arguments, name) for name in ("bf16", "tf32", "bandwidth")))
    keys = ["trainer.precision=bf16", "trainer.compile=false", *arguments.overrides]
    config = benchmark_config(arguments.config, keys, arguments.batch_size)
    report = {"config": arguments.config, "overrides": arguments.overrides, "batch": config.trainer.batch_size}
    report |= measure(config, device)
    sys.stdout.write(table(report) + "\n" + json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = Parser(description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument("--batch_size", type=int, help="pairs a step; default: what one process takes at once")
    parser.add_argument("--bf16", type=float, default=989, help="TFLOP/s of matrix products in bf16")
    parser.add_argument("--tf32", type=float, default=494, help="TFLOP/s of matrix products of fp32 numbers")
    parser.add_argument("--bandwidth", type=float, default=4.8, help="TB/s of the memory")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    return parser.parse_intermixed_args()


def measure(config: Config, device: Device) -> dict[str, Any]:
    """What the table says, in SI units: operations with R1's share of the steps, memory without R1 and with it."""
    interval = config.objective.r1_interval if config.objective.r1_gamma else None
    with hollow(config, device) as (engine, batch, counter), counter:
        engine.train_step([batch], epoch=0.0)  # makes the optimizers' states
        counter.taken()
        peaks = {"between_steps": counter.now}
        engine.step = 1
        engine.train_step([batch], epoch=0.0)
        tally, peaks["step"] = counter.taken()
        if interval:
            engine.step = 0
            engine.train_step([batch], epoch=0.0)
            lazy, peaks["step_with_r1"] = counter.taken()
            none = np.zeros(4)
            tally = {kind: tally.get(kind, none) * (1 - 1 / interval) + lazy[kind] / interval for kind in lazy}
    return summary(tally, device) | {"peak_bytes": peaks}


@contextmanager
def hollow(config: Config, device: Device) -> Iterator[tuple[Engine, Batch, Counter]]:
    """An engine and a batch for it, of tensors that have shapes and no contents, and what counts them."""
    counter = Counter(device)

    def emptied(tensor: Tensor, memo: Any) -> Any:
        made = fake.from_tensor(tensor)
        counter.hold(made.untyped_storage())
        return made

    # whatever this machine has, networks choose as for bf16 matrix units
    with patch("models.device._cpu_has", lambda question: True):
        full = Engine(config, World(0, 1, DEVICE)), synthetic_batch(config, DEVICE)
        with FakeTensorMode(allow_non_fake_inputs=True) as fake:
            with patch.object(Tensor, "__deepcopy__", emptied), patch.object(nn.Parameter, "__deepcopy__", emptied):
                engine, batch = copy.deepcopy(full)
            yield engine, batch, counter


def summary(tally: Tally, device: Device) -> dict[str, Any]:
    """Sums over all operations, over those of matrices, and the slowest kinds."""
    total = sum(tally.values(), np.zeros(4))
    matrix = sum((row for row in tally.values() if row[FLOPS]), np.zeros(4))
    slowest = sorted(tally.items(), key=lambda item: -item[1][SECONDS])
    return {
        "flops": total[FLOPS],
        "bytes": total[BYTES],
        "seconds": total[SECONDS],
        "matrix_seconds": matrix[SECONDS],
        "arithmetic_seconds": matrix[ARITHMETIC],
        "share_of_bf16": total[FLOPS] / total[SECONDS] / device.bf16,
        "share_of_bf16_if_the_rest_were_free": total[FLOPS] / matrix[SECONDS] / device.bf16,
        "slowest": [[kind, row[SECONDS], row[ARITHMETIC]] for kind, row in slowest[:NUM_NAMED]],
    }


def table(report: dict[str, Any]) -> str:
    """The report for a person, as Markdown."""
    name, flops, num_bytes = " ".join([report["config"], *report["overrides"]]), report["flops"], report["bytes"]
    return "\n".join(
        [
            f"{name}, {report['batch']} pairs a step: {flops / 1e12:.1f} TFLOP, {num_bytes / 1e9:.0f} GB",
            "",
            "| a step takes at least | ms | of the bf16 rate |",
            "|---|---|---|",
            f"| eager | {1e3 * report['seconds']:.1f} | {report['share_of_bf16']:.0%} |",
            f"| if all but matrix operations were free | {1e3 * report['matrix_seconds']:.1f} | "
            f"{report['share_of_bf16_if_the_rest_were_free']:.0%} |",
            f"| if memory were free too | {1e3 * report['arithmetic_seconds']:.1f} | |",
            "",
            "| memory at the most | GiB |",
            "|---|---|",
            *(f"| {part.replace('_', ' ')} | {size / 2**30:.1f} |" for part, size in report["peak_bytes"].items()),
            "",
            "| slowest operations | ms | of it arithmetic |",
            "|---|---|---|",
            *(f"| {kind} | {1e3 * time:.2f} | {1e3 * part:.2f} |" for kind, time, part in report["slowest"]),
        ]
    )


def _bytes(func: Any, args: Any, kwargs: Any, arguments: list[Tensor], results: list[Tensor]) -> int:
    """Arguments are read, what the schema says is written is written, and so are results that are no argument."""
    held = {tensor.untyped_storage()._cdata for tensor in arguments}
    if func.overloadpacket in _OVERWRITING:
        arguments = arguments[1:]
    made = [tensor for tensor in results if tensor.untyped_storage()._cdata not in held]
    return sum(map(_size, [*arguments, *_written(func, args, kwargs), *made]))


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The arguments that an operation changes in place."""
    given = dict(enumerate(args)) | kwargs
    changed = []
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            changed += _tensors(given.get(index, given.get(argument.name)))
    return changed


def _size(tensor: Tensor) -> int:
    """Bytes of a tensor; what `expand` repeats is there once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


if __name__ == "__main__":
    sys.exit(run(main))
