"""A study's report as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from images.strips import GAP, strip
from images.writing import write_text
from metrics.html import image_address, interval, number, render, signed
from metrics.pages import title_of
from metrics.plots import line_plot
from metrics.report import markdown_table, write_json
from studies.plan import Plan
from studies.report import Report
from studies.results import Results
from studies.runs import Folders

Rows = list[Sequence[str]]
ARMS = ["arm", "runs", "steps", "training, TFLOP", "training, min", "an image, GFLOP", "parameters, M", "rate"]
DIFFERENCES = [
    "arm - other",
    "metric",
    "difference",
    "95 % over seeds",
    "95 % over seeds and people",
    "p",
    "p, corrected",
]
MOST_SHOWN = 6  # metrics in the table of arms


def write_pages(folder: Path, report: Report, plan: Plan, folders: Folders) -> Path:
    """`report.json`, `report.md` and `report.html`, whose path is returned."""
    write_json(folder / "report.json", report)
    write_text(folder / "report.md", markdown(report))
    write_text(folder / "report.html", page(report, pictures(plan, folders)))
    return folder / "report.html"


def page(report: Report, rows: tuple[list[str], list[str]]) -> str:
    """The page; `rows` are labels, and addresses of pictures with a column for each."""
    study, shown = report["study"], report["metrics"][:MOST_SHOWN]
    return render(
        "study.html",
        title=f"Study {report['name']}",
        subtitle=f"{report['about']} Decided by {report['primary']}, named in advance; protocol {study['protocol']}.",
        notes=report["notes"],
        sentences=report["sentences"],
        arms=(["", *ARMS[1:]], arm_rows(report)),
        scores=(["", *map(title_of, shown)], score_rows(report, shown)),
        primary=(DIFFERENCES, difference_rows(report, primary=True)),
        others=(DIFFERENCES[:-1], difference_rows(report, primary=False)),
        plots=curves(report, "flops", 1e12, "training, TFLOP") + curves(report, "seconds", 60, "training, minutes"),
        head=head_plot(report),
        labels=rows[0],
        strips=rows[1],
        abouts=[(name, arm["about"] or "–", " ".join(arm["config"])) for name, arm in report["arms"].items()],
        facts=[*report["protocol"].items(), *report["versions"].items(), ("made", report["made"])],
    )


def markdown(report: Report) -> str:
    """The same without plots and pictures."""
    shown = report["metrics"][:MOST_SHOWN]
    parts = [f"# Study {report['name']}", report["about"]]
    parts += [f"Decided by `{report['primary']}`, named in advance. Made {report['made']}."]
    parts += [f"> {note}" for note in report["notes"]]
    parts += ["## What it shows", "\n".join(f"- {text}" for text in report["sentences"])]
    tables = {
        "Arms": (ARMS, arm_rows(report)),
        "Scores at the end, mean and standard deviation over runs": (["arm", *shown], score_rows(report, shown)),
        "Differences in the primary metric": (DIFFERENCES, difference_rows(report, primary=True)),
        "In other metrics, not corrected": (DIFFERENCES[:-1], difference_rows(report, primary=False)),
    }
    for title, (header, rows) in tables.items():
        parts += [f"## {title}", "\n".join(markdown_table(header, rows))]
    return "\n\n".join(part for part in parts if part) + "\n"


def arm_rows(report: Report) -> Rows:
    """What each arm took and takes."""
    return [
        (
            name,
            str(arm["runs"]),
            str(arm["steps"] or "–"),
            number(_divided(arm["training_flops"], 1e12)),
            number(_divided(arm["seconds"], 60), 3),
            number(arm["image_flops"] / 1e9),
            number(arm["parameters"] / 1e6, 3),
            number(arm["rate"], 2),
        )
        for name, arm in report["arms"].items()
    ]


def score_rows(report: Report, metrics: list[str]) -> Rows:
    """Mean and standard deviation over runs of the chosen metrics."""
    return [(name, *(_with_spread(arm["scores"].get(m)) for m in metrics)) for name, arm in report["arms"].items()]


def difference_rows(report: Report, primary: bool) -> Rows:
    """Comparisons in the primary metric, or in all others."""
    rows: Rows = []
    for d in report["differences"]:
        if (d["metric"] == report["primary"]) == primary:
            spans = [interval(d[name]) for name in ("over_seeds", "over_both")]
            row = [f"{d['arm']} - {d['other']}", d["metric"], signed(d["mean"]), *spans, number(d["p"], 2)]
            rows.append([*row, number(d["adjusted"], 2)] if primary else row)
    return rows


def curves(report: Report, place: str, unit: float, label: str) -> list[tuple[str, str]]:
    """Each metric over what training took, one line an arm, with a standard deviation to either side."""
    cards = []
    for metric, arms in report["curves"].items():
        known = {name: points for name, points in arms.items() if points}
        lines = {name: [point["mean"] for point in points] for name, points in known.items()}
        places = {name: [point[place] / unit for point in points] for name, points in known.items()}
        bands = {name: [_band(point) for point in points] for name, points in known.items()}
        cards.append((title_of(metric), line_plot(lines, places, label, bands)))
    return cards


def head_plot(report: Report) -> list[tuple[str, str]]:
    """The step heads' accuracy by step, on real and on generated images."""
    lines = {
        f"{name}, {'real' if kind == 'real' else 'generated'}": values
        for name, arm in report["arms"].items()
        for kind, values in arm["head"].items()
    }
    return [("Share of images whose step the head names", line_plot(lines))] if lines else []


def pictures(plan: Plan, folders: Folders) -> tuple[list[str], list[str]]:
    """Source, target and the result of each arm's first finished run: labels, and a picture for each pair."""
    found: dict[str, list[np.ndarray]] = {}
    for run in plan.runs():
        results = folders.results(run)
        if run.arm not in found and results.read(plan.points(run)[-1]):
            height, width = plan.config(run).data.image_size
            found[run.arm] = _cut(results, height, width)
    truths = next(iter(found.values()))
    rows = [
        strip([truths[place][0], truths[place][2], *(pairs[place][1] for pairs in found.values())])
        for place in range(len(truths))
    ]
    return ["source", "target", *found], [image_address(row) for row in rows]


def _cut(results: Results, height: int, width: int) -> list[np.ndarray]:
    """For each pair (3, H, W, 3): source, result and target."""
    picture = results.picture()
    rows = [picture[top : top + height] for top in range(0, len(picture), height + GAP)]
    return [np.stack([row[:, left : left + width] for left in range(0, row.shape[1], width + GAP)]) for row in rows]


def _band(point: dict[str, Any]) -> tuple[float, float] | None:
    spread = point["deviation"]
    return None if spread is None else (point["mean"] - spread, point["mean"] + spread)


def _with_spread(score: dict[str, Any] | None) -> str:
    if score is None:
        return "–"
    return number(score["mean"]) + (f" ± {number(score['deviation'], 2)}" if score["deviation"] is not None else "")


def _divided(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
