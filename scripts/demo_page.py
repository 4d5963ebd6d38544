"""The page and the report of `make demo`: step strips, metrics per step, losses."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config.cli import Parser, image_size, run
from config.load import load_config
from data.dataset import PairDataset
from data.pairs import output_name
from data.pose import pose_maps
from images.reading import read_pixels
from images.strips import pose_picture, strip
from images.writing import write_text
from metrics.html import image_address, number, render
from metrics.pages import title_of
from metrics.plots import line_plot
from trainers.log import Line, read_log
from trainers.step_head import recent_accuracy

TITLES = {"dptn": "DPTN, grey levels quantised less and less", "nted": "NTED, resolution growing"}
NUM_STRIPS = 8
METRICS = ("ssim", "psnr", "l1", "fd_lite0", "recall_1", "recall_5")
STEP_METRICS = ("ssim", "psnr", "fd_lite0")
# what each system's losses look like in words
LOSSES = {
    "the generator": ("l1", "perceptual", "attention", "content", "style", "face"),
    "the game": ("gan", "d_real", "d_fake"),
    "which step is it?": ("step_nll", "d_real_step_nll", "d_fake_step_nll"),
}


@dataclass(frozen=True)
class Drawn:
    """What one model drew of the demo's test people: its name on the page, folder of images and report."""

    title: str
    images: Path

    @property
    def report(self) -> dict[str, Any]:
        """Its scores by step."""
        return json.loads((self.images.with_name("images_report") / "report.json").read_text())

    @property
    def steps(self) -> list[Path]:
        """The folder of each step."""
        return sorted(self.images.glob("step_*"))

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of its images."""
        return read_pixels(next(self.steps[0].glob("*.png"))).shape[:2]


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="folder of the demo")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data")
    parser.add_argument("--size", type=image_size, required=True, metavar="H-W", help="height and width of the images")
    arguments = parser.parse_args()
    seconds = json.loads((arguments.result / "seconds.json").read_text())
    report, systems = {}, []
    for system, duration in seconds.items():
        models = models_of(system, arguments.result)
        reports = {name: model.report for name, model in models.items()}
        report[system] = {
            name: {key: found[key] for key in ("steps", "copy_source", "ceiling")} for name, found in reports.items()
        }
        report[system]["seconds"] = duration
        systems.append(section(system, models, duration, arguments))
    write_text(arguments.result / "report.json", json.dumps(report, indent=2) + "\n")
    subtitle = (
        "Small models, trained for minutes on synthetic people: in one step, and then step by step. Beside them the "
        "shipped models, which trained longer. None of them ever saw the people below. Good is where outline and pose "
        "agree with the target (SSIM, PSNR) and clothes, hair and skin have the source's colours in their places (own "
        "person nearest). What minutes do not bring: patterns, faces, hands, a clean waist. Copying the source "
        "says which SSIM and PSNR a model must beat, the true target how many own persons can be nearest at most."
    )
    page = render("demo.html", title="StepPose: person images step by step", subtitle=subtitle, systems=systems)
    write_text(arguments.result / "index.html", page)
    sys.stdout.write(f"open {arguments.result / 'index.html'}\n")


def models_of(system: str, result: Path) -> dict[str, Drawn]:
    """What was drawn with each model of a system, those of the demo first."""
    models = {
        "one_step": Drawn("one step", result / f"{system}_one" / "images"),
        "steps": Drawn("step by step", result / system / "images"),
        "shipped": Drawn("shipped", result / f"shipped_{system}" / "images"),
    }
    return {name: model for name, model in models.items() if model.images.is_dir()}


def section(system: str, models: dict[str, Drawn], seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """One system: numbers, strips, plots."""
    log, found = read_log(arguments.result / system), models["steps"].report
    steps, copy = found["steps"], found["copy_source"]
    lead = (
        f"One step, then {len(steps)} steps that grew from it for {max(log)} training steps; training, drawing and "
        f"scoring took {seconds:.0f} seconds."
    )
    if (accuracy := recent_accuracy(log, max(log))) is not None:
        lead += f" Its step head is right on {accuracy:.0%} of real images; guessing is on {1 / len(steps):.0%}."
    sizes = {model.title: model.size for model in models.values()}
    if len(set(sizes.values())) > 1:
        named = ", ".join(f"{title} {height}x{width}" for title, (height, width) in sizes.items())
        lead += f" Scores of images of different sizes do not compare: {named}."
    rows = {model.title: model.report["steps"][-1] for model in models.values()}
    rows |= {"copying the source image": copy, "the true target": found["ceiling"]}
    shown = [name for name in METRICS if name in steps[-1]]
    labels, strips = strips_of(models, system, arguments)
    return {
        "title": TITLES[system],
        "lead": lead,
        "header": ["", *map(title_of, shown)],
        "rows": [[name, *(number(row.get(key)) for key in shown)] for name, row in rows.items()],
        "labels": labels,
        "strips": strips,
        "plots": [*step_plots(steps, copy), *loss_plots(log)],
    }


def step_plots(steps: list[dict[str, Any]], copy: dict[str, Any]) -> list[tuple[str, str]]:
    """Scores of each step against the ground truth, and against that of its own level."""
    kinds = {"against the ground truth": steps, "against its own level": [row["at_level"] or row for row in steps]}
    return [
        (
            f"{title_of(key)} by step",
            line_plot(
                {kind: values(rows, key) for kind, rows in kinds.items()},
                references={"copying the source": copy.get(key)},
            ),
        )
        for key in STEP_METRICS
        if key in steps[-1]
    ]


def strips_of(models: dict[str, Drawn], system: str, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names of the columns, and rows of source, pose, the image of every step and the target, of unseen people."""
    keys = [f"data.root={arguments.root}", f"data.image_size={list(arguments.size)}"]
    config = load_config(arguments.result / system / "config.yaml", keys)
    dataset = PairDataset(config.data, "test")
    columns = [(model.title, folder) for model in models.values() for folder in model.steps]
    columns = [
        (title if folder == last_of(title, columns) else f"{title}, {folder.name.replace('_0', ' ')}", folder)
        for title, folder in columns
    ]
    rows = []
    for index in np.linspace(0, len(dataset) - 1, NUM_STRIPS).astype(int).tolist():
        name, sample = output_name(*dataset.names(index)), dataset[index]
        maps = pose_maps(sample["target_pose"][None], config.data.image_size)[0]
        source, target = (sample[f"{role}_image"].permute(1, 2, 0).numpy() for role in ("source", "target"))
        drawn = [read_pixels(folder / name) for _, folder in columns]
        pictures = [source, pose_picture(maps), *drawn, target]
        height = max(len(picture) for picture in pictures)
        rows.append(image_address(strip([enlarged(picture, height) for picture in pictures])))
    return ["source", "pose", *(title for title, _ in columns), "target"], rows


def last_of(title: str, columns: list[tuple[str, Path]]) -> Path:
    """The last step's folder of a model."""
    return [folder for name, folder in columns if name == title][-1]


def enlarged(picture: np.ndarray, height: int) -> np.ndarray:
    """An (h, w, 3) picture whose pixels are repeated as often as fits the height."""
    factor = max(1, height // len(picture))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def loss_plots(log: Mapping[int, Line]) -> list[tuple[str, str]]:
    """Loss terms over training steps."""
    lines, logged = [*log.values()], {name for line in log.values() for name in line}
    terms = {title: {name: values(lines, name) for name in names if name in logged} for title, names in LOSSES.items()}
    return [(f"Losses: {title}", line_plot(curves, [*log], "training step")) for title, curves in terms.items()]


def values(rows: Sequence[Mapping[str, Any]], key: str) -> list[float | None]:
    """One column."""
    return [row.get(key) for row in rows]


if __name__ == "__main__":
    sys.exit(run(main))
