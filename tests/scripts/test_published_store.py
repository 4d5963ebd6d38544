"""A store as the published script writes it: PNG under names ending in .png, and `length`; nothing else."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
import torch
from PIL import Image

import inference
from data.store import ImageStore, store_path
from tests.runs import NUM_STEPS, run_flags, tiny_config
from tests.tiny import SIZE
from trainers.distributed import World
from trainers.trainer import Trainer


@pytest.fixture
def published(dataset: Path, tmp_path: Path) -> Path:
    """The data set with its lists and keypoint files, its images in a published store alone."""
    root = tmp_path / "published"
    shutil.copytree(dataset, root, ignore=shutil.ignore_patterns("img", store_path(dataset, SIZE).name))
    store = ImageStore(store_path(dataset, SIZE), SIZE)
    keys = [key for key in store.keys() if key.endswith(".png")]  # noqa: SIM118  (not a dict)
    with lmdb.open(str(store_path(root, SIZE)), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key in keys:
            file = io.BytesIO()
            Image.fromarray(store.read(key)).save(file, "PNG")
            transaction.put(key.encode(), file.getvalue())
        transaction.put(b"length", str(len(keys)).encode())
    return root


def draw(command: Callable[..., int], root: Path, folder: Path) -> dict[str, bytes]:
    """The images that inference.py writes with the run in `folder`, by name."""
    output = folder / f"{root.name}_images"
    assert command(inference.main, *run_flags(folder, "run"), "--output_dir", output, f"data.root={root}") == 0
    return {path.name: path.read_bytes() for path in output.glob("*.png")}


@pytest.mark.parametrize("system", NUM_STEPS)
def test_a_published_store_trains_and_draws_as_ours_does(system, published, dataset, tmp_path, command):
    world = World(0, 1, torch.device("cpu"))
    weights = []
    for name, root in (("run", published), ("ours", dataset)):
        trainer = Trainer(tiny_config(system, root), tmp_path / name, world)
        trainer.train()
        weights.append(trainer.engine.networks["generator"].state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    images = draw(command, published, tmp_path)
    assert images and images == draw(command, dataset, tmp_path)
