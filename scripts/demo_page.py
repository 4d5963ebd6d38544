"""The page and the report of `make demo`: step strips, metrics per step, losses."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from config.cli import run
from config.load import load_config
from data.dataset import PairDataset
from data.pairs import output_name
from data.pose import pose_maps
from images.reading import read_pixels
from images.strips import pose_picture, strip
from metrics import html

TITLES = {"nted": "NTED, resolution growing", "dptn": "DPTN, grey levels quantised less and less"}
NUM_STRIPS, STRIP_WIDTH = 8, 1000
# what each system's losses look like in words
LOSSES = {
    "the generator": ("l1", "perceptual", "attention", "content", "style", "face"),
    "the game": ("gan", "d_real", "d_fake"),
    "which step is it?": ("step_nll", "d_real_step_nll", "d_fake_step_nll"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, required=True, help="folder of the demo")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--size", type=int, nargs=2, required=True, help="height and width of the images")
    arguments = parser.parse_args()
    seconds = json.loads((arguments.result / "seconds.json").read_text())
    report, body = {}, []
    for system, duration in seconds.items():
        scores = json.loads((arguments.result / system / "report.json").read_text())
        report[system] = {"steps": scores["steps"], "copy_source": scores["copy_source"], "seconds": duration}
        body.append(section(system, scores, duration, arguments))
    (arguments.result / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    subtitle = (
        "Two small models, trained for minutes on synthetic people; the people below were never seen in training."
    )
    page = html.page("StepPose: person images step by step", "".join(body), subtitle)
    (arguments.result / "index.html").write_text(page, encoding="utf-8")
    sys.stdout.write(f"open {arguments.result / 'index.html'}\n")


def section(system: str, scores: dict[str, Any], seconds: float, arguments: argparse.Namespace) -> str:
    """One system: numbers, strips, plots."""
    log = [json.loads(line) for line in Path(f"result/demo_{system}/log.jsonl").read_text().splitlines()]
    last, copy = scores["steps"][-1], scores["copy_source"]
    lead = (
        f"{len(scores['steps'])} steps, {log[-1]['step']} training steps on {log[-1]['nimg']} pairs; training, drawing "
        f"and scoring took {seconds:.0f} seconds."
    )
    rows = [[name, *(html.number(row.get(key)) for key in ("ssim", "psnr", "l1"))] for name, row in
            (("last step", last), ("copying the source image", copy))]  # fmt: skip
    table = html.table(["", "SSIM ↑", "PSNR (dB) ↑", "L1 ↓"], rows)
    labels, figures = strips_of(system, arguments)
    strips = html.card("", labels + html.strip(figures))
    metrics = [
        html.card(f"{title} by step", html.line_plot({"generated": values(scores["steps"], key)}, references=reference))
        for key, title in (("ssim", "SSIM"), ("psnr", "PSNR (dB)"))
        for reference in [{"copying the source (last step)": copy.get(key)}]
    ]
    parts = [table, strips, html.grid([*metrics, *loss_plots(log)])]
    return html.section(TITLES[system], *parts, lead=lead)


def strips_of(system: str, arguments: argparse.Namespace) -> tuple[str, list[str]]:
    """Names of the columns, and rows of source, pose, the image of every step and the target, of unseen people."""
    config = load_config(f"config/demo_{system}.yaml", [f"data.image_size={arguments.size}"])
    dataset = PairDataset(arguments.data, "test", config.data.image_size, config.data.pose)
    folders = sorted((arguments.result / system / "images").glob("step_*"))
    indices = np.linspace(0, len(dataset) - 1, NUM_STRIPS).astype(int)
    figures = []
    labels = ["source", "pose", *(f"step {step}" for step in range(len(folders))), "target"]
    for index in indices.tolist():
        name, sample = output_name(*dataset.names(index)), dataset[index]
        maps = pose_maps(sample["target_pose"][None], config.data.image_size)[0]
        source, target = (sample[f"{role}_image"].permute(1, 2, 0).numpy() for role in ("source", "target"))
        steps = [read_pixels(folder / name) for folder in folders]
        pictures = strip([source, pose_picture(maps), *steps, target])
        zoom = max(STRIP_WIDTH // pictures.shape[1], 1)
        enlarged = np.ascontiguousarray(pictures.repeat(zoom, axis=0).repeat(zoom, axis=1))
        figures.append(html.figure(enlarged))
    return heading(labels, enlarged.shape[1]), figures


def heading(labels: list[str], width: int) -> str:
    """Names of the columns of a strip that is `width` pixels wide."""
    cells = "".join(f"<span style='flex:1;text-align:center'>{label}</span>" for label in labels)
    return f"<div class='quiet' style='display:flex;max-width:{width}px'>{cells}</div>"


def loss_plots(log: list[dict[str, float]]) -> list[str]:
    """Loss terms over training steps."""
    cards = []
    for title, names in LOSSES.items():
        series = {name: values(log, name) for name in names if name in log[-1]}
        if series:
            plot = html.line_plot(series, x=[line["step"] for line in log], x_label="training step")
            cards.append(html.card(f"Losses: {title}", plot))
    return cards


def values(rows: list[dict[str, Any]], key: str) -> list[float | None]:
    """One column."""
    return [row.get(key) for row in rows]


if __name__ == "__main__":
    sys.exit(run(main))
