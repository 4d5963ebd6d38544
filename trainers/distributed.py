"""One process or many: torchrun's environment, agreement between processes, averages for the log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from config.cli import EXIT_BAD_INPUT, EXIT_LOST
from data.loader import LostWorker
from models.allocator import keep_freed_memory

START_WAIT = timedelta(minutes=5)


class FailedElsewhere(Exception):
    """Another process failed, and says how; `exit_code` is for all."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__("another process failed; its message says how")


@dataclass(frozen=True)
class World:
    """This process among all. `control` carries small messages on the CPU; None where there is one process."""

    rank: int
    size: int
    device: torch.device
    control: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def maximum(self, value: int) -> int:
        """The largest of all processes' numbers, so that they agree; all must call it, as often as each other."""
        if self.size == 1:
            return value
        message = torch.tensor([value])
        dist.all_reduce(message, dist.ReduceOp.MAX, group=self.control)
        return int(message)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Where any process meets bad input or loses a loader worker inside, one raises it, others FailedElsewhere."""
        error = None
        try:
            yield
        except (ValueError, OSError) as caught:
            error = caught
        code = EXIT_LOST if isinstance(error, LostWorker) else EXIT_BAD_INPUT if error else 0
        worst = self.maximum(code)
        if not worst:
            return
        # of those whose failure is the worst, the last one speaks
        speaker = self.maximum(self.rank if code == worst else -1)
        raise error if error and self.rank == speaker else FailedElsewhere(worst)

    def mean(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Each term averaged over the processes, as numbers; waits for the device."""
        if not terms:
            return {}
        values = torch.stack([term.detach().float() for term in terms.values()])
        if self.size > 1:
            values = values.cpu()
            dist.all_reduce(values, group=self.control)
            values /= self.size
        return dict(zip(terms, values.tolist(), strict=True))

    def mean_on_device(self, value: Tensor) -> Tensor:
        """A tensor averaged over the processes, without waiting for the device."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
            value /= self.size
        return value

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier(group=self.control)


@contextmanager
def connect(timeout_seconds: float = 1800) -> Iterator[World]:
    """Join the processes that torchrun or torch.distributed.launch started; alone without them.

    nccl on CUDA devices, gloo on the CPU. A process that dies is noticed at once, by its closed connections or by
    torchrun; one that is frozen, or whose machine is gone, after `timeout_seconds` of waiting for it. Processes may
    take `START_WAIT` to start. On the CPU they keep the memory that they free.

    Raises:
        ValueError: the timeout is not positive, the environment's numbers are none, or a process has no GPU of its own.
    """
    size, rank = _from_environment("WORLD_SIZE", 1, at_least=1), _from_environment("RANK", 0)
    if rank >= size:
        raise ValueError(f"RANK is {rank} in the environment, of {size} processes (WORLD_SIZE); unset both")
    if not timeout_seconds > 0:
        raise ValueError(f"the timeout is {timeout_seconds} s; it must be positive")
    device = _device(_from_environment("LOCAL_RANK", 0))
    if device.type == "cpu":
        keep_freed_memory()
    if size == 1:
        yield World(0, 1, device)
        return
    wait = timedelta(seconds=timeout_seconds)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=wait)
    try:
        control: Any = dist.new_group(backend="gloo", timeout=wait)
        dist.monitored_barrier(group=control, timeout=START_WAIT)
        yield World(rank, size, device, control)
    finally:
        dist.destroy_process_group()


def is_lost_process(error: RuntimeError) -> bool:
    """Whether an error of PyTorch means that a peer has died or gone silent."""
    if isinstance(error, dist.DistError):
        return True
    signs = ("Connection closed by peer", "Connection reset by peer", "Timed out", "timed out")
    return any(sign in str(error) for sign in signs)


def _from_environment(name: str, default: int, at_least: int = 0) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < at_least:
        raise ValueError(f"{name} is {text!r} in the environment, not a whole number from {at_least} on; unset it")
    return int(text)


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise ValueError(
            f"process {local_rank} of this machine has no GPU of its own ({torch.cuda.device_count()} found): "
            "start as many processes as there are GPUs"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
