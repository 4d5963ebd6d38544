"""Runs on disk with random weights, and trainings as processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from config.load import dump_config, load_config
from config.schema import Config
from models.families import build_generator
from studio.pipeline import StepPose
from tests.tiny import overrides
from trainers.saving import save_checkpoint

NUM_STEPS = {"nted": 4, "dptn": 3, "unet": 3}
BLENDING = ("nted", "dptn")  # whose generators take in textures
# before a script and its flags
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def tiny_config(system: str, root: Path, *more: str, num_steps: int | None = None) -> Config:
    """A tiny step model over the dataset at `root`."""
    steps = num_steps or NUM_STEPS[system]
    window = ["rollout.window=null", f"schedule.num_steps={steps}"]
    return load_config(f"config/{system}_256.yaml", overrides(system, root, *window, *more))


def save_run(folder: Path, config: Config, step: int = 7) -> Path:
    """A checkpoint of a generator with random weights; returns the config's file, which lies beside it."""
    torch.manual_seed(0)
    generator = build_generator(config.generator, config.data.pose_channels, config.schedule.num_steps)
    text = dump_config(config)
    state = {"step": step, "config": text, "generator_ema": generator.state_dict()}
    save_checkpoint(folder / "checkpoints", state, keep=3)
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


def run_flags(folder: Path, name: str) -> list[object]:
    """The flags that name a run in a folder of runs."""
    return ["--config", folder / name / "config.yaml", "--name", name, "--checkpoints_dir", folder]


def tiny_model(system: str, root: Path = Path("."), num_steps: int | None = None, *more: str) -> StepPose:
    """A tiny model with random weights, on the CPU."""
    config = tiny_config(system, root, *more, num_steps=num_steps)
    torch.manual_seed(0)
    generator = build_generator(config.generator, config.data.pose_channels, config.schedule.num_steps)
    return StepPose(config, generator)


def start_training(
    dataset: Path, folder: Path, *more: str, launcher: Sequence[str] = (sys.executable,)
) -> subprocess.Popen[str]:
    """`train.py` as the run `run` in a process group of its own, for long; returns once it has logged a step."""
    flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={folder}", "--timeout=30"]
    keys = overrides("dptn", dataset, "schedule.num_steps=2", "rollout.window=2", "trainer.max_steps=100000", *more)
    command = [*launcher, "train.py", *flags, *keys]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    log, deadline = folder / "run" / "log.jsonl", time.monotonic() + 90
    while not (log.exists() and log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0][-2000:]
        time.sleep(0.1)
    return process


def children(parent: int) -> list[int]:
    """The processes that a process has started, and that run."""
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split()
    return [int(word) for word in found]
