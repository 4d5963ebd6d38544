"""The page and the report of `make demo`: step strips, metrics per step, losses."""

from __future__ import annotations

import argparse
import json
import sys
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

TITLES = {"nted": "NTED, resolution growing", "dptn": "DPTN, grey levels quantised less and less"}
NUM_STRIPS = 8
METRICS = ("ssim", "psnr", "l1", "fd_lite0", "recall_1", "recall_5")
STEP_METRICS = ("ssim", "psnr", "fd_lite0")
# what each system's losses look like in words
LOSSES = {
    "the generator": ("l1", "perceptual", "attention", "content", "style", "face"),
    "the game": ("gan", "d_real", "d_fake"),
    "which step is it?": ("step_nll", "d_real_step_nll", "d_fake_step_nll"),
}


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="folder of the demo")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data")
    parser.add_argument("--size", type=image_size, required=True, metavar="H-W", help="of the images")
    arguments = parser.parse_args()
    seconds = json.loads((arguments.result / "seconds.json").read_text())
    report, systems = {}, []
    for system, duration in seconds.items():
        scores = json.loads((arguments.result / system / "images_report" / "report.json").read_text())
        report[system] = {"steps": scores["steps"], "copy_source": scores["copy_source"], "seconds": duration}
        systems.append(section(system, scores, duration, arguments))
    write_text(arguments.result / "report.json", json.dumps(report, indent=2) + "\n")
    subtitle = (
        "Two small models, trained for minutes on synthetic people; the people below were never seen in training."
    )
    page = render("demo.html", title="StepPose: person images step by step", subtitle=subtitle, systems=systems)
    write_text(arguments.result / "index.html", page)
    sys.stdout.write(f"open {arguments.result / 'index.html'}\n")


def section(system: str, scores: dict[str, Any], seconds: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """One system: numbers, strips, plots."""
    log = [json.loads(line) for line in (arguments.result / system / "log.jsonl").read_text().splitlines()]
    last, copy = scores["steps"][-1], scores["copy_source"]
    lead = (
        f"{len(scores['steps'])} steps, {log[-1]['step']} training steps on {log[-1]['nimg']} pairs; training, drawing "
        f"and scoring took {seconds:.0f} seconds."
    )
    shown = [name for name in METRICS if name in last]
    labels, strips = strips_of(system, arguments)
    return {
        "title": TITLES[system],
        "lead": lead,
        "header": ["", *map(title_of, shown)],
        "rows": [
            [name, *(number(row.get(key)) for key in shown)]
            for name, row in (("last step", last), ("copying the source image", copy))
        ],
        "labels": labels,
        "strips": strips,
        "plots": [*step_plots(scores["steps"], copy), *loss_plots(log)],
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


def strips_of(system: str, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Names of the columns, and rows of source, pose, the image of every step and the target, of unseen people."""
    config = load_config(f"config/demo_{system}.yaml", [f"data.image_size={list(arguments.size)}"])
    dataset = PairDataset(arguments.root, "test", config.data.image_size, config.data.pose_form)
    folders = sorted((arguments.result / system / "images").glob("step_*"))
    indices = np.linspace(0, len(dataset) - 1, NUM_STRIPS).astype(int)
    rows = []
    for index in indices.tolist():
        name, sample = output_name(*dataset.names(index)), dataset[index]
        maps = pose_maps(sample["target_pose"][None], config.data.image_size)[0]
        source, target = (sample[f"{role}_image"].permute(1, 2, 0).numpy() for role in ("source", "target"))
        steps = [read_pixels(folder / name) for folder in folders]
        rows.append(image_address(strip([source, pose_picture(maps), *steps, target])))
    return ["source", "pose", *(f"step {step}" for step in range(len(folders))), "target"], rows


def loss_plots(log: list[dict[str, float]]) -> list[tuple[str, str]]:
    """Loss terms over training steps."""
    places = [line["step"] for line in log]
    terms = {title: {name: values(log, name) for name in names if name in log[-1]} for title, names in LOSSES.items()}
    return [(f"Losses: {title}", line_plot(lines, places, "training step")) for title, lines in terms.items()]


def values(rows: list[dict[str, Any]], key: str) -> list[float | None]:
    """One column."""
    return [row.get(key) for row in rows]


if __name__ == "__main__":
    sys.exit(run(main))
