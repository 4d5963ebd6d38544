"""What an evaluation found, as `report.json`, `report.md` and `per_image.csv`."""

from __future__ import annotations

import csv
import json
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Report = dict[str, Any]
FIRST_METRICS = ("ssim", "psnr", "l1", "lpips", "fid", "kid")
NOT_METRICS = ("step", "level", "label", "identical", "intervals", "kid_deviation")
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "lpips", "torch-fidelity")


def write_json(path: Path, report: Report) -> None:
    """Strict JSON: a number that is not finite becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(report), indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Report:
    """A report from disk, `path` being the file or its folder; raises ValueError where it is none."""
    file = path / "report.json" if path.is_dir() else path
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"report {file} does not exist; make one with eval_step.py") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"report {file} is not JSON ({error}); make it anew with eval_step.py") from None
    if not isinstance(report, dict) or not isinstance(report.get("steps"), list) or not report["steps"]:
        raise ValueError(f"report {file} has no steps; make it anew with eval_step.py")
    return report


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV of one line an image; what is not known is left empty."""
    fields = list(dict.fromkeys(key for row in rows for key in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The lines of `per_image.csv`; raises ValueError where it is not there."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; it is written beside report.json by eval_step.py") from None


def rows_path(report: Path) -> Path:
    """Where the lines of a report (its file or its folder) are."""
    return (report if report.is_dir() else report.parent) / "per_image.csv"


def metric_names(report: Report) -> list[str]:
    """The metrics of a report, those that everyone reports first."""
    names = [key for key in report["steps"][-1] if key not in NOT_METRICS]
    return [key for key in FIRST_METRICS if key in names] + sorted(key for key in names if key not in FIRST_METRICS)


def markdown(report: Report) -> str:
    """`report.md`: the numbers of every step, slices, and every choice behind them."""
    protocol, metrics = report["protocol"], metric_names(report)
    lines = [f"# Evaluation of {report['name']}", ""]
    lines += [f"{report['counts']['pairs']} pairs, protocol `{protocol['name']}`: {protocol['description']}.", ""]
    lines += [f"> {', '.join(item['metrics'])} missing: {item['reason']}\n" for item in report["missing"]]
    lines += [f"> {text}\n" for text in report["decisions"]]
    rows = [_values(step["label"], step, metrics) for step in report["steps"]]
    if report["copy_source"]:
        rows.append(_values("copy of the source", report["copy_source"], metrics))
    lines += _markdown_table(["", *metrics], rows)
    for kind, groups in report["slices"].items():
        lines += ["", f"## By {kind.replace('_', ' ')}", ""]
        lines += _markdown_table(
            ["", "images", *metrics],
            [_values(name, group, ["count", *metrics]) for name, group in groups.items()],
        )
    for part in ("protocol", "counts", "reals", "versions"):
        lines += ["", f"## {part.capitalize()}", "", *(f"- {key}: {value}" for key, value in report[part].items())]
    for side, names in report["unmatched"].items():
        if names:
            lines += [
                "",
                f"## {side.replace('_', ' ').capitalize()} ({len(names)})",
                "",
                *(f"- {name}" for name in names),
            ]
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """Versions of everything that computes a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _values(name: str, means: Mapping[str, Any], metrics: Sequence[str]) -> list[Any]:
    return [name, *(means.get(metric) for metric in metrics)]


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[_cell(value) for value in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(header), ["---"] * len(header), *cells]]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
