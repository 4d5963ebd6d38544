"""Whether two reports differ by more than chance, where they can be compared at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.report import Report, metric_names
from metrics.resampling import bootstrap_interval
from metrics.slices import is_better_high

INCOMPARABLE = "not comparable"
# choices that say what the numbers are, but change none
_WITHOUT_EFFECT = ("name", "description", "real_set", "real_count", "real_hash", "file_format")
# which metrics depend on a choice, by how their names begin; choices that are not here change all of them
_ON_SETS = ("fid", "kid", "fd_", "kd_")
_AFFECTED: dict[str, tuple[str, ...]] = {
    "canvas": ("ssim", "psnr", "l1", "mae"),
    "ssim": ("ssim",),
    "lpips_network": ("lpips", "face_lpips"),
    "lpips_range": ("lpips", "face_lpips"),
    "inception": ("fid", "kid"),
    "inception_resize": ("fid", "kid", "fd_inception", "kd_inception", "recall"),
    "embedding": ("recall",),
    "own": ("fd_own", "kd_own", "recall"),
    "batch_size": (),
    "drop_last": _ON_SETS,
    "kid_subsets": ("kid", "kd_"),
    "kid_subset_size": ("kid", "kd_"),
    "kid_sample": ("kid", "kd_"),
}


@dataclass(frozen=True)
class Comparison:
    """One metric of two reports; `interval` is of the mean difference B - A over the images that both scored."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    interval: tuple[float, float] | None
    verdict: str


Rows = Sequence[Mapping[str, Any]]


def compare(a: Report, b: Report, rows_a: Rows, rows_b: Rows) -> list[Comparison]:
    """Compare the final images of two reports, given their lines of `per_image.csv`.

    Images are paired by name, so that what is hard for both cancels out; intervals are over persons, as in reports.
    """
    by_name = {row["name"]: row for row in rows_b}
    pairs = [(row, by_name[row["name"]]) for row in rows_a if row["name"] in by_name]
    theirs = metric_names(b["steps"][-1])
    reasons = differences(a, b)
    return [
        _compare(metric, a, b, pairs, _is_affected(metric, reasons))
        for metric in metric_names(a["steps"][-1])
        if metric in theirs
    ]


def differences(a: Report, b: Report) -> dict[str, tuple[str, ...]]:
    """What makes numbers of two reports incomparable, and the metrics of which this is so (as their names begin)."""
    choices = sorted(key for key in a["protocol"].keys() | b["protocol"].keys() if key not in _WITHOUT_EFFECT)
    found = {
        f"The protocols differ in {key}": _AFFECTED.get(key, ("",))
        for key in choices
        if a["protocol"].get(key) != b["protocol"].get(key) and _AFFECTED.get(key) != ()
    }
    if a["reals"].get("hash") != b["reals"].get("hash"):
        found["The real sets differ"] = _ON_SETS
    if a["image_size"] != b["image_size"]:
        found[f"The image sizes differ ({a['image_size']} and {b['image_size']})"] = ("",)
    truths = [report.get("ground_truth") for report in (a, b)]
    if all(truths) and truths[0] != truths[1] and a.get("counts") == b.get("counts"):
        found["The ground truths differ"] = ("",)
    return found


def notes(a: Report, b: Report, rows_a: Rows, rows_b: Rows) -> list[str]:
    """What a reader must know before believing the numbers: other protocols, reals, sizes or images."""
    found = [f"{reason}: {_affected_text(metrics)}." for reason, metrics in differences(a, b).items()]
    names = [{row["name"] for row in rows} for rows in (rows_a, rows_b)]
    if names[0] != names[1]:
        both, only = len(names[0] & names[1]), [len(names[0] - names[1]), len(names[1] - names[0])]
        found.append(f"{both} images are in both reports, {only[0]} only in A, {only[1]} only in B.")
    return found


def _affected_text(metrics: Iterable[str]) -> str:
    shown = ", ".join(name.rstrip("_") for name in metrics)
    return f"{shown} cannot be compared" if shown else "nothing can be compared"


def _is_affected(metric: str, reasons: Mapping[str, tuple[str, ...]]) -> bool:
    return any(metric.startswith(start) for metrics in reasons.values() for start in metrics)


def _compare(
    metric: str, a: Report, b: Report, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], is_apart: bool
) -> Comparison:
    mean_a, mean_b = (report["steps"][-1].get(metric) for report in (a, b))
    if is_apart:
        return Comparison(metric, mean_a, mean_b, None, None, INCOMPARABLE)
    values = np.array([_number(y.get(metric)) - _number(x.get(metric)) for x, y in pairs], np.float64)
    interval = bootstrap_interval(values, [row.get("cluster") or row["name"] for row, _ in pairs], 2000)
    if interval:
        return Comparison(
            metric, mean_a, mean_b, float(values[np.isfinite(values)].mean()), interval, _verdict(metric, interval)
        )
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
