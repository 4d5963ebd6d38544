"""Whether the other processes are alive: each one counts on a shared board, and each watches the counts of the others.

A process that only waits, or takes long over a step, a checkpoint or a compilation, goes on counting. One that was
killed, stopped, or whose machine is gone does not, and then the others end at once, wherever they happen to wait: a
collective operation on a GPU cannot be called off in any gentler way.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch.distributed as dist

LOG = logging.getLogger(__name__)
EXIT_LOST = 3
BEATS_PER_TIMEOUT = 10


class Pulse:
    """The counts of all processes, as this one has seen them change.

    Args:
        board: a store that all processes share. rank, size: of this process and of all.
    """

    def __init__(self, board: Any, rank: int, size: int) -> None:
        self.board, self.rank, self.count = board, rank, 0
        self.counts = {other: b"" for other in range(size) if other != rank}
        self.listen_anew()
        board.set(f"pulse/{rank}", "0")

    def listen_anew(self) -> None:
        """Give every other process its whole time again."""
        self.heard = dict.fromkeys(self.counts, time.monotonic())

    def beat(self) -> None:
        """Count one further and look at the others; may take for ever where the board's process is stopped."""
        self.count += 1
        self.board.set(f"pulse/{self.rank}", str(self.count))
        for other, before in self.counts.items():
            self.counts[other] = self.board.get(f"pulse/{other}")
            if self.counts[other] != before:
                self.heard[other] = time.monotonic()

    def silent(self, seconds: float) -> list[int]:
        """The processes that showed no sign of life for so long."""
        now = time.monotonic()
        return [other for other, since in self.heard.items() if now - since > seconds]


@contextmanager
def heartbeat(rank: int, size: int, control: Any, timeout_seconds: float) -> Iterator[None]:
    """Count and watch, each in a thread; this process ends with `EXIT_LOST` and a message when another is silent."""
    pulse, leaving = Pulse(_shared_board(rank, control, timeout_seconds), rank, size), threading.Event()
    dist.barrier(group=control)  # every process has its count on the board
    pulse.listen_anew()
    for target in (_beat, _watch):
        threading.Thread(target=target, args=(pulse, leaving, timeout_seconds), daemon=True).start()
    try:
        yield
        # all leave together: one that has left would look silent to the others
        dist.barrier(group=control)
    finally:
        leaving.set()


def _beat(pulse: Pulse, leaving: threading.Event, timeout_seconds: float) -> None:
    while not leaving.wait(timeout_seconds / BEATS_PER_TIMEOUT):
        try:
            pulse.beat()
        except RuntimeError:  # the board's process is gone, and so will be silent
            return


def _watch(pulse: Pulse, leaving: threading.Event, timeout_seconds: float) -> None:
    looked = time.monotonic()
    while not leaving.wait(timeout_seconds / BEATS_PER_TIMEOUT):
        before, looked = looked, time.monotonic()
        if looked - before > timeout_seconds:  # this process was stopped itself, perhaps with all the others
            pulse.listen_anew()
        if silent := pulse.silent(timeout_seconds):
            LOG.error(
                "error: another process was lost (no sign of life of process %s for %g s); run the same command again",
                ", ".join(map(str, silent)),
                timeout_seconds,
            )
            logging.shutdown()
            os._exit(EXIT_LOST)


def _shared_board(rank: int, control: Any, timeout_seconds: float) -> dist.TCPStore:
    """A store of its own, on a free port of process 0's machine: another's may not answer while it waits."""
    host, wait = os.environ.get("MASTER_ADDR", "localhost"), timedelta(seconds=timeout_seconds)
    port = [0]
    if rank == 0:
        board = dist.TCPStore(host, 0, None, is_master=True, timeout=wait, wait_for_workers=False)
        port = [board.port]
    dist.broadcast_object_list(port, src=0, group=control)
    if rank:
        board = dist.TCPStore(host, port[0], None, is_master=False, timeout=wait, wait_for_workers=False)
    return board
