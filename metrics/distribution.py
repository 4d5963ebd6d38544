"""Distances between two sets of feature vectors: Frechet (FID) and kernel (KID), from streams of any length.

What is kept of a set has a fixed size: float64 moments for the Frechet distance, and a sample of vectors, chosen by
a hash of their names, for the kernel distance. Both can be merged, so that processes share the work.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Eigenvalues of a product of covariances are >= 0. Rounding leaves some slightly below: those down to this share of the
# largest count as 0, anything lower means that the input was no covariance.
NEGATIVE_EIGENVALUE_GUARD = 1e-6


@dataclass
class Moments:
    """Count, mean and scatter (sum of outer products of deviations) of (N, D) features, in float64.

    Batches are merged with the pairwise update of Chan et al., *Updating formulae and a pairwise algorithm for
    computing sample variances*, 1979: no large sums are subtracted from each other.
    """

    count: int
    mean: Array
    scatter: Array

    @classmethod
    def empty(cls) -> Moments:
        """Moments of no vectors, to merge others into."""
        return cls(0, np.zeros(0), np.zeros((0, 0)))

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Moments of (N, D) features; raises ValueError where one is not finite."""
        values = np.asarray(features, np.float64)
        if values.ndim != 2 or not np.isfinite(values).all():
            raise ValueError(
                f"features of shape {values.shape} are no finite (N, D) table; check the images they come from"
            )
        mean = values.mean(axis=0) if len(values) else np.zeros(values.shape[1])
        centred = values - mean
        return cls(len(values), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        between = np.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def covariance(self) -> Array:
        """(D, D) sample covariance (over N - 1); raises ValueError for fewer than two vectors."""
        if self.count < 2:
            raise ValueError(
                f"a covariance needs two images or more, got {self.count}; a Frechet distance of one says nothing"
            )
        return self.scatter / (self.count - 1)


@dataclass
class FeatureSample:
    """The vectors of the `limit` names with the lowest hashes: the same whatever the order and however it is shared."""

    limit: int
    kept: list[tuple[int, str, NDArray[np.float32]]] = field(default_factory=list)

    def add(self, names: Sequence[str], features: NDArray[np.floating]) -> None:
        """Offer (N, D) features under their names."""
        for name, row in zip(names, features, strict=True):
            entry = (-_name_hash(name), name, np.asarray(row, np.float32))
            if len(self.kept) < self.limit:
                heapq.heappush(self.kept, entry)
            elif entry[:2] > self.kept[0][:2]:
                heapq.heapreplace(self.kept, entry)

    def merge(self, other: FeatureSample) -> FeatureSample:
        """The sample of both sets together."""
        kept = sorted(self.kept + other.kept, key=lambda entry: entry[:2])[-self.limit :]
        return FeatureSample(self.limit, kept)

    def features(self) -> NDArray[np.float32]:
        """(n, D) kept vectors, in an order that depends on names alone."""
        if not self.kept:
            return np.zeros((0, 0), np.float32)
        return np.stack([row for _, _, row in sorted(self.kept, key=lambda entry: entry[:2])])


def frechet_distance(features_a: NDArray[np.floating], features_b: NDArray[np.floating]) -> float:
    """Frechet distance of Gaussians fitted to two (N, D) tables of features."""
    return frechet_distance_of(Moments.of(features_a), Moments.of(features_b))


def frechet_distance_of(a: Moments, b: Moments) -> float:
    """|mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) of Gaussians with these moments, never below 0.

    Heusel et al., *GANs trained by a two time-scale update rule*, 2017, eq. 6. Raises ValueError for fewer than two
    vectors or moments of different widths.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {a.mean.size} and {b.mean.size} numbers cannot be compared; use one network")
    covariance_a, covariance_b = a.covariance(), b.covariance()
    difference = a.mean - b.mean
    trace = np.trace(covariance_a) + np.trace(covariance_b) - 2 * trace_sqrt_product(covariance_a, covariance_b)
    return max(0.0, float(difference @ difference + trace))


def trace_sqrt_product(a: Array, b: Array) -> float:
    """tr (A B)^(1/2) of two covariances (D, D), from eigenvalues.

    With R = A^(1/2), A B is similar to the symmetric R B R, whose eigenvalues are real and not negative; the trace is
    the sum of their roots. No general matrix root and no added diagonal are needed, even for singular covariances.
    Raises ValueError where an eigenvalue lies below `-NEGATIVE_EIGENVALUE_GUARD` times the largest.
    """
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(_not_negative(values))
    return float(np.sqrt(_not_negative(np.linalg.eigvalsh(root.T @ b @ root))).sum())


def kernel_distance(
    features_a: NDArray[np.floating],
    features_b: NDArray[np.floating],
    num_subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets of the unbiased squared MMD with kernel (x.y / D + 1)^3.

    Binkowski et al., *Demystifying MMD GANs*, 2018, sec. 4 (KID). Subsets are no larger than either set.
    Raises ValueError for fewer than two vectors.
    """
    size = min(subset_size, len(features_a), len(features_b))
    if size < 2:
        raise ValueError(f"a kernel distance needs two images or more on each side, got {size}")
    generator = np.random.default_rng(seed)
    values = [
        squared_mmd(
            features_a[generator.choice(len(features_a), size, replace=False)],
            features_b[generator.choice(len(features_b), size, replace=False)],
        )
        for _ in range(num_subsets)
    ]
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Unbiased squared maximum mean discrepancy of two (n, D) tables, n >= 2; it may be slightly negative."""
    count = len(a)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    within = sum(_kernel(x, x).sum() - np.trace(_kernel(x, x)) for x in (a, b)) / (count * (count - 1))
    return float(within - 2 * _kernel(a, b).mean())


def _kernel(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _not_negative(eigenvalues: Array) -> Array:
    if eigenvalues.min() < -NEGATIVE_EIGENVALUE_GUARD * max(float(eigenvalues.max()), 0.0) - np.finfo(np.float64).eps:
        raise ValueError(
            f"a covariance has the eigenvalue {eigenvalues.min():.3g} (largest {eigenvalues.max():.3g}), not one; "
            "recompute the statistics"
        )
    return eigenvalues.clip(min=0)


def _name_hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
