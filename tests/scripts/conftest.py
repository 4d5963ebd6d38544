"""What tests of commands share: runs with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import NUM_STEPS, save_run, tiny_config


@pytest.fixture(scope="session")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a tiny run of each system under its name, to be read only."""
    folder = tmp_path_factory.mktemp("result")
    for system in NUM_STEPS:
        save_run(folder / system, tiny_config(system, dataset))
    return folder
