"""A tiny study over a few people, two of them for testing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.tiny import overrides


@pytest.fixture(scope="session")
def people(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small dataset with half of its people in either list."""
    root = tmp_path_factory.mktemp("people") / "data"
    shutil.copytree(dataset, root)
    for suffix in ("_pairs.txt", ".lst"):
        lines = [line for split in ("train", "test") for line in (root / f"{split}{suffix}").read_text().splitlines()]
        for split, numbers in (("train", (1, 2)), ("test", (3, 4))):
            chosen = [line for line in lines if any(f"id_{number:08d}" in line for number in numbers)]
            (root / f"{split}{suffix}").write_text("".join(f"{line}\n" for line in chosen))
    return root


@pytest.fixture
def study_file(people: Path, tmp_path: Path) -> Path:
    """One step against two of a plain U-Net."""
    config = [*overrides("unet", people), "optim.decay_epochs=0"]
    arms = {"one": {"budget": {"flops_of": "two"}}, "two": {"config": ["schedule.num_steps=2"]}}
    path = tmp_path / "mine.yaml"
    values = {"base": str(Path("config/unet_256.yaml").resolve()), "config": config, "arms": arms, "control": "one"}
    more = {"budget": {"steps": 3}, "seeds": 1, "points": 2, "validation_share": 0.5, "pairs": 3}
    path.write_text(yaml.safe_dump(values | more))
    return path
