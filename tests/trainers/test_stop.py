"""What asks a training to stop, and what kills its loader workers, with as many workers as there are by default."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.load import load_config
from data.options import DataConfig
from tests.runs import TWO_PROCESSES, children, start_training, tiny_config
from tests.trainers.test_trainer import ALONE
from trainers import saving
from trainers.signals import StopRequest, stop_request
from trainers.trainer import Ending, Trainer

WORKERS = f"data.num_workers={DataConfig().num_workers}"
PATIENCE_SECONDS = 60


def saved_step(folder: Path) -> int:
    state = saving.newest_whole(folder / "run" / "checkpoints", set_aside=False)
    return state["step"] if state else 0


def is_running(process: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_for_end(processes: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_running, processes)):
        assert time.monotonic() < deadline, f"of {processes} some are left"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        ((sys.executable,), signal.SIGTERM),
        pytest.param((sys.executable,), signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param((sys.executable,), signal.SIGINT, marks=pytest.mark.slow),
        pytest.param((sys.executable,), signal.SIGUSR1, marks=pytest.mark.slow),
        # what it does when the time is over, too: the command first, then the group
        (("timeout", "3600", sys.executable), signal.SIGHUP),
    ],
    ids=str,
)
def test_a_stopped_run_saves_and_the_same_command_continues(launcher, number, dataset, tmp_path):
    """The signal reaches the whole process group, as that of a terminal, a batch system or `timeout` does."""
    process = start_training(dataset, tmp_path, WORKERS, launcher=launcher)
    trainer = children(process.pid)[0] if launcher[0] == "timeout" else process.pid
    workers = children(trainer)
    assert len(workers) == DataConfig().num_workers
    if launcher[0] == "timeout":
        process.send_signal(number)
    else:
        os.killpg(process.pid, number)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 75, output[-2000:]
    assert "Traceback" not in output
    wait_for_end(workers)
    step = saved_step(tmp_path)
    assert step >= 1 and f"stopped by a signal at step {step}" in output
    config = load_config(tmp_path / "run" / "config.yaml", ["data.num_workers=0", f"trainer.max_steps={step + 1}"])
    resumed = Trainer(config, tmp_path / "run", ALONE)
    assert resumed.engine.step == step
    assert resumed.train() is Ending.FINISHED


def test_a_stopped_torchrun_saves(dataset, tmp_path):
    process = start_training(dataset, tmp_path, WORKERS, launcher=TWO_PROCESSES)
    process.terminate()
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    step = saved_step(tmp_path)
    assert step >= 1, output[-2000:]
    assert output.count(f"stopped by a signal at step {step}") == 1


@pytest.mark.parametrize("launcher", [(sys.executable,), TWO_PROCESSES], ids=["one", "two"])
def test_a_killed_loader_worker_is_one_line_after_saving(launcher, dataset, tmp_path):
    process = start_training(dataset, tmp_path, WORKERS, launcher=launcher)
    trainers = [process.pid] if launcher is not TWO_PROCESSES else children(process.pid)
    workers = [worker for trainer in trainers for worker in children(trainer)]
    os.kill(workers[-1], signal.SIGKILL)
    output = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert output.count("error: ") == 1 and "DataLoader worker" in output, output[-2000:]
    assert process.returncode == 3 if len(trainers) == 1 else "exitcode  : 3" in output
    assert saved_step(tmp_path) >= 1
    wait_for_end(workers)


def test_no_worker_outlives_a_killed_trainer(dataset, tmp_path):
    process = start_training(dataset, tmp_path, WORKERS)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    wait_for_end(workers)


def test_a_stop_during_start_up_ends_before_the_first_step(dataset, tmp_path):
    trainer = Trainer(tiny_config("dptn", dataset), tmp_path / "run", ALONE)
    request = StopRequest()
    request.receive(signal.SIGTERM, None)
    assert trainer.train(request) is Ending.ASKED_TO_STOP
    assert trainer.engine.step == 0 and saved_step(tmp_path) == 0


@pytest.mark.parametrize("moment", ["validating", "saving"])
def test_a_stop_while_a_run_validates_or_saves_saves_and_ends(moment, dataset, tmp_path, monkeypatch):
    more = ["trainer.eval_every=1", "trainer.eval_pairs=3", "trainer.max_batch_per_process=1", "trainer.max_steps=9"]
    trainer = Trainer(tiny_config("dptn", dataset, *more, "trainer.checkpoint_every=1"), tmp_path / "run", ALONE)
    scored, written = [], []

    def stop_and_score(engine, batch, score=trainer.validation._score):
        scored.append(engine.step)
        if moment == "validating":
            signal.raise_signal(signal.SIGHUP)
        return score(engine, batch)

    def stop_and_write(folder, state, keep, write=saving.save_checkpoint):
        written.append(state["step"])
        if moment == "saving":
            signal.raise_signal(signal.SIGHUP)
        return write(folder, state, keep)

    monkeypatch.setattr(trainer.validation, "_score", stop_and_score)
    monkeypatch.setattr(saving, "save_checkpoint", stop_and_write)
    with stop_request() as request:
        assert trainer.train(request) is Ending.ASKED_TO_STOP
    assert saved_step(tmp_path) == trainer.engine.step == written[-1] == 2
    # the first of three pairs, or none: the rest of a validation may take longer than a launcher waits
    assert scored == ([1] if moment == "validating" else [])


def test_a_signal_that_is_ignored_stays_ignored():
    """`nohup` sets SIGHUP so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_request() as request:
            signal.raise_signal(signal.SIGHUP)
        assert not request.received
    finally:
        signal.signal(signal.SIGHUP, before)
