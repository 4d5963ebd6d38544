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
import yaml

from config.schema import Config
from images.writing import write_text
from trainers import checkpoints
from trainers.checkpoints import FORMAT, DamagedCheckpoint, checkpoint_path, list_checkpoints, load_checkpoint

LOG = logging.getLogger(__name__)

# what makes a run the same run when it is resumed
RUN_KEYS = (
    "seed",
    "data.image_size",
    "data.pose",
    "data.pose_strokes",
    "data.map_channels",
    "data.augment_scale",
    "data.num_sources",
    "schedule",
    "rollout",
    "generator",
    "discriminator",
    "objective",
    "optim",
    "trainer.start_from",
    "trainer.start_with",
    "trainer.freeze",
    "trainer.batch_size",
    "trainer.post_hoc_ema",
    "trainer.ema_half_life",
)


def save_checkpoint(folder: Path, state: Mapping[str, Any], keep: int) -> Path:
    """Write `state` as the checkpoint of its `step`, point `latest` at it, drop all but the newest `keep`.

    Raises:
        ValueError: the disk is full or not writable; what was there before stays.
    """
    path = checkpoint_path(folder, state["step"])
    _write(path, state)
    write_text(folder / "latest", path.name + "\n")
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def save_snapshot(folder: Path, snapshot: Mapping[str, Any]) -> None:
    """Write a snapshot of averages beside those of other steps, all of which are kept; raises as above."""
    _write(checkpoint_path(folder, snapshot["step"]), snapshot)


def save_best(folder: Path, state: Mapping[str, Any], metric: str, value: float) -> None:
    """Write `state` as `best.pt`, and the metric that it is the best by, as text, beside it; raises as above."""
    _write(folder / "best.pt", state)
    write_text(folder / "best", f"{metric} {value!r}\n")


def best_value(folder: Path, metric: str) -> float | None:
    """The value of `best.pt` by a metric; None, with a warning, where it is the best by another one or unreadable."""
    path = folder / "best"
    if not path.exists():
        return None
    try:
        *names, value = path.read_text().split()
        # older files hold the number alone
        name = " ".join(names) if names else _best_metric(load_checkpoint(folder / "best.pt"))
        if name == metric:
            return float(value)
    except ValueError as error:
        LOG.warning("%s cannot be read (%s): the best begins anew", path, error)
        return None
    LOG.warning("%s is the best by %s, trainer.best_metric is %s now: the best begins anew", path, name, metric)
    return None


def _best_metric(state: Mapping[str, Any]) -> str:
    return yaml.safe_load(state["config"])["trainer"].get("best_metric", "ssim")


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
        raise ValueError(
            f"could not save {path}: {error}; earlier checkpoints are untouched. Free some disk space and run the same "
            "command again"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_run(path: Path, saved: str, config: Config) -> None:
    """Raise ValueError with the differences where a checkpoint's config (YAML text) describes another run."""
    checkpoints.check_config(path, saved, config, RUN_KEYS)


def check_data(path: Path, state: Mapping[str, Any], data: Mapping[str, str], root: str) -> None:
    """Raise ValueError where a checkpoint was trained on other data than those at `root`; `data`: their fingerprint."""
    old_root, known = yaml.safe_load(state["config"])["data"]["root"], state.get("data") or {}
    # where the pairs differ, so do the few images that were looked at
    different = next((part for part in data if part in known and known[part] != data[part]), None)
    if different:
        raise ValueError(
            f"{path} was trained on other data ({old_root}): the {different} in {root} differ; "
            "set data.root to the data of then, or use another --name"
        )
    if old_root != root:
        LOG.info("data moved from %s to %s%s", old_root, root, ": the same" if known else ", not compared")
