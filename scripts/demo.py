"""`make demo`: from nothing to a scored report of both systems, every command as a user would type it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from config.cli import run
from models.device import has_matrix_units

LOG = logging.getLogger(__name__)
SYSTEMS = ("nted", "dptn")
DATA = Path("dataset/demo")
RESULT = Path("result/demo")
PEOPLE, VIEWS, SEED, NUM_PROCESSES = 240, 5, 0, 2
# bf16 matrix units make convolutions over ten times faster, which pays for four times the pixels
FAST_SIZE, SLOW_SIZE = (128, 88), (64, 44)


def main() -> None:
    fast = has_matrix_units(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    size = FAST_SIZE if fast else SLOW_SIZE
    LOG.info("training at %dx%d (%s)", *size, "bf16 matrix units" if fast else "no bf16 matrix units here")
    RESULT.mkdir(parents=True, exist_ok=True)
    make_data(size)
    seconds = {system: round(run_system(system, size), 1) for system in SYSTEMS}
    (RESULT / "seconds.json").write_text(json.dumps(seconds) + "\n")
    python("-m", "scripts.demo_page", "--result", RESULT, "--root", DATA, "--size", f"{size[0]}-{size[1]}")


def make_data(size: tuple[int, int]) -> None:
    """Synthetic people in DeepFashion's layout, and their LMDB."""
    height, width = size[0] * 4, round(size[0] * 4 * 750 / 1101)
    people = ("--people", PEOPLE, "--views", VIEWS, "--seed", SEED)
    python("-m", "scripts.make_synthetic", "--output", DATA, *people, "--size", f"{height}-{width}", "--overwrite")
    python(
        "-m", "scripts.prepare_data", "--root", DATA, "--output", DATA, "--size", f"{size[0]}-{size[1]}", "--overwrite"
    )


def run_system(system: str, size: tuple[int, int]) -> float:
    """Train, draw the test pairs with all steps, score them; returns the seconds that it took."""
    start = time.monotonic()
    run_flags = ("--config", f"config/demo_{system}.yaml", "--name", f"{RESULT.name}/{system}")
    override = f"data.image_size={list(size)}".replace(" ", "")
    images = RESULT / system / "images"
    torchrun("train.py", *run_flags, "--no_resume", override)
    torchrun("inference.py", *run_flags, "--output_dir", images, "--save_steps", override)
    python("eval_step.py", *run_flags, "--generated", images, "--protocol", "offline", override)
    return time.monotonic() - start


def torchrun(*arguments: object) -> None:
    """Run a command of the project in several processes, which share the cores."""
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, torch.get_num_threads() // NUM_PROCESSES)
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={NUM_PROCESSES}")
    python(*launcher, *arguments, OMP_NUM_THREADS=str(threads))


def python(*arguments: object, **environment: str) -> None:
    """Run a command of the project, shown before; raises ValueError where it fails."""
    words = [str(argument) for argument in arguments]
    LOG.info("\n$ python %s", " ".join(words))
    if subprocess.run([sys.executable, *words], env={**os.environ, **environment}, check=False).returncode:
        raise ValueError(f"`python {' '.join(words)}` failed; its own message is above")


if __name__ == "__main__":
    sys.exit(run(main))
