"""Memory that is freed and wanted again, seen from outside: by the page faults of a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MEGABYTES, ROUNDS = 64, 20
PROGRAM = f"""
import resource, threading, torch
from trainers.distributed import connect
def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones({MEGABYTES} << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def work():
    faults({ROUNDS})  # the heap finds its size
    print(faults({ROUNDS}))
with connect():
    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what glibc asks of Linux")


def page_faults(**environment: str) -> list[int]:
    """Of a command's process that makes a tensor and frees it, again and again, in its first thread and in another."""
    unset = ("MALLOC_", "GLIBC_TUNABLES")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    settings = {**clean, "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def pages(rounds: int) -> int:
    return rounds * (MEGABYTES << 20) // os.sysconf("SC_PAGE_SIZE")


def test_memory_that_was_freed_is_not_fetched_again():
    assert max(page_faults()) < pages(rounds=1) / 10


def test_settings_of_the_users_own_are_kept():
    """Here one that maps every block over 1 MB, so that each tensor is fetched anew."""
    assert min(page_faults(MALLOC_MMAP_THRESHOLD_="1048576")) >= pages(ROUNDS)
