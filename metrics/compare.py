"""Whether two reports differ by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.report import Report, metric_names
from metrics.slices import bootstrap_interval, is_better_high

# Two reports whose protocols differ in these have numbers of different kinds.
IGNORED_CHOICES = ("name", "description", "real_count")


@dataclass(frozen=True)
class Comparison:
    """One metric of two reports; `interval` is of the mean difference B - A over the images that both scored."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    interval: tuple[float, float] | None
    verdict: str


def compare(
    a: Report, b: Report, rows_a: Sequence[Mapping[str, Any]], rows_b: Sequence[Mapping[str, Any]]
) -> list[Comparison]:
    """Compare the final images of two reports, given the lines of their `per_image.csv`.

    Images are paired by name, so that what is hard for both cancels out.
    """
    finals = [{row["name"]: row for row in _final(report, rows)} for report, rows in ((a, rows_a), (b, rows_b))]
    common = sorted(finals[0].keys() & finals[1].keys())
    metrics = [metric for metric in metric_names(a) if metric in metric_names(b)]
    return [_compare(metric, a, b, [(finals[0][name], finals[1][name]) for name in common]) for metric in metrics]


def notes(a: Report, b: Report, rows_a: Sequence[Mapping[str, Any]], rows_b: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader must know before believing the numbers: other protocols, reals, versions or images."""
    found = []
    choices = sorted(key for key in a["protocol"].keys() | b["protocol"].keys() if key not in IGNORED_CHOICES)
    different = [key for key in choices if a["protocol"].get(key) != b["protocol"].get(key)]
    if different:
        found.append(f"The protocols differ in {', '.join(different)}: what depends on these cannot be compared.")
    if a["reals"]["hash"] != b["reals"]["hash"]:
        found.append("The real sets differ: FID and KID cannot be compared.")
    if a["image_size"] != b["image_size"]:
        found.append(f"The image sizes differ ({a['image_size']} and {b['image_size']}).")
    names = [{row["name"] for row in _final(report, rows)} for report, rows in ((a, rows_a), (b, rows_b))]
    if names[0] != names[1]:
        both, only = len(names[0] & names[1]), [len(names[0] - names[1]), len(names[1] - names[0])]
        found.append(f"{both} images are in both reports, {only[0]} only in A, {only[1]} only in B.")
    return found


def _final(report: Report, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["track"] == report["steps"][-1]["label"]]


def _compare(
    metric: str, a: Report, b: Report, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Comparison:
    mean_a, mean_b = (report["steps"][-1].get(metric) for report in (a, b))
    known = [(_number(x.get(metric)), _number(y.get(metric))) for x, y in pairs]
    differences = np.array([y - x for x, y in known if np.isfinite(x) and np.isfinite(y)], np.float64)
    if len(differences) > 1:
        interval = bootstrap_interval(differences, num_resamples=2000)
        return Comparison(metric, mean_a, mean_b, float(differences.mean()), interval, _verdict(metric, interval))
    difference = None if mean_a is None or mean_b is None else mean_b - mean_a
    return Comparison(
        metric, mean_a, mean_b, difference, None, "no interval" if difference is not None else "not in both"
    )


def _verdict(metric: str, interval: tuple[float, float]) -> str:
    if interval[0] <= 0 <= interval[1]:
        return "no difference seen"
    return "B is better" if (interval[0] > 0) == is_better_high(metric) else "A is better"


def _number(text: Any) -> float:
    return float(text) if text not in (None, "") else float("nan")
