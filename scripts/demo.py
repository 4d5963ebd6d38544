"""`make demo`: from nothing to a scored report of both systems, every command as a user would type it.

Each system is trained in one step first. That network then grows into one of several steps, and both are scored on
people that they never saw, beside the shipped model.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import torch

from config.cli import run, run_command
from config.load import load_config
from images.writing import write_text
from trainers.stored import ASSETS, CONFIG_FILE, shipped_models

LOG = logging.getLogger(__name__)
SYSTEMS = ("dptn", "nted")
DATA = Path("dataset/demo")
RESULT = Path("result/demo")
PEOPLE, VIEWS, SEED = 240, 5, 0
SCORED = 4  # one in so many test pairs and reals: scoring all of them would take as long as training
GPU_SIZE, CPU_SIZE = (128, 88), (64, 44)  # what minutes are enough for
# no discriminator yet: at this stage it teaches nothing, and an update takes two thirds of the time without it
NO_DISCRIMINATOR = ("discriminator=null", "objective.gan=0", "objective.step=0", "objective.r1_gamma=0")
ONE_STEP = ("schedule.num_steps=1", "rollout.window=1", *NO_DISCRIMINATOR, "trainer.batch_size=8")
ONE_STEP_MINUTES = 1.9  # the steps that grow from it have the rest, `trainer.max_minutes` of their config

Size = tuple[int, int]


def main() -> None:
    size = GPU_SIZE if torch.cuda.is_available() else CPU_SIZE
    RESULT.mkdir(parents=True, exist_ok=True)
    shipped = [name for name in SYSTEMS if name in shipped_models()]
    make_data({size, *(load_config(ASSETS / name / CONFIG_FILE).data.image_size for name in shipped)})
    seconds = {}
    for system in SYSTEMS:
        start = time.monotonic()
        train_system(system, size)
        seconds[system] = round(time.monotonic() - start, 1)
    for name in shipped:
        draw_and_score(ASSETS / name, RESULT / f"shipped_{name}")
    (RESULT / "seconds.json").write_text(json.dumps(seconds) + "\n")
    run_command("-m", "scripts.demo_page", "--result", RESULT, "--root", DATA, "--size", dashed(size))


def make_data(sizes: set[Size]) -> None:
    """Synthetic people in DeepFashion's layout, and their LMDBs."""
    height = 4 * max(height for height, _ in sizes)
    drawn = ("--size", dashed((height, round(height * 750 / 1101))))
    people = ("--people", PEOPLE, "--views", VIEWS, "--seed", SEED)
    run_command("-m", "scripts.make_synthetic", "--output", DATA, *people, *drawn, "--overwrite")
    stores = ("--size", *map(dashed, sorted(sizes)), "--overwrite")
    run_command("-m", "scripts.prepare_data", "--root", DATA, "--output", DATA, *stores)
    for scored in (DATA / "test_pairs.txt", DATA / "train.lst"):
        write_text(scored, "".join(scored.read_text().splitlines(keepends=True)[::SCORED]))


def train_system(system: str, size: Size) -> None:
    """Train in one step, grow that into steps, draw and score both."""
    config, override = f"config/demo_{system}.yaml", f"data.image_size={list(size)}".replace(" ", "")
    one, steps = f"{RESULT.name}/{system}_one", f"{RESULT.name}/{system}"
    # the second training begins with what the first one learned, and gains more at a smaller rate
    rate = f"optim.generator.lr={load_config(config).optim.generator.lr / 3:g}"
    for name, keys in (
        (one, (*ONE_STEP, f"trainer.max_minutes={ONE_STEP_MINUTES}")),
        (steps, (f"trainer.start_from={RESULT.parent / one}", rate)),
    ):
        in_parallel("train.py", "--config", config, "--name", name, "--no_resume", override, *keys)
        draw_and_score(RESULT.parent / name, RESULT.parent / name)


def draw_and_score(model: Path, folder: Path) -> None:
    """Every step of the test pairs by the model of a folder, and their scores."""
    flags = ("--config", model / CONFIG_FILE, "--checkpoints_dir", model.parent, "--name", model.name)
    images, root = folder / "images", f"data.root={DATA}"
    shutil.rmtree(images, ignore_errors=True)
    in_parallel("inference.py", *flags, "--output_dir", images, "--save_steps", root)
    run_command("eval_step.py", *flags, "--generated", images, "--protocol", "offline", root)


def in_parallel(*arguments: object) -> None:
    """Run a command of the project in a process for each GPU, or in two that share a CPU's cores."""
    gpus, cores = torch.cuda.device_count(), torch.get_num_threads()
    count = gpus or min(2, cores)
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, cores // count)
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}") if count > 1 else ()
    run_command(*launcher, *arguments, OMP_NUM_THREADS=str(threads))


def dashed(size: Size) -> str:
    """A size (H, W) as the flags write it."""
    return f"{size[0]}-{size[1]}"


if __name__ == "__main__":
    sys.exit(run(main))
