"""What tests of commands share: a way to call one, and runs with random weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.cli import run
from tests.runs import NUM_STEPS, save_run, tiny_config


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Call an entry point as a command line with these words does, in this process; returns its exit code."""

    def call(main: Callable[[], int | None], *words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
        return run(main)

    return call


@pytest.fixture(scope="session")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a tiny run of each system under its name, to be read only."""
    folder = tmp_path_factory.mktemp("result")
    for system in NUM_STEPS:
        save_run(folder / system, tiny_config(system, dataset))
    return folder
