"""A run as a page for a person: learning curves, the newest strip, what it was made with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from images.reading import read_pixels
from images.writing import write_text
from metrics.html import image_address, render
from metrics.pages import title_of
from metrics.plots import line_plot
from trainers.checkpoints import saved_config
from trainers.log import Line, read_log
from trainers.step_head import remark

MOST_POINTS = 400
SCORE, OF_STEP = "eval_", re.compile(r"(eval_\w+)_step_(\d+)")


def write_run_report(folder: Path) -> None:
    """`report.html` of a run's folder, which loads nothing; raises ValueError where the disk does not take it."""
    log = read_log(folder)
    names = list(dict.fromkeys(name for line in log.values() for name in line if name not in ("step", "nimg")))
    of_steps = sorted({match[1] for name in names if (match := OF_STEP.fullmatch(name))})
    scores = [name for name in names if name.startswith(SCORE) and not OF_STEP.fullmatch(name)]
    losses = [name for name in names if not name.startswith(SCORE)]
    strips = sorted((folder / "samples").glob("steps_*.png"))
    page = render(
        "run.html",
        title=f"Run {folder.name}",
        subtitle=f"after {max(log, default=0)} steps",
        notes=notes(folder, log),
        scores=[(title_of(name.removeprefix(SCORE)), curves(log, {name: name})) for name in scores],
        steps=[(title_of(name.removeprefix(SCORE)), curves(log, by_step(name, names))) for name in of_steps],
        losses=[(name, curves(log, {name: name})) for name in losses],
        strips=[(path.stem, image_address(read_pixels(path))) for path in strips[-1:]],
        facts=facts(folder),
        config=(folder / "config.yaml").read_text(),
    )
    write_text(folder / "report.html", page)


def notes(folder: Path, log: dict[int, Line]) -> list[str]:
    """What `best.pt` is the best by, and whether the step head learns nothing."""
    best, config = folder / "checkpoints" / "best", saved_config((folder / "config.yaml").read_text())
    found = [f"best.pt is the best by {best.read_text().strip()}"] if best.exists() else []
    at_chance = remark(log, max(log, default=0), config.schedule.num_steps) if config.has_step_head else None
    return [*found, at_chance] if at_chance else found


def by_step(metric: str, names: Sequence[str]) -> dict[str, str]:
    """What a metric is called in the log, by step."""
    return {f"step {match[2]}": name for name in names if (match := OF_STEP.fullmatch(name)) and match[1] == metric}


def curves(log: dict[int, Line], names: dict[str, str]) -> str:
    """A plot of terms of the log over steps, every so many of its points, as an address; a label each."""
    places = [step for step, line in log.items() if any(name in line for name in names.values())]
    places = places[:: -(-len(places) // MOST_POINTS) or 1]
    return line_plot({label: [log[step].get(name) for step in places] for label, name in names.items()}, x=places)


def facts(folder: Path) -> list[tuple[str, Any]]:
    """What the newest start of a run was made with."""
    starts = (folder / "environment.jsonl").read_text().splitlines()
    return list(json.loads(starts[-1]).items())
