"""Several methods scored alike, in one table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from images.writing import write_text
from metrics.compare import differences
from metrics.html import interval, number, render
from metrics.pages import title_of
from metrics.report import Report, metric_names


def write_methods(folder: Path, reports: Sequence[Report]) -> list[Path]:
    """`methods.html` (a click on a metric sorts), `methods.md` and `methods.csv` of reports, the best SSIM first.

    Raises ValueError where the disk does not take them.
    """
    metrics = list(dict.fromkeys(name for report in reports for name in metric_names(report["steps"][-1])))
    ranked = sorted(reports, key=lambda report: -(report["steps"][-1].get("ssim") or 0.0))
    notes = warnings(reports)
    page = render(
        "methods.html",
        title=f"{len(reports)} methods",
        subtitle=f"protocol {ranked[0]['protocol']['name']}: {ranked[0]['protocol']['description']}",
        notes=notes,
        titles=["method", "pairs", *map(title_of, metrics)],
        rows=[_cells(report, metrics) for report in ranked],
    )
    files = {
        "methods.html": page,
        "methods.md": _markdown(ranked, metrics, notes),
        "methods.csv": _csv(ranked, metrics),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


def warnings(reports: Sequence[Report]) -> list[str]:
    """What makes the rows of the table incomparable, against the first of them."""
    first = reports[0]
    found = {
        f"{reason}: {other['name']} is not to be compared with {first['name']}"
        + (f" in {', '.join(name.rstrip('_') for name in metrics)}." if "" not in metrics else ".")
        for other in reports[1:]
        for reason, metrics in differences(first, other).items()
    }
    counts = {report["name"]: report["counts"]["pairs"] for report in reports}
    if len(set(counts.values())) > 1:
        found.add(f"The numbers of pairs differ: {', '.join(f'{name} {count}' for name, count in counts.items())}.")
    return sorted(found)


def _cells(report: Report, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """For each column what is shown, the interval below it, and what it is sorted by."""
    last = report["steps"][-1]
    spans: Mapping[str, Any] = last["intervals"]
    cells = [{"text": report["name"], "span": "", "key": report["name"]}]
    cells.append({"text": report["counts"]["pairs"], "span": "", "key": report["counts"]["pairs"]})
    for name in metrics:
        value = last.get(name)
        span = interval(spans[name]) if name in spans else ""
        cells.append({"text": number(value), "span": span, "key": "" if value is None else value})
    return cells


def _markdown(reports: Sequence[Report], metrics: Sequence[str], notes: Sequence[str]) -> str:
    lines = [f"> {note}\n" for note in notes]
    lines += [f"| method | pairs | {' | '.join(map(title_of, metrics))} |", "|---" * (len(metrics) + 2) + "|"]
    for report in reports:
        cells = [
            f"{cell['text']}{' (' + cell['span'] + ')' if cell['span'] else ''}" for cell in _cells(report, metrics)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _csv(reports: Sequence[Report], metrics: Sequence[str]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["method", "pairs", *(f"{name}{end}" for name in metrics for end in ("", "_low", "_high"))])
    for report in reports:
        last = report["steps"][-1]
        spans = [last["intervals"].get(name) or ("", "") for name in metrics]
        values = [value for name, span in zip(metrics, spans, strict=True) for value in (last.get(name), *span)]
        writer.writerow([report["name"], report["counts"]["pairs"], *values])
    return file.getvalue()
