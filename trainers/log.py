"""What a run leaves for its reader: log.jsonl and step strips, and what trackers are told."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from images.writing import write_image, write_text
from trainers.trackers import TRACKERS

Line = dict[str, float | None]


class RunLog:
    """The logs of the main process, in a run's folder.

    Args:
        folder: result/NAME.
        step: what the run resumes from; lines of later steps, from before it was stopped, are removed.
        trackers: names of `TRACKERS` that are told as well. config: of the run, for them.
    """

    def __init__(self, folder: Path, step: int, trackers: Sequence[str], config: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._drop_lines_after(step)
        self._file = (folder / "log.jsonl").open("a")
        self._trackers = [TRACKERS[name](folder, step, config) for name in trackers]

    def scalars(self, step: int, nimg: int, terms: dict[str, float]) -> None:
        """One line of log.jsonl (null for what is not finite), flushed; trackers are told."""
        line = {name: value if math.isfinite(value) else None for name, value in terms.items()}
        self._file.write(json.dumps({"step": step, "nimg": nimg, **line}) + "\n")
        self._file.flush()
        for tracker in self._trackers:
            tracker.scalars(step, terms)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """An (H, W, 3) uint8 RGB picture to samples/ and to the trackers."""
        path = self.folder / "samples" / f"{name}_{step:08d}.png"
        write_image(path, image)
        for tracker in self._trackers:
            tracker.image(step, name, image)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        for tracker in self._trackers:
            tracker.close()

    def _drop_lines_after(self, step: int) -> None:
        path = self.folder / "log.jsonl"
        if not path.exists():
            return
        kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
        write_text(path, "".join(line + "\n" for line in kept))


def read_log(path: Path) -> dict[int, Line]:
    """What a run's log.jsonl says of each step, in one line or more; ValueError where it is missing or not JSON."""
    file = path / "log.jsonl" if path.is_dir() else path
    if not file.exists():
        raise ValueError(f"{file} does not exist; name a run folder such as result/NAME")
    try:
        steps: dict[int, Line] = {}
        for line in map(json.loads, file.read_text().splitlines()):
            steps.setdefault(line["step"], {}).update(line)
        return steps
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(f"{file} is not a log: every line must be a JSON object with a `step`") from None


def _step_of(line: str) -> float:
    """The step of a log line; a line cut short by a crash counts as later than any."""
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")


def set_aside(folder: Path) -> None:
    """Rename a run's folder to the first free NAME_old_N, so that a fresh start loses nothing."""
    number = next(n for n in itertools.count(1) if not folder.with_name(f"{folder.name}_old_{n}").exists())
    folder.rename(folder.with_name(f"{folder.name}_old_{number}"))
