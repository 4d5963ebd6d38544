"""How much memory a training step needs, worked out without a device and without the memory.

python -m benchmarks.memory --config config/nted_512.yaml [--batch B] [key=value ...]

Walks one whole training step, R1 included, with tensors that have a shape and no contents (PyTorch's fake tensors), and
adds up the storages alive at a time: weights, EMA, gradients, optimizer states, activations. What a device adds of its
own (workspaces, fragmentation, the CUDA context) is not in it, and autocast is the CPU's: a GPU's keeps softmax in
fp32, some 3 % more.
"""

from __future__ import annotations

import argparse
import json
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.train_step import benchmark_config, synthetic_batch
from config.cli import run
from config.schema import Config
from trainers.distributed import World
from trainers.engine import Engine
from trainers.phases import Batch

DEVICE = torch.device("cpu")


class LiveStorages(TorchDispatchMode):
    """Counts the bytes of every storage that an operation makes, until it is freed.

    Attributes:
        now, peak: bytes alive, and at the most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self.count(tensor.untyped_storage())
        return result

    def count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._alive:
            return
        self._alive.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, storage.nbytes())

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_512.yaml")
    parser.add_argument("--batch", type=int, help="pairs a process at once; default: trainer.max_batch_per_process")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    arguments = parser.parse_args()
    keys = ["trainer.precision=bf16", "trainer.compile=false", *arguments.overrides]
    config = benchmark_config(arguments.config, keys, arguments.batch)
    report = {"config": arguments.config, "batch": config.trainer.batch_size, "precision": config.trainer.precision}
    report |= {"recompute_activations": config.trainer.recompute_activations}
    report |= {f"{name}_gib": size / 2**30 for name, size in step_memory(config).items()}
    sys.stdout.write(json.dumps(report) + "\n")


def step_memory(config: Config) -> dict[str, int]:
    """Bytes alive at the most in each phase of one micro-batch, and between two steps (`standing`)."""
    peaks, memory = {}, LiveStorages()
    with fake_engine(config) as (engine, batch):
        for network in _networks(engine):
            for tensor in (*network.parameters(), *network.buffers()):
                memory.count(tensor.untyped_storage())
        with memory:
            engine.train_step([batch], epoch=0)
            batch, engine.step = engine._laid_out(batch), 1
            peaks["standing"] = memory.peak = memory.now
            _, windows = engine._optimize(engine.generator_phase, engine.optimizers["generator"], [batch])
            peaks["generator"], memory.peak = memory.peak, memory.now
            engine._optimize(engine.discriminator_phase, engine.optimizers["discriminator"], windows)
            peaks["discriminator"], memory.peak = memory.peak, memory.now
            if config.objective.r1_gamma:
                engine._optimize(engine.discriminator_phase, engine.optimizers["discriminator"], windows, r1=True)
                peaks["r1"] = memory.peak
    return peaks


@contextmanager
def fake_engine(config: Config, kind: type[Engine] = Engine) -> Iterator[tuple[Engine, Batch]]:
    """An engine and a batch for it, of tensors that have a shape and no contents, and the mode that they need."""
    engine, batch = kind(config, World(0, 1, DEVICE)), synthetic_batch(config, DEVICE)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        empty(engine, fake)
        yield engine, {name: fake.from_tensor(value) for name, value in batch.items()}


def empty(engine: Engine, fake: FakeTensorMode) -> None:
    """Replace every tensor of an engine by one of the same shape without contents."""
    made: dict[int, Any] = {}

    def emptied(tensor: Tensor) -> Any:
        if id(tensor) not in made:
            made[id(tensor)] = fake.from_tensor(tensor)
        return made[id(tensor)]

    for network in _networks(engine):
        for module in network.modules():
            for table in (module._parameters, module._buffers):
                table.update({name: emptied(value) for name, value in table.items() if value is not None})
    for optimizer in (engine.optimizers["generator"], engine.optimizers["discriminator"]):
        for group in optimizer.param_groups:
            group["params"] = [emptied(parameter) for parameter in group["params"]]
    engine.r1, engine.guard.skipped = emptied(engine.r1), emptied(engine.guard.skipped)


def _networks(engine: Engine) -> tuple[nn.Module, ...]:
    return engine.generator_phase, engine.discriminator_phase, engine.generator_ema


if __name__ == "__main__":
    sys.exit(run(main))
