"""What an evaluation found, as `report.json`, `report.md`, `per_image.csv` and `unmatched.txt`."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from images.writing import replacing, write_text
from metrics.evaluate import CLEAN, LEVEL, Scores, TrackScores
from metrics.remarks import canvas_share, remarks
from metrics.scorer import Scorer
from metrics.slices import describe, slice_means, summarise
from metrics.spectra import frequencies
from metrics.task import COPY_SOURCE, Task

Report = dict[str, Any]
FIRST_METRICS = ("ssim", "psnr", "l1", "lpips", "fid", "kid")
NOT_METRICS = ("step", "label", "identical", "intervals", "at_level")
PACKAGES = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "lpips", "torch-fidelity")
LISTED = 20  # unmatched names that a report shows; all are in `unmatched.txt`


class _ReportFile(BaseModel):
    """What must be in a report for others to read it."""

    model_config = ConfigDict(extra="allow")

    name: str
    steps: list[dict[str, Any]] = Field(min_length=1)
    protocol: dict[str, Any]
    reals: dict[str, Any]
    image_size: list[int]


def build_report(name: str, task: Task, scorer: Scorer, scores: Sequence[TrackScores], reals: dict[str, Any]) -> Report:
    """Everything that the numbers need to be understood."""
    clusters = task.clusters()
    by_label = {track.label: one for track, one in zip(task.tracks, scores, strict=True)}
    copied = by_label.pop(COPY_SOURCE, None)
    final = scores[task.final]
    return {
        "name": name,
        "steps": [
            {"step": step, "label": label} | _means(one.clean, clusters, scorer)
            | {"at_level": _means(one.level, clusters, scorer) if one.level else None}
            for step, (label, one) in enumerate(by_label.items())
        ],
        "copy_source": _means(copied.clean, clusters, scorer) if copied else None,
        "slices": slice_means(task.pairs, final.clean.columns, clusters),
        "protocol": scorer.protocol.model_dump(mode="json"),
        "canvas_share": canvas_share(scorer.protocol, task.size),
        "missing": [asdict(missing) for missing in scorer.missing],
        "decisions": [*task.decisions, *remarks(task, scorer, final, reals["count"])],
        "counts": {"pairs": len(task.pairs), resampled(task): len(set(clusters))}
        | {side: len(names) for side, names in task.unmatched.items()},
        "unmatched": {side: names[:LISTED] for side, names in task.unmatched.items()},
        "origin": task.origin,
        "ground_truth": final.truth_digest,
        "spectra": {"frequency": frequencies().tolist(), "ground truth": final.truth_spectrum.levels().tolist()}
        | {label: one.spectrum.levels().tolist() for label, one in by_label.items()},
        "image_size": list(task.size),
        "ceiling": reals.get("ceiling"),
        "reals": {key: value for key, value in reals.items() if key != "ceiling"},
        "made": {"time": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv},
        "versions": versions(),
    }  # fmt: skip


def resampled(task: Task) -> str:
    """What intervals are resampled over."""
    return "persons" if task.has_persons() else "targets"


def write_report(path: Path, report: Report, task: Task, scores: Sequence[TrackScores]) -> None:
    """`path` (a `.json`) with its `.md`, and in its folder the lines of all images and the names without partner.

    Each file is there whole or, where the disk is full, as it was before; raises ValueError then.
    """
    write_json(path, report)
    write_text(path.with_suffix(".md"), markdown(report))
    write_rows(rows_path(path), task, scores)
    lines = [f"{side}\t{name}\n" for side, names in task.unmatched.items() for name in names]
    write_text(_beside(path, "unmatched.txt"), "".join(lines))


def write_json(path: Path, report: Report) -> None:
    """Strict JSON: a number that is not finite becomes null."""
    write_text(path, json.dumps(_finite(report), indent=2) + "\n")


def read_json(path: Path) -> Report:
    """A report from disk, `path` being the file or its folder; raises ValueError where it is none."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return _ReportFile.model_validate_json(file.read_bytes()).model_dump()
    except FileNotFoundError:
        raise ValueError(f"report {file} does not exist; make one with eval_step.py") from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), " ".join(first["msg"].split()))))
        raise ValueError(f"{file} is no report ({reason}); make it anew with eval_step.py") from None


def write_rows(path: Path, task: Task, scores: Sequence[TrackScores]) -> None:
    """A CSV of one line an image, track and kind of ground truth; what is not known is left empty."""
    about: list[dict[str, str | None]] = [
        {"name": pair.name, "cluster": cluster, **describe(pair)}
        for pair, cluster in zip(task.pairs, task.clusters(), strict=True)
    ]
    kinds = [(t.label, kind, own) for t, one in zip(task.tracks, scores, strict=True) for kind, own in _kinds(one)]
    metrics = list(dict.fromkeys(name for _, _, own in kinds for name in own.columns))
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["track", "target", *about[0], *metrics])
        for label, kind, own in kinds:
            table = np.array([own.columns.get(name, np.full(len(about), np.nan)) for name in metrics]).T
            for row, values in zip(about, table, strict=True):
                numbers = ["" if math.isnan(value) else repr(float(value)) for value in values]
                writer.writerow([label, kind, *(text or "" for text in row.values()), *numbers])


def read_rows(path: Path, track: str) -> Iterator[dict[str, str]]:
    """The lines of one track's images against clean ground truth; raises ValueError where they are not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; it is written beside report.json by eval_step.py") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no table; make it anew with eval_step.py") from None
    for row in csv.DictReader(io.StringIO(text)):
        if "name" not in row or "track" not in row:
            raise ValueError(f"{path} has no columns `track` and `name`; make it anew with eval_step.py")
        if row["track"] == track and row.get("target", CLEAN) == CLEAN:
            yield row


def read_final(path: Path) -> tuple[Report, list[dict[str, str]]]:
    """A report (its file or its folder) and the lines of its final images; raises ValueError where they disagree."""
    report, file = read_json(path), rows_path(path)
    final = report["steps"][-1]
    rows = list(read_rows(file, final.get("label", "")))
    if not rows:
        raise ValueError(f"{file} has no line of {final.get('label')}; make it anew with eval_step.py")
    for metric in metric_names(final):
        if not _is_mean(final[metric], [row[metric] for row in rows if row.get(metric)]):
            raise ValueError(f"{file} and its report are of two evaluations ({metric} differs); make both anew")
    return report, rows


def rows_path(report: Path) -> Path:
    """Where the lines of a report (its file or its folder) are."""
    return _beside(report / "report.json" if report.is_dir() else report, "per_image.csv")


def metric_names(means: Mapping[str, Any]) -> list[str]:
    """The metrics of a step, those that everyone reports first."""
    names = [key for key in means if key not in NOT_METRICS and not key.endswith("_deviation")]
    return [key for key in FIRST_METRICS if key in names] + sorted(key for key in names if key not in FIRST_METRICS)


def markdown(report: Report) -> str:
    """`report.md`: the numbers of every step, slices, and every choice behind them."""
    protocol, metrics = report["protocol"], metric_names(report["steps"][-1])
    lines = [f"# Evaluation of {report['name']}", ""]
    lines += [f"{report['counts']['pairs']} pairs, protocol `{protocol['name']}`: {protocol['description']}.", ""]
    lines += [f"> {', '.join(item['metrics'])} missing: {item['reason']}\n" for item in report["missing"]]
    lines += [f"> {text}\n" for text in report["decisions"]]
    rows = [_values(step["label"], step, metrics) for step in report["steps"]]
    if report["copy_source"]:
        rows.append(_values("copy of the source", report["copy_source"], metrics))
    if report["ceiling"]:
        rows.append(_values("the ground truth itself", report["ceiling"], metrics))
    lines += ["Against the ground truth:", "", *markdown_table(["", *metrics], rows)]
    leveled = [_values(step["label"], step["at_level"], metrics) for step in report["steps"] if step["at_level"]]
    if leveled:
        lines += ["", "Against the ground truth of the step's own level:", ""]
        lines += markdown_table(["", *metrics], leveled)
    for kind, groups in report["slices"].items():
        lines += ["", f"## By {kind.replace('_', ' ')}", ""]
        columns = ["count", "clusters", *(name for name in metrics if any(name in group for group in groups.values()))]
        lines += markdown_table(["", *columns], [_values(name, group, columns) for name, group in groups.items()])
    for part in ("protocol", "counts", "reals", "origin", "made", "versions"):
        if report[part]:
            lines += ["", f"## {part.capitalize()}", "", *(f"- {key}: {value}" for key, value in report[part].items())]
    for side, names in report["unmatched"].items():
        if names:
            count = report["counts"][side]
            lines += ["", f"## {side.replace('_', ' ').capitalize()} ({count})", "", *(f"- {name}" for name in names)]
            lines += ["- ... all are in unmatched.txt"] * (count > len(names))
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


def _is_mean(value: Any, texts: Sequence[str]) -> bool:
    """Whether a report's value may be the mean of what its images have; those without a finite one do not count."""
    try:
        numbers = [number for number in map(float, texts) if math.isfinite(number)]
        if not numbers:
            return value is None or math.isfinite(value)
        return math.isclose(value, sum(numbers) / len(numbers), rel_tol=1e-6, abs_tol=1e-9)
    except (TypeError, ValueError):
        return False


def _beside(report: Path, name: str) -> Path:
    """A file of a report; `a.json` and `b.json` in one folder have one each."""
    return report.with_name(name if report.stem == "report" else f"{report.stem}_{name}")


def _kinds(scores: TrackScores) -> list[tuple[str, Scores]]:
    return [(CLEAN, scores.clean), *([(LEVEL, scores.level)] if scores.level else [])]


def _means(scores: Scores, clusters: Sequence[str], scorer: Scorer) -> dict[str, Any]:
    """Means over images and scores of the set; null where a network is missing."""
    missing = dict.fromkeys(name for item in scorer.missing for name in item.metrics)
    identical = int(np.isposinf(scores.columns["psnr"]).sum())
    return missing | summarise(scores.columns, clusters) | scores.sets | {"identical": identical}


def _values(name: str, means: Mapping[str, Any], metrics: Sequence[str]) -> list[Any]:
    return [name, *(means.get(metric) for metric in metrics)]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table; numbers that are not whole with four places."""
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
