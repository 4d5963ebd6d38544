"""Where a run's numbers and pictures go beside log.jsonl and samples/: TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from images.writing import write_text


class Tracker(Protocol):
    """What a run tells its trackers."""

    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        """The terms of a step."""

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """An (H, W, 3) uint8 RGB picture."""

    def close(self) -> None:
        """Flush and close."""


class TensorBoard:
    """Event files in the run's folder; what is there of steps after `step` is hidden."""

    def __init__(self, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of wandb in the project WANDB_PROJECT (default: steppose); a resumed training goes on in the same one.

    Raises ValueError where wandb does not start.
    """

    def __init__(self, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        import wandb

        name = folder / "wandb_id"
        if not name.exists():
            write_text(name, uuid.uuid4().hex + "\n")
        settings = wandb.Settings(console="off", silent=True, save_code=False)
        project = os.environ.get("WANDB_PROJECT", "steppose")
        try:
            self._run = wandb.init(
                project=project, name=folder.name, id=name.read_text().strip(), resume="allow", dir=folder,
                config=dict(config), settings=settings,
            )  # fmt: skip
        except wandb.errors.Error as error:
            raise ValueError(f"wandb does not start ({error}); call wandb login, or set WANDB_MODE=offline") from None
        # wandb's own step may not go back, as that of a run does which was killed after its last checkpoint
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, terms: Mapping[str, float]) -> None:
        self._run.log({"step": step, **terms})

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        import wandb

        self._run.log({"step": step, name: wandb.Image(image)})

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, Callable[[Path, int, Mapping[str, Any]], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}


def check_trackers(names: Sequence[str]) -> None:
    """Raise ValueError where a tracker's package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ValueError(f"trainer.trackers: {name} is not installed; pip install {name}, or leave it out")
