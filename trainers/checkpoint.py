"""Checkpoints: counters, networks, EMA and optimizers; tensors and plain values only."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from config.schema import Config
from models.build import build_networks

FORMAT = 1
_NAME = re.compile(r"step_(\d{8})\.pt$")
# what makes a run the same run when it is resumed, and a generator the same generator when it is used
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
GENERATOR_KEYS = ("data.image_size", "data.pose", "schedule", "rollout.degrade_source", "generator")


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step in a run's folder `checkpoints`."""
    return folder / f"step_{step:08d}.pt"


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


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(path for path in folder.glob("step_*.pt") if _NAME.search(path.name))


def find_checkpoint(folder: Path, which: int | None = None) -> Path | None:
    """The checkpoint of step `which`, or the newest; None where there is none at all.

    Raises:
        ValueError: there is no checkpoint of that step.
    """
    found = list_checkpoints(folder)
    if which is None:
        return found[-1] if found else None
    path = checkpoint_path(folder, which)
    if path not in found:
        steps = ", ".join(str(int(_NAME.search(p.name)[1])) for p in found) or "none"  # type: ignore[index]
        raise ValueError(f"no checkpoint of step {which} in {folder}; steps there: {steps}")
    return path


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        ValueError: it is missing, damaged, from elsewhere, or holds code in place of tensors.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"checkpoint {path} does not exist") from None
    except pickle.UnpicklingError as error:
        reason = "it holds code instead of tensors" if "Unsupported" in str(error) else "it is not a checkpoint"
        raise ValueError(f"checkpoint {path} was refused: {reason}; use one written by train.py") from None
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f"checkpoint {path} is damaged or cut short ({_first_line(error)}); use an earlier one"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a StepPose checkpoint of format {FORMAT}; see python -m scripts.import_checkpoint"
        )
    return state


def load_generator(folder: Path, config: Config, which: int | None, device: torch.device) -> tuple[nn.Module, int]:
    """The EMA generator of a run's folder, for inference, and the step it was saved at.

    Args:
        which: step of the checkpoint; None for the newest.

    Raises:
        ValueError: no checkpoint, a damaged one, or one of another config.
    """
    path = find_checkpoint(folder / "checkpoints", which)
    if path is None:
        raise ValueError(f"no checkpoint in {folder / 'checkpoints'}; train with train.py --name {folder.name} first")
    state = load_checkpoint(path)
    check_config(path, state["config"], config, GENERATOR_KEYS)
    generator, _ = build_networks(config)
    generator.load_state_dict(state["generator_ema"])
    return generator.to(device).eval().requires_grad_(False), state["step"]


def check_config(path: Path, saved: str, config: Config, keys: tuple[str, ...] = RUN_KEYS) -> None:
    """Raise ValueError with the differences where a checkpoint's config (YAML text) describes another run."""
    old, new = _flatten(yaml.safe_load(saved)), _flatten(config.model_dump(mode="json"))
    fixed = [key for key in sorted(old.keys() | new.keys()) if any(f"{key}.".startswith(f"{part}.") for part in keys)]
    different = [f"{key}: {old.get(key)} there, {new.get(key)} here" for key in fixed if old.get(key) != new.get(key)]
    if different:
        raise ValueError(
            f"{path} belongs to another config ({'; '.join(different)}); use that config or another --name"
        )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _point_latest(folder: Path, path: Path) -> None:
    """`latest` is a small text file that names the newest checkpoint."""
    temporary = folder / "latest.tmp"
    temporary.write_text(path.name + "\n")
    temporary.replace(folder / "latest")


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
