"""Lost processes are noticed, busy ones are not taken for lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from typing import Any

import pytest

from trainers.distributed import connect
from trainers.heartbeat import EXIT_LOST, Pulse

TIMEOUT = 1.5
PATIENCE = 30


class Board(dict):
    """A store in one process."""

    def set(self, key: str, value: str) -> None:
        self[key] = value.encode()

    def get(self, key: str) -> bytes:
        return self[key]


def test_a_process_that_stops_counting_is_named(monkeypatch):
    now, board = [100.0], Board()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first, second, third = (Pulse(board, rank, 3) for rank in range(3))
    for seconds in (0, 4, 4):  # the second process counts once, the others go on
        now[0] += seconds
        third.beat()
        if seconds == 0:
            second.beat()
        first.beat()
        assert first.silent(8) == []
    now[0] += 1
    assert first.silent(8) == [1]


def work(rank: int, port: int, busy_seconds: float, met: Any) -> None:
    """Meet the other process, wait for it while it is busy, and leave."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT=str(port))
    with connect(TIMEOUT) as world:
        met.release()
        if rank == 0:
            time.sleep(busy_seconds)
        world.barrier()


def start(busy_seconds: float) -> list:
    """Two processes, once they have met."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    met = fork.Semaphore(0)
    processes = [fork.Process(target=work, args=(rank, port, busy_seconds, met)) for rank in range(2)]
    for process in processes:
        process.start()
    for _ in processes:
        assert met.acquire(timeout=PATIENCE)
    return processes


def test_a_busy_process_is_not_taken_for_lost():
    processes = start(busy_seconds=3 * TIMEOUT)
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_process_ends_the_other(stopped):
    """SIGSTOP: the process is there, its connections are open, and it never answers."""
    processes = start(busy_seconds=3600)
    os.kill(processes[stopped].pid, signal.SIGSTOP)
    other = processes[1 - stopped]
    try:
        other.join(PATIENCE)
        assert other.exitcode == EXIT_LOST
    finally:
        for process in processes:
            process.kill()
            process.join()
