"""Runs on disk with random weights: what commands that use a trained model need."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from config.load import dump_config, load_config
from config.schema import Config
from models.families import build_generator
from studio.pipeline import StepPose
from tests.tiny import overrides
from trainers.saving import save_checkpoint

NUM_STEPS = {"nted": 4, "dptn": 3}
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
