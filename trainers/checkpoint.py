"""Writing checkpoints: counters, networks, EMA and optimizers; tensors and plain values only.

Reading them needs no trainer and lives in `models.checkpoints`; the names that the loop uses are here too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from config.schema import Config
from models import checkpoints
from models.checkpoints import FORMAT, checkpoint_path, find_checkpoint, list_checkpoints, load_checkpoint
from models.pipeline import StepPose

__all__ = [
    "check_config",
    "find_checkpoint",
    "list_checkpoints",
    "load_checkpoint",
    "load_generator",
    "save_checkpoint",
]

# what makes a run the same run when it is resumed
RUN_KEYS = (
    "seed",
    "data.image_size",
    "data.pose",
    "data.augment_scale",
    "schedule",
    "rollout",
    "generator",
    "discriminator",
    "objective",
    "optim",
    "trainer.batch_size",
    "trainer.ema_half_life",
)


def save_checkpoint(folder: Path, state: Mapping[str, Any], keep: int) -> Path:
    """Write `state` (with its `step`) under a temporary name, flush, rename; then drop all but the newest `keep`.

    Raises:
        ValueError: the disk is full or not writable; what was there before stays.
    """
    path = checkpoint_path(folder, state["step"])
    temporary = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _point_latest(folder, path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(
            f"could not save {path}: {error}; earlier checkpoints are untouched. Free some disk space and run the same "
            "command again"
        ) from None
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def check_config(path: Path, saved: str, config: Config, keys: tuple[str, ...] = RUN_KEYS) -> None:
    """Raise ValueError with the differences where a checkpoint's config (YAML text) describes another run."""
    checkpoints.check_config(path, saved, config, keys)


def load_generator(folder: Path, config: Config, which: int | None, device: torch.device) -> tuple[nn.Module, int]:
    """The EMA generator of a run's folder, for inference, and the step it was saved at.

    Args:
        which: step of the checkpoint; None for the newest.

    Raises:
        ValueError: no checkpoint, a damaged one, or one of another config.
    """
    model = StepPose.load(folder, which=which, config=config, device=device)
    return model.generator, model.trained_steps


def _point_latest(folder: Path, path: Path) -> None:
    """`latest` is a small text file that names the newest checkpoint."""
    temporary = folder / "latest.tmp"
    temporary.write_text(path.name + "\n")
    temporary.replace(folder / "latest")
