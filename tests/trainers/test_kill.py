"""A training killed again and again leaves the same log as one that nothing disturbed."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from tests.tiny import overrides
from tests.trainers.test_trainer import same
from trainers.checkpoints import list_checkpoints, load_checkpoint

PATIENCE_SECONDS = 60


def command(system: str, dataset: Path, folder: Path, name: str, max_steps: int) -> list[str]:
    """The words of the command, the same after every kill."""
    steps = {"nted": 4, "dptn": 2}[system]
    flags = ["train.py", f"--config=config/{system}_256.yaml", f"--name={name}", f"--checkpoints_dir={folder}"]
    more = [f"schedule.num_steps={steps}", "rollout.window=1", "objective.r1_gamma=1", "objective.r1_interval=2"]
    more += ["trainer.checkpoint_every=1", "trainer.keep_checkpoints=2", f"trainer.max_steps={max_steps}"]
    return [*flags, *overrides(system, dataset, *more)]


def in_a_process(words: list[str]) -> multiprocessing.Process:
    """`train.py` with these words, forked: PyTorch is imported already."""

    def work() -> None:
        sys.argv = words
        torch.set_num_threads(1)
        os._exit(train.main())

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.is_alive() and time.monotonic() < deadline, f"exit code {process.exitcode}"
        time.sleep(0.01)


def newest(folder: Path) -> int:
    found = list_checkpoints(folder / "checkpoints")
    return int(found[-1].stem.removeprefix("step_")) if found else 0


@pytest.mark.parametrize(
    ("system", "kills"),
    [
        ("nted", 3),
        ("dptn", 2),
        pytest.param("nted", 10, marks=pytest.mark.slow),
        pytest.param("dptn", 10, marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_again_and_again_equals_one_that_was_not(system, kills, dataset, tmp_path):
    """SIGKILL between 0 and 0.4 s after the run has saved a step: in a step, a write, a log line, a clean-up."""
    random, run = np.random.default_rng(0), tmp_path / "killed"
    for _ in range(kills):
        before = newest(run)
        process = in_a_process(command(system, dataset, tmp_path, "killed", max_steps=10**6))
        wait_for(lambda: newest(run) > before, process)  # noqa: B023
        time.sleep(float(random.uniform(0, 0.4)))
        process.kill()
        process.join()
        assert newest(run) > before, "a kill costs no saved step"
    last = newest(run) + 2
    for name in ("killed", "undisturbed"):
        process = in_a_process(command(system, dataset, tmp_path, name, last))
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("killed", "undisturbed")]
    assert logs[0] == logs[1]
    assert [json.loads(line)["step"] for line in logs[0].splitlines()] == list(range(1, last + 1))
    states = [
        load_checkpoint(tmp_path / name / "checkpoints" / f"step_{last:08d}.pt") for name in ("killed", "undisturbed")
    ]
    assert same(*({**state, "config": ""} for state in states))
