"""Writing checkpoints: counters, networks, EMA and optimizers; tensors and plain values only.

Reading one needs no trainer and lives in `trainers.checkpoints`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from config.schema import Config
from trainers import checkpoints
from trainers.checkpoints import FORMAT, DamagedCheckpoint, checkpoint_path, list_checkpoints, load_checkpoint

LOG = logging.getLogger(__name__)

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
    """Write `state` as the checkpoint of its `step`, point `latest` at it, drop all but the newest `keep`.

    Raises:
        ValueError: the disk is full or not writable; what was there before stays.
    """
    path = checkpoint_path(folder, state["step"])
    _write(path, state)
    replace_text(folder / "latest", path.name + "\n")
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def save_best(folder: Path, state: Mapping[str, Any], value: float) -> None:
    """Write `state` as `best.pt`, and the value that made it the best, as text, beside it; raises as above."""
    _write(folder / "best.pt", state)
    replace_text(folder / "best", f"{value!r}\n")


def best_value(folder: Path) -> float | None:
    """The value of `best.pt`; None where there is none."""
    path = folder / "best"
    return float(path.read_text()) if path.exists() else None


def newest_whole(folder: Path, set_aside: bool, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest checkpoint that can be read; None where there is none.

    Args:
        set_aside: rename damaged ones on the way to `*.damaged`, with a warning. device: where its tensors go.

    Raises:
        ValueError: none of several can be read, or one holds code or is of another format.
    """
    found, damaged = list_checkpoints(folder), []
    for path in reversed(found):
        try:
            state = load_checkpoint(path, device)
        except DamagedCheckpoint as error:
            LOG.warning("%s", error)
            damaged.append(path)
            continue
        for bad in damaged if set_aside else ():
            bad.replace(bad.with_suffix(".damaged"))
        return state
    if damaged:
        raise ValueError(f"no checkpoint in {folder} can be read; put a whole one there, or start with --no_resume")
    return None


def _write(path: Path, state: Mapping[str, Any]) -> None:
    """Under a temporary name, flushed to the disk, then renamed: there is never half a file under `path`."""
    folder, temporary = path.parent, path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(
            f"could not save {path}: {error}; earlier checkpoints are untouched. Free some disk space and run the same "
            "command again"
        ) from None


def check_run(path: Path, saved: str, config: Config) -> None:
    """Raise ValueError with the differences where a checkpoint's config (YAML text) describes another run."""
    checkpoints.check_config(path, saved, config, RUN_KEYS)


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that there is never half of it."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)
