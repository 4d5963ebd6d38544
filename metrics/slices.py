"""Means of a test set and of its parts: by pose, by view, by sex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.names import sex, view_change
from metrics.resampling import bootstrap_interval
from metrics.scorer import Columns
from metrics.task import Pair

JOINT_GROUPS = ((0, 0), (1, 9), (10, 13), (14, 16), (17, 18))
METRICS = ("ssim", "psnr", "l1", "mae", "lpips")
SLICES = ("visible_joints", "view", "sex")


def describe(pair: Pair) -> dict[str, str | None]:
    """The slices that a pair belongs to; None where it is not known."""
    found = None if pair.joints is None else int(np.isfinite(pair.joints).all(axis=1).sum())
    return {"visible_joints": _joint_group(found), "view": view_change(pair.name), "sex": sex(pair.name)}


def summarise(columns: Columns, clusters: Sequence[str], num_resamples: int = 1000) -> dict[str, Any]:
    """Each metric's mean over the images that have it, None where none has, and the `intervals` of these means.

    A copy of the ground truth has an infinite PSNR: it is left out of that mean.
    """
    finite = {name: values[np.isfinite(values)] for name, values in ordered(columns).items()}
    means: dict[str, Any] = {name: float(values.mean()) if len(values) else None for name, values in finite.items()}
    found = {name: bootstrap_interval(values, clusters, num_resamples) for name, values in columns.items()}
    return means | {"intervals": {name: interval for name, interval in found.items() if interval}}


def slice_means(
    pairs: Sequence[Pair], columns: Columns, clusters: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """For each kind of slice and each of its values: `count`, the number of `clusters`, means and `intervals`."""
    described = [describe(pair) for pair in pairs]
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in SLICES:
        groups = np.array([row[kind] or "" for row in described])
        names = sorted({str(name) for name in groups} - {""}, key=_slice_order)
        if names:
            result[kind] = {name: _part(groups == name, columns, np.asarray(clusters)) for name in names}
    return result


def ordered(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of scores, those that everyone reports first."""
    known = [name for name in METRICS if name in columns]
    return {name: columns[name] for name in [*known, *sorted(columns.keys() - set(known))]}


def is_better_high(metric: str) -> bool:
    """Whether more of a metric is better: SSIM, PSNR, PCK and recall are, distances and errors are not."""
    return metric.startswith(("ssim", "psnr", "pckh", "recall")) or metric.endswith("_ssim")


def extremes(names: Sequence[str], values: NDArray[np.float64], metric: str, count: int) -> tuple[list[int], list[int]]:
    """Positions of the `count` worst and the `count` best images of a metric, the most extreme first."""
    known = [index for index, value in enumerate(values) if not np.isnan(value)]
    best_first = sorted(known, key=lambda index: (values[index], names[index]), reverse=is_better_high(metric))
    return best_first[::-1][:count], best_first[:count]


def _part(chosen: NDArray[np.bool_], columns: Columns, clusters: NDArray[np.str_]) -> dict[str, Any]:
    own = {name: values[chosen] for name, values in columns.items()}
    counts = {"count": int(chosen.sum()), "clusters": len(set(clusters[chosen]))}
    return counts | summarise(own, clusters[chosen].tolist(), 300)


def _joint_group(count: int | None) -> str | None:
    if count is None:
        return None
    low, high = next(group for group in JOINT_GROUPS if group[0] <= count <= group[1])
    return str(low) if low == high else f"{low}-{high}"


def _slice_order(name: str) -> tuple[int, str]:
    head = name.split("-")[0]
    return (int(head) if head.isdigit() else 0, name)
