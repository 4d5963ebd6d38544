"""Reading checkpoints: tensors and plain values only, and a network that belongs to the config it is used with."""

from __future__ import annotations

import errno
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from config.load import build_config
from config.schema import Config

FORMAT = 2
# before format 2 the EMA generator held the singular vectors of the live one
READABLE = (1, FORMAT)
_NAME = re.compile(r"step_(\d{8})\.pt$")
# what makes a generator the same generator when it is used
GENERATOR_KEYS = (
    "data.image_size",
    "data.pose",
    "data.pose_strokes",
    "data.map_channels",
    "schedule",
    "rollout.degrade_source",
    "generator",
)


# what says nothing about the file itself: rights, a failing disk or network share, too little memory
_PASSING = {errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.ETIMEDOUT}


class DamagedCheckpoint(ValueError):
    """A file that is no checkpoint any more: cut short or overwritten."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step in a run's folder `checkpoints`."""
    return folder / f"step_{step:08d}.pt"


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


def load_checkpoint(path: Path, device: torch.device | str = "cpu", mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Args:
        mmap: read only what is looked at, from the file, which must not be written over meanwhile.

    Raises:
        DamagedCheckpoint: it is cut short or not a checkpoint at all.
        ValueError: it is missing, from elsewhere, or holds code in place of tensors.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except FileNotFoundError:
        raise ValueError(f"checkpoint {path} does not exist") from None
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise ValueError(
                f"checkpoint {path} was refused: it holds code instead of tensors; use one written by train.py"
            ) from None
        raise DamagedCheckpoint(
            f"checkpoint {path} was refused: it is not a checkpoint; use one written by train.py"
        ) from None
    except (RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        if getattr(error, "errno", None) in _PASSING or "allocate memory" in str(error):
            raise ValueError(
                f"checkpoint {path} cannot be read ({_first_line(error)}); mend that and run again"
            ) from None
        # what the reader says of bytes that are no checkpoint depends on which bytes they are
        raise DamagedCheckpoint(
            f"checkpoint {path} is damaged or cut short ({_first_line(error)}); use an earlier one"
        ) from None
    if not isinstance(state, dict) or state.get("format") not in READABLE:
        raise ValueError(
            f"{path} is not a StepPose checkpoint of format {FORMAT}; see python -m scripts.import_checkpoint"
        )
    return state


def saved_config(text: str) -> Config:
    """The configuration that a checkpoint carries as YAML text; raises ValueError."""
    return build_config(yaml.safe_load(text), source="the checkpoint's config")


def check_config(path: Path, saved: str, config: Config, keys: tuple[str, ...]) -> None:
    """Raise ValueError with the `differences` where a saved config (YAML text) is of another run."""
    if different := differences(path, saved, config, keys):
        # beside an exported model, or in the run's folder
        files = [folder / "config.yaml" for folder in (path.parent, path.parent.parent)]
        own = next((f"--config {file}" for file in files if file.is_file()), "that config")
        raise ValueError(f"{path} belongs to another config ({'; '.join(different)}); use {own} or another --name")


def differences(path: Path, saved: str, config: Config, keys: tuple[str, ...]) -> list[str]:
    """What differs under `keys` between a config and the saved one (YAML text) in the file `path`.

    An option that is younger than the saved config had the value that is its default now. Raises ValueError.
    """
    try:
        old, new = _flatten(_with_defaults(yaml.safe_load(saved))), _flatten(config.model_dump(mode="json"))
    except (yaml.YAMLError, AttributeError):
        raise ValueError(f"the config in {path} is damaged; remove that file, the checkpoints hold their own") from None
    fixed = [key for key in sorted(old.keys() | new.keys()) if any(f"{key}.".startswith(f"{part}.") for part in keys)]
    return [f"{key}: {old.get(key)} there, {new.get(key)} here" for key in fixed if old.get(key) != new.get(key)]


def _with_defaults(saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """A saved config with the options that it does not name; as it is where some of its own are gone or changed."""
    try:
        return build_config(saved, source="the checkpoint's config").model_dump(mode="json")
    except ValueError:
        return saved


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
