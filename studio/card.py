"""The card of an exported model: what it is, what it learned from, how good it is, how to load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metrics.html import interval, number
from metrics.pages import title_of
from metrics.report import Report, markdown_table, metric_names
from studio.pipeline import StepPose

NO_LICENCE = "not stated; weights stay under the terms of the data and the weights that they come from"
LOADING = {
    "model.safetensors": """from studio.pipeline import StepPose

model = StepPose.load("{place}")
image = model.generate(source, pose, source_pose=source_pose)  # see docs/using.md""",
    "model.pt2": """import torch

program = torch.export.load("{place}/model.pt2").module()
images = program(source, source_pose, pose, noise)""",
    "model.onnx": """import onnxruntime

session = onnxruntime.InferenceSession("{place}/model.onnx")
(images,) = session.run(None, dict(source=source, source_pose=source_pose, pose=pose, noise=noise))""",
}


def model_card(model: StepPose, folder: Path, licence: str | None, report: Report | None, num_sources: int = 1) -> str:
    """The card as Markdown, for what lies in the export's folder.

    Args:
        licence: of the weights; None where nobody says. report: scores of this model's images; None: not scored.
        num_sources: photographs of a person that the program takes.
    """
    height, width = model.image_size
    place = folder.name if folder.is_absolute() else folder.as_posix()  # not where it lies on this machine
    several = f"Of {num_sources} sources `source` and `source_pose` are (B, {num_sources}, ...). " * (num_sources > 1)
    lines = ["---", "library_name: steppose", *([f"license: {licence}"] if licence else []), "---"]
    lines += [f"# {folder.name}", "", "Draws the person of one photograph in another pose, with StepPose."]
    lines += ["", *markdown_table(["", ""], _facts(model, licence)), "", "## Scores", "", *_scores(report)]
    lines += ["", "## How to load", ""]
    for name, code in LOADING.items():
        if (folder / name).is_file():
            lines += ["```python", code.format(place=place), "```"]
    lines += [
        "",
        f"`source` is (B, 3, {height}, {width}) in [-1, 1], `pose` and `source_pose` (B, "
        f"{model.config.data.pose_channels}, {height}, {width}) in [0, 1], `noise` standard normal like `source`. "
        f"{several}Programs give all {model.num_steps} steps, the last one is the finished image.",
    ]
    return "\n".join(lines) + "\n"


def _facts(model: StepPose, licence: str | None) -> list[list[Any]]:
    config = model.config
    parameters = sum(parameter.numel() for parameter in model.generator.parameters())
    start = config.trainer.start_from
    begun = [["began with", f"the networks of {Path(start).name}"]] if start else []
    return [
        ["generator", f"{config.generator.kind}, {parameters:,} parameters"],
        ["steps", f"{model.num_steps}, schedule {config.schedule.kind}"],
        ["image", f"{config.data.image_size[0]}x{config.data.image_size[1]}, pose maps {config.data.pose}"],
        ["trained", f"{model.trained_steps:,} optimizer steps of {config.trainer.batch_size} pairs"],
        *begun,
        ["data", Path(config.data.root).name],
        ["licence of the weights", licence or NO_LICENCE],
    ]


def _scores(report: Report | None) -> list[str]:
    if report is None:
        return ["Not stated."]
    last, protocol = report["steps"][-1], report["protocol"]
    spans = last.get("intervals") or {}
    rows = [[title_of(name), number(last.get(name)), interval(spans.get(name))] for name in metric_names(last)]
    return [
        f"{report['counts']['pairs']} test pairs, protocol `{protocol['name']}`: {protocol['description']}.",
        "",
        *markdown_table(["metric", "mean", "95 % interval"], rows),
    ]
