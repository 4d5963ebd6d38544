"""Parts of a test set (by pose, by view, by sex), and how sure a mean over images is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.evaluate import Pair
from metrics.folders import sex, view_change
from metrics.scorer import Row

JOINT_GROUPS = ((0, 0), (1, 9), (10, 13), (14, 16), (17, 18))
METRICS = ("ssim", "psnr", "l1", "mae", "lpips")
SLICES = ("visible_joints", "view", "sex")
CONFIDENCE = 0.95
_RESAMPLES_AT_ONCE = 100


def describe(pair: Pair) -> Row:
    """The slices that a pair belongs to; None where it is not known."""
    found = None if pair.joints is None else int(np.isfinite(pair.joints).all(axis=1).sum())
    return {"visible_joints": _joint_group(found), "view": view_change(pair.name), "sex": sex(pair.name)}


def slice_means(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """For each kind of slice and each of its values: `count`, the metrics' means and their `intervals`."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in SLICES:
        names = sorted({row[kind] for row in rows if row.get(kind) is not None}, key=_slice_order)
        if names:
            result[kind] = {name: _means([row for row in rows if row.get(kind) == name]) for name in names}
    return result


def intervals(rows: Sequence[Mapping[str, Any]], num_resamples: int = 1000) -> dict[str, tuple[float, float]]:
    """The bootstrap interval of the mean of each metric that rows hold."""
    found = {}
    for metric in per_image_metrics(rows):
        values = finite_values(rows, metric)
        if len(values) > 1:
            found[metric] = bootstrap_interval(values, num_resamples)
    return found


def per_image_metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics of one image in rows, those that everyone reports first."""
    names = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, float))
    known = [name for name in METRICS if name in names]
    return known + sorted(name for name in names if name not in known)


def finite_values(rows: Sequence[Mapping[str, Any]], metric: str) -> NDArray[np.float64]:
    """The values of a metric that are known and finite."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return np.array([value for value in values if np.isfinite(value)], np.float64)


def bootstrap_interval(values: NDArray[np.float64], num_resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the mean of (N,) values (Efron and Tibshirani, 1993, ch. 13)."""
    means = bootstrap_means(values, num_resamples, seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_means(values: NDArray[np.float64], num_resamples: int, seed: int = 0) -> NDArray[np.float64]:
    """Means of `num_resamples` samples drawn with replacement from (N,) values."""
    random, count = np.random.default_rng(seed), len(values)
    parts = []
    for start in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        drawn = random.integers(0, count, (min(_RESAMPLES_AT_ONCE, num_resamples - start), count), dtype=np.int32)
        parts.append(values[drawn].mean(axis=1))
    return np.concatenate(parts)


def is_better_high(metric: str) -> bool:
    """Whether more of a metric is better: SSIM, PSNR and PCK are, distances and errors are not."""
    return metric.startswith(("ssim", "psnr", "pckh")) or metric.endswith("_ssim")


def extremes(rows: Sequence[Mapping[str, Any]], metric: str, count: int) -> tuple[list[str], list[str]]:
    """Names of the `count` worst and the `count` best images of a metric, the most extreme first."""
    known = [row for row in rows if row.get(metric) is not None]
    ordered = sorted(known, key=lambda row: (row[metric], row["name"]), reverse=is_better_high(metric))
    names = [row["name"] for row in ordered]
    return names[::-1][:count], names[:count]


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metrics = {metric: finite_values(rows, metric) for metric in per_image_metrics(rows)}
    means = {metric: float(values.mean()) for metric, values in metrics.items() if len(values)}
    return {"count": len(rows), **means, "intervals": intervals(rows, 300)}


def _joint_group(count: int | None) -> str | None:
    if count is None:
        return None
    low, high = next(group for group in JOINT_GROUPS if group[0] <= count <= group[1])
    return str(low) if low == high else f"{low}-{high}"


def _slice_order(name: str) -> tuple[int, str]:
    head = name.split("-")[0]
    return (int(head) if head.isdigit() else 0, name)
