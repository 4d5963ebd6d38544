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

_BLOCK = 1000  # vectors that are worked on at a time
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
        """Moments of both sets together, in place of these."""
        if not self.count:
            self.count, self.mean, self.scatter = other.count, other.mean.copy(), other.scatter.copy()
        elif other.count:
            count, shift = self.count + other.count, other.mean - self.mean
            self.scatter += other.scatter
            self.scatter += np.outer(shift, shift * (self.count * other.count / count))
            self.mean += shift * (other.count / count)
            self.count = count
        return self

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
            entry = (-_name_hash(name), name, np.array(row, np.float32))  # a view would keep the whole batch
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


@dataclass(eq=False)
class FeatureStatistics:
    """What is kept of the features of a set: moments for the Frechet distance, a sample for the kernel distance."""

    sample: FeatureSample
    moments: Moments = field(default_factory=Moments.empty)
    _waiting: list[NDArray[np.floating]] = field(default_factory=list)

    def add(self, names: Sequence[str], features: NDArray[np.floating]) -> None:
        """Take in (N, D) features under their names."""
        self.sample.add(names, features)
        self._waiting.append(features)
        if sum(map(len, self._waiting)) >= _BLOCK:
            self.finish()

    def finish(self) -> FeatureStatistics:
        """The statistics of all that was added: a product of D x D is too dear to be made for each small batch."""
        if self._waiting:
            self.moments.merge(Moments.of(np.concatenate(self._waiting)))
            self._waiting.clear()
        return self

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of both sets together, in place of these."""
        self.moments.merge(other.finish().moments)
        self.sample = self.sample.merge(other.sample)
        return self


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
    drawn = [
        [generator.choice(len(features), size, replace=False) for features in (features_a, features_b)]
        for _ in range(num_subsets)
    ]
    in_a, in_b = (
        _memberships([pair[side] for pair in drawn], len(features))
        for side, features in enumerate((features_a, features_b))
    )
    within = _kernel_sums(features_a, features_a, in_a, in_a) + _kernel_sums(features_b, features_b, in_b, in_b)
    across = _kernel_sums(features_a, features_b, in_a, in_b)
    values = within / (size * (size - 1)) - 2 * across / size**2
    return float(values.mean()), float(values.std())


def _memberships(subsets: list[NDArray[np.int64]], count: int) -> Array:
    """(S, N) with a 1 for each of N vectors that a subset holds."""
    members = np.zeros((len(subsets), count))
    for row, subset in zip(members, subsets, strict=True):
        row[subset] = 1
    return members


def _kernel_sums(x: NDArray[np.floating], y: NDArray[np.floating], in_x: Array, in_y: Array) -> Array:
    """(S,) sums of the kernel over all pairs of each subset, without a vector and itself where `y` is `x`.

    Each value of the kernel is computed once for all subsets, block by block.
    """
    sums, table = np.zeros(len(in_x)), np.asarray(y, np.float64)
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = _kernel(x[rows], table)
        if in_x is in_y:
            block[np.arange(len(block)), start + np.arange(len(block))] = 0
        sums += np.einsum("sj,sj->s", in_x[:, rows] @ block, in_y)
    return sums


def _kernel(x: NDArray[np.floating], y: Array) -> Array:
    return (np.asarray(x, np.float64) @ y.T / y.shape[1] + 1) ** 3


def _not_negative(eigenvalues: Array) -> Array:
    if eigenvalues.min() < -NEGATIVE_EIGENVALUE_GUARD * max(float(eigenvalues.max()), 0.0) - np.finfo(np.float64).eps:
        raise ValueError(
            f"a covariance has the eigenvalue {eigenvalues.min():.3g} (largest {eigenvalues.max():.3g}), not one; "
            "recompute the statistics"
        )
    return eigenvalues.clip(min=0)


def _name_hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
