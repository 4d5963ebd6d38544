"""Fixtures shared by the tests: a small dataset with real files, one thread, no network, commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings

from config.cli import run
from tests.tiny import SIZE

torch.set_num_threads(1)
# the same examples every time, and no deadline: a busy machine is not a failure
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

NUM_PEOPLE = 4
VIEWS = ("1_front", "2_side", "3_back")


def write_person(root: Path, person: int, rng: np.random.Generator) -> list[str]:
    """Images (coloured rectangles) and keypoint files of one person; returns the image names."""
    names = []
    for view in VIEWS:
        name = f"img/WOMEN/Dresses/id_{person:08d}/01_{view}.jpg"
        image = np.full((*SIZE, 3), 255, np.uint8)
        left, colour = int(rng.integers(4, 20)), rng.integers(0, 255, 3).tolist()
        cv2.rectangle(image, (left, 10), (left + 20, 60), colour, -1)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), image)
        keypoints = np.stack([rng.uniform(60, 200, 18), rng.uniform(10, 250, 18)], axis=1)
        keypoints[[10, 13]] = -1
        file = (root / name.replace("img/", "pose/", 1)).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{x:.1f} {y:.1f}\n" for x, y in keypoints))
        names.append(name)
    return names


@pytest.fixture(scope="session")
def raw_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw images, keypoint files, pairs and lists of four people (one of them for testing), 64x48 images."""
    root = tmp_path_factory.mktemp("deepfashion")
    rng = np.random.default_rng(0)
    people = [write_person(root, person, rng) for person in range(1, NUM_PEOPLE + 1)]
    for split, members in (("train", people[:-1]), ("test", people[-1:])):
        lines = [",".join([target, *(n for n in names if n != target)]) for names in members for target in names]
        if split == "test":
            lines = [",".join(line.split(",")[:2]) for line in lines]
        (root / f"{split}_pairs.txt").write_text("\n".join(lines) + "\n")
        (root / f"{split}.lst").write_text("".join(f"{name}\n" for names in members for name in names))
    return root


@pytest.fixture(scope="session")
def dataset(raw_dataset: Path) -> Path:
    """The same with its LMDB, made by the real command."""
    import subprocess

    command = [sys.executable, "-m", "scripts.prepare_data", "--root", str(raw_dataset), "--output", str(raw_dataset)]
    subprocess.run([*command, "--size", f"{SIZE[0]}-{SIZE[1]}", "--workers", "1"], check=True, capture_output=True)
    return raw_dataset


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Call an entry point as a command line with these words does, in this process; returns its exit code."""

    def call(main: Callable[[], int | None], *words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
        return run(main)

    return call
