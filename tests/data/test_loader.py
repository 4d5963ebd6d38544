"""Loader processes and signals."""

from __future__ import annotations

import multiprocessing
import os
import signal

import cv2
import pytest
import torch
from torch.utils.data._utils import signal_handling

from data import loader
from tests.tiny import SIZE, pair_dataset


@pytest.mark.parametrize("number", loader.STOP_SIGNALS)
def test_a_worker_survives_a_signal_that_comes_before_it_has_started(number, dataset, monkeypatch):
    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", lambda: os.kill(os.getpid(), number))
    batches = loader.test_loader(pair_dataset(dataset, "test", SIZE, "skeleton"), 1, num_workers=1)
    assert len(list(batches)) == len(batches) > 0
    assert not multiprocessing.active_children()


def test_a_worker_that_hangs_is_killed_by_its_owner(dataset, monkeypatch):
    """PyTorch would ask it to end with a signal that it does not hear, and wait for ever at exit."""
    batches = iter(loader.test_loader(pair_dataset(dataset, "test", SIZE, "skeleton"), 1, num_workers=1))
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGSTOP)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)
    batches.close()
    worker.join(10)
    assert worker.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()], ids=repr)
def test_a_batch_lost_with_the_process_that_made_it_is_a_lost_worker(error):
    """PyTorch raises its own error only where it finds the process already gone."""

    def batches():
        raise error
        yield

    with pytest.raises(loader.LostWorker, match="DataLoader worker was lost"):
        loader._next(batches())


class Threads:
    """Its samples say how many threads OpenCV has where they are made."""

    def __getitem__(self, draw: object) -> dict[str, torch.Tensor]:
        return {"threads": torch.tensor(cv2.getNumThreads())}

    def __len__(self) -> int:
        return 2


def test_opencv_has_no_threads_when_processes_are_forked(monkeypatch):
    """They would be missing in the new process, which waits for them for ever when it sets their number itself."""
    owner, set_threads = os.getpid(), cv2.setNumThreads
    set_threads(2)

    def checked(number: int) -> None:
        assert os.getpid() == owner, "set in a process that was forked"
        set_threads(number)

    monkeypatch.setattr(cv2, "setNumThreads", checked)
    batches = loader.Batches(Threads(), [[0], [1]], num_workers=2, pin_memory=False)
    assert [int(batch["threads"]) for batch in batches] == [1, 1]
