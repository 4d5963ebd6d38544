"""Trained models on the disk: where one of a name lies, and what its file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainers.checkpoints import find_checkpoint, load_checkpoint

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.yaml"
# models that come with the project, a folder each as scripts.export writes it; where train.py keeps its runs
ASSETS, RUNS = Path(__file__).resolve().parent.parent / "assets", Path("result")


def find_model(name: str | Path) -> Path:
    """Where a model lies: the one place that says what may be named.

    A path of a run's folder, of a folder that scripts.export wrote or its file, or of a checkpoint; else the name of a
    shipped model, a folder of `ASSETS`; else the name of a run in `RUNS`.

    Raises:
        ValueError: there is none of these; names those that there are.
    """
    path = Path(name)
    found = next((place for place in (path, ASSETS / path, RUNS / path) if place.exists()), None)
    if found is None:
        runs = sorted(config.parent.relative_to(RUNS).as_posix() for config in RUNS.rglob(CONFIG_FILE))
        kinds = {"shipped": shipped_models(), f"in {RUNS}/": runs}
        known = "; ".join(f"{kind}: {', '.join(names) or 'none'}" for kind, names in kinds.items())
        raise ValueError(f"there is no model {name}; {known}; or give the path of a run, an export or a checkpoint")
    return found.parent if found.name == WEIGHTS_FILE else found


def shipped_models() -> list[str]:
    """Names of the models that come with the project."""
    return sorted(weights.parent.name for weights in ASSETS.glob(f"*/{WEIGHTS_FILE}"))


def read_model(name: str | Path, which: int | None = None) -> tuple[Path, dict[str, Any]]:
    """The file of a model, as `find_model` finds it, and what it holds, named as in a checkpoint.

    There are `generator_ema`, `config` (YAML text), `step` and `format` at least; an export has no more. Tensors may be
    read from the file only when they are looked at.

    Args:
        which: step of the checkpoint in a run's folder; None for the newest.

    Raises:
        ValueError: nothing there, a damaged file, one with code in it, or a file of another step than `which`.
    """
    path = find_model(name)
    export = path if path.suffix == ".safetensors" else path / WEIGHTS_FILE
    file, state = (export, _read_export(export)) if export.is_file() else _read_checkpoint(path, which)
    if which not in (None, state["step"]):
        raise ValueError(f"{file} is of step {state['step']}, not {which}; leave the step out")
    return file, state


def _read_checkpoint(path: Path, which: int | None) -> tuple[Path, dict[str, Any]]:
    """A checkpoint by its file or its run's folder."""
    file = path if path.suffix == ".pt" else find_checkpoint(path / "checkpoints", which)
    if file is None:
        raise ValueError(f"no checkpoint in {path / 'checkpoints'}; train with train.py --name {path.name} first")
    state = load_checkpoint(file, mmap=True)  # the generator is a fifth of it
    if missing := {"generator_ema", "config", "step"} - state.keys():
        raise ValueError(f"{file} has no {', '.join(sorted(missing))}; use a checkpoint that train.py wrote")
    return file, state


def _read_export(file: Path) -> dict[str, Any]:
    """An exported file; its config is in it, or beside one of before that it was."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (not a dict)
            metadata = opened.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged or cut short ({error}); export it again") from None
    numbers = {name: int(metadata.get(name, default)) for name, default in (("step", 0), ("format", 1))}
    config = metadata.get("config") or (file.parent / CONFIG_FILE).read_text()
    return {"generator_ema": weights, "config": config, **numbers}
