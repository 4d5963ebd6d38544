"""A Frechet distance of resampled images, from products of features alone: small to keep, and quick to do again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.distribution import Array, Moments


@dataclass(frozen=True)
class FrechetGram:
    """What the Frechet distance of any resample of N images to fixed reals follows from.

    With Y the (N, D) features less the reals' mean and C the reals' covariance, `products` is Y Y^T, `spreads` is
    Y C Y^T, both (N, N), and `trace` that of C. The eigenvalues that the distance needs are those of an (N, N) matrix,
    not of a (D, D) one: with fewer images than features that is quicker, and no feature need be kept.
    """

    products: Array
    spreads: Array
    trace: float

    @classmethod
    def of(cls, features: np.ndarray, reals: Moments) -> FrechetGram:
        """From (N, D) features of generated images."""
        centred, covariance = np.asarray(features, np.float64) - reals.mean, reals.covariance()
        return cls(centred @ centred.T, centred @ covariance @ centred.T, float(np.trace(covariance)))

    def distance(self, counts: np.ndarray) -> float:
        """As `metrics.distribution.frechet_distance_of`, of a set that holds image i `counts[i]` times, two in all."""
        drawn = counts > 0
        counts, products = counts[drawn].astype(np.float64), self.products[np.ix_(drawn, drawn)]
        spreads, total = self.spreads[np.ix_(drawn, drawn)], counts.sum()
        share = counts / total
        mean = float(share @ products @ share)
        trace = (counts @ np.diag(products) - total * mean) / (total - 1)
        # the spread about the set's own mean, an image's row and column by the root of how often it is there
        rows = spreads @ share
        own = spreads - rows[:, None] - rows[None, :] + share @ rows
        weights = np.sqrt(counts / (total - 1))
        eigenvalues = np.linalg.eigvalsh(weights[:, None] * own * weights[None, :])
        return max(0.0, mean + trace + self.trace - 2 * float(np.sqrt(eigenvalues.clip(min=0)).sum()))
