"""How sure a mean over images is: the bootstrap over what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES_AT_ONCE = 100

Values = NDArray[np.floating]


def bootstrap_interval(
    values: Values, clusters: Sequence[str], num_resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of the mean of (N,) values, resampling whole clusters.

    Images of one person (or one target) are alike: drawing images one by one would make the interval far too narrow
    (Cameron, Gelbach and Miller, *Bootstrap-based improvements for inference with clustered errors*, 2008). Values that
    are not finite are left out. None for fewer than two clusters.
    """
    known = np.isfinite(values)
    _, codes = np.unique(np.asarray(clusters)[known], return_inverse=True)
    if not known.any() or codes.max() == 0:
        return None
    sums = np.bincount(codes, values[known]).astype(np.float64)
    means = _cluster_means(sums, np.bincount(codes), num_resamples, seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _cluster_means(sums: Values, counts: NDArray[np.integer], num_resamples: int, seed: int) -> Values:
    """Means over all images of as many clusters as there are, drawn with replacement."""
    random, parts = np.random.default_rng(seed), []
    for start in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        size = (min(_RESAMPLES_AT_ONCE, num_resamples - start), len(sums))
        drawn = random.integers(0, len(sums), size, dtype=np.int32)
        parts.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(parts)
