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

from config.schema import Config

FORMAT = 1
_NAME = re.compile(r"step_(\d{8})\.pt$")
# what may change between one start of a run and the next; all else is part of what the run is
_FREE = {"data.root", "data.num_workers"}
_FIXED_IN_TRAINER = {"trainer.batch_size", "trainer.ema_half_life"}


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


def check_config(path: Path, saved: str, config: Config) -> None:
    """Raise ValueError with the differences where a checkpoint's config (YAML text) describes another run."""
    old, new = _flatten(yaml.safe_load(saved)), _flatten(config.model_dump(mode="json"))
    different = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and _is_fixed(key)]
    if different:
        shown = "; ".join(f"{key}: {old.get(key)} there, {new.get(key)} here" for key in different)
        raise ValueError(f"{path} belongs to another config ({shown}); use that config, another --name, or --no_resume")


def _is_fixed(key: str) -> bool:
    return key in _FIXED_IN_TRAINER if key.startswith("trainer.") else key not in _FREE


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
