"""What a study keeps of its runs: small files, which a report is made from without networks, data or checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from images.reading import read_pixels
from images.writing import replacing, write_image, write_text
from metrics.gram import FrechetGram
from studies.plan import Point, Run
from studies.scoring import Scored

PICTURE = "picture.png"


@dataclass(frozen=True)
class Found:
    """A scored point of a run: its place and its learning rates' factor, what it took, its scores, and the head's."""

    point: Point
    rate: float
    flops: float
    seconds: float
    means: dict[str, float]
    head: dict[str, list[float]]
    head_accuracy: float | None


class Results:
    """The files of one run, in `folder/NAME`.

    Args:
        folder: of all runs' scores. run: whose.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        self.run, self.folder = run, folder / run.name

    def write(self, found: Found, scored: Scored) -> None:
        """Keep a point; its images' numbers, and the picture, take the place of those of the point before."""
        values = {"persons": np.array(scored.persons), **{f"column_{k}": v for k, v in scored.columns.items()}}
        if scored.gram is not None:
            values |= {"trace": np.array(scored.gram.trace)}
            # roots of small eigenvalues are taken of the spreads alone: they need all their digits
            values |= {"products": _packed(scored.gram.products).astype(np.float32)}
            values |= {"spreads": _packed(scored.gram.spreads)}
        with replacing(self.folder / "pairs.npz") as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **values)
        write_image(self.folder / PICTURE, scored.picture)
        write_text(self._path(found.point), json.dumps(asdict(found), indent=1) + "\n")

    def read(self, point: Point) -> Found | None:
        """A point, None where it is not scored yet; raises ValueError where it was scored at another step."""
        path = self._path(point)
        if not path.is_file():
            return None
        values: dict[str, Any] = json.loads(path.read_text())
        if values.keys() != Found.__dataclass_fields__.keys():
            raise ValueError(f"{path} is not as this version writes it; name another --output")
        found = Found(**{**values, "point": Point(**values["point"])})
        if (found.point.share, found.point.seconds) != (point.share, point.seconds) or (
            point.seconds is None and found.point.step != point.step
        ):
            raise ValueError(
                f"{path} was scored after {found.point.step} steps, the study says {point.step}: "
                "its budget has changed since; name another --output"
            )
        return found

    def columns(self) -> tuple[dict[str, np.ndarray], list[str], FrechetGram | None]:
        """Of the last point that is scored: each metric's number for every image, persons, and products of features."""
        with np.load(self.folder / "pairs.npz", allow_pickle=False) as file:
            columns = {name.removeprefix("column_"): file[name] for name in file if name.startswith("column_")}
            gram = None
            if "trace" in file:
                gram = FrechetGram(_unpacked(file["products"]), _unpacked(file["spreads"]), float(file["trace"]))
            return columns, [str(person) for person in file["persons"]], gram

    def picture(self) -> np.ndarray:
        """Rows of source, result and target of a few pairs, as they were drawn last."""
        return read_pixels(self.folder / PICTURE)

    def add_time(self, steps: int, seconds: float) -> None:
        """Note that so many steps took so long."""
        total_steps, total_seconds = self._time()
        write_text(self.folder / "time.json", json.dumps([total_steps + steps, total_seconds + seconds]) + "\n")

    def seconds(self, step: int) -> float:
        """What so many steps take, by all that were timed: a killed process leaves some untimed."""
        steps, seconds = self._time()
        return step * seconds / steps if steps else 0.0

    def _time(self) -> tuple[int, float]:
        path = self.folder / "time.json"
        steps, seconds = json.loads(path.read_text()) if path.is_file() else (0, 0.0)
        return steps, seconds

    def _path(self, point: Point) -> Path:
        return self.folder / f"point_{point.number}.json"


def _packed(matrix: np.ndarray) -> np.ndarray:
    """The upper half of a symmetric matrix, (N * (N + 1) / 2,)."""
    return matrix[np.triu_indices(len(matrix))]


def _unpacked(half: np.ndarray) -> np.ndarray:
    size = round(((8 * len(half) + 1) ** 0.5 - 1) / 2)
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = half
    return matrix + np.triu(matrix, 1).T
