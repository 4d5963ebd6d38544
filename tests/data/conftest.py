"""A tiny dataset in DeepFashion's layout."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.openpose import pose_file, write_keypoints
from data.pairs import PairLine, write_pairs
from scripts import prepare_data

SIZE = (64, 48)
NAMES = [f"img/WOMEN/Dresses/id_0000000{p}/01_{v}.jpg" for p in (1, 2, 3) for v in ("1_front", "2_side", "3_back")]


def standing() -> np.ndarray:
    """(18, 2) joints of a person facing us, in the frame of DeepFashion's files."""
    return np.array(
        [[128, 40], [128, 62], [108, 62], [100, 95], [96, 125], [148, 62], [156, 95], [160, 125], [114, 125],
         [112, 175], [110, 220], [142, 125], [144, 175], [146, 220], [122, 34], [134, 34], [114, 38], [142, 38]], float
    )  # fmt: skip


def write_tree(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in NAMES:
        for path in (root / name, pose_file(root, name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (110, 75, 3), dtype=np.uint8)).save(root / name, quality=95)
        joints = standing() + rng.normal(0, 3, (18, 2))
        joints[17] = np.nan
        write_keypoints(pose_file(root, name), joints)
    lines = [PairLine(name, tuple(other for other in NAMES[3 * p : 3 * p + 3] if other != name))
             for p in range(3) for name in NAMES[3 * p : 3 * p + 3]]  # fmt: skip
    write_pairs(root / "train_pairs.txt", lines[:6])
    write_pairs(root / "test_pairs.txt", [PairLine(line.target, line.sources[:1]) for line in lines[6:]])


def run_script(main, *arguments: object) -> int:
    """Call a script's `main` with a command line."""
    before, sys.argv = sys.argv, ["script", *map(str, arguments)]
    try:
        return main() or 0
    finally:
        sys.argv = before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of PNGs, as published ones are; not to be changed."""
    root = tmp_path_factory.mktemp("dataset")
    write_tree(root)
    options = ["--size", "64-48", "--format", "png", "--workers", 1]
    assert run_script(prepare_data.main, "--root", root, "--output", root, *options) == 0
    return root
