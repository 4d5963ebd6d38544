"""A tiny data set in DeepFashion's layout, with generated images for each step, for tests of the evaluation."""

import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from config.cli import run
from config.load import load_config
from data.pairs import output_name
from metrics import networks
from models.families import build_schedule

SIZE = (64, 48)
OVERRIDES = [
    "data.image_size=[64,48]",
    "discriminator.kind=residual",
    "schedule.num_steps=3",
    "schedule.min_size=[8,6]",
    "rollout.window=null",
]
VIEWS = ("1_front", "2_side", "3_back", "4_full")


def image_name(person: int, view: str) -> str:
    """The name of one view of a person, women and men in turn."""
    folder = ("WOMEN/Tees_Tanks", "MEN/Denim")[person % 2]
    return f"img/{folder}/id_{person:08d}/01_{view}.jpg"


def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A smooth coloured picture of (H, W) pixels on white."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def make_dataset(root: Path, people: int = 3) -> list[tuple[str, str]]:
    """Write images, keypoints and lists; returns the (source, target) pairs of the test list."""
    pairs = []
    for person in range(people):
        names = [image_name(person, view) for view in VIEWS]
        for index, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(10 * person + index, (256, 192))).save(path, quality=95)
            pose = root / "pose" / Path(name).relative_to("img").with_suffix(".txt")
            pose.parent.mkdir(parents=True, exist_ok=True)
            pose.write_text(keypoints(missing=index))
        pairs += [(source, target) for source, target in zip(names, names[1:] + names[:1], strict=True)]
    (root / "test_pairs.txt").write_text("".join(f"{target},{source}\n" for source, target in pairs))
    every = [image_name(person, view) for person in range(people) for view in VIEWS]
    (root / "train.lst").write_text("\n".join(every) + "\n")
    return pairs


def keypoints(missing: int) -> str:
    """18 joints of a standing person in the 256x256 frame, the last `missing` ankles, knees ... not found."""
    rows = [f"{128 + 6 * (joint % 3 - 1)} {40 + 9 * joint}" for joint in range(14)]
    rows += ["122 36", "134 36", "118 38", "138 38"]
    for joint in (10, 13, 9, 12)[:missing]:
        rows[joint] = "-1 -1"
    return "\n".join(rows) + "\n"


def make_generated(folder: Path, root: Path, pairs: list[tuple[str, str]], noise: float = 12.0) -> None:
    """Write final images and three step folders: ground truth of each level with grey noise."""
    config = load_config("config/nted_256.yaml", OVERRIDES)
    schedule = build_schedule(config.schedule, SIZE)
    random = np.random.default_rng(0)
    for source, target in pairs:
        with Image.open(root / target) as image:
            truth = np.asarray(image.resize((SIZE[1], SIZE[0]), Image.Resampling.BICUBIC))
        clean = torch.from_numpy(truth.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        for level in (1, 2, 3):
            grey = ((schedule.degrade(clean, level)[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
            noisy = (grey + random.normal(0, noise, grey.shape)).clip(0, 255).astype(np.uint8)
            places = [folder / f"step_{level - 1:02d}", *([folder] if level == 3 else [])]
            for place in places:
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(noisy).save(place / output_name(source, target))


class Evaluation(NamedTuple):
    """A data set, its test pairs (source, target), generated images for each step, and the run's options."""

    root: Path
    pairs: list[tuple[str, str]]
    generated: Path
    options: list[str]


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Twelve pairs with three steps."""
    root = tmp_path_factory.mktemp("evaluation")
    pairs = make_dataset(root / "data")
    make_generated(root / "generated", root / "data", pairs)
    options = ["--config", "config/nted_256.yaml", "--name", "x", f"data.root={root / 'data'}", *OVERRIDES]
    return Evaluation(root / "data", pairs, root / "generated", options)


@pytest.fixture(scope="session")
def entry_point():
    """The module of eval_step.py, which nothing imports by name."""
    spec = importlib.util.spec_from_file_location("eval_step_under_test", "eval_step.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def eval_step(entry_point, monkeypatch, tmp_path, capsys):
    """Call eval_step.py as a command line does; returns its exit code, stdout and stderr."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(networks, "_copy", refuse)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["eval_step.py", "--cache", str(tmp_path / "cache"), *map(str, arguments)])
        code = run(entry_point.main)
        return code, *capsys.readouterr()

    return call


def refuse(url: str, file: object) -> str:
    """A machine without a network."""
    raise OSError("no network in this test")


@pytest.fixture(scope="session")
def make_picture():
    """`picture(seed, size)`."""
    return picture
