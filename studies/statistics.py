"""Whether one arm is better than another, by runs of several seeds that drew the same test people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from metrics.gram import FrechetGram
from metrics.resampling import CONFIDENCE

RESAMPLES = 400
LEVEL = 1 - CONFIDENCE
Values = NDArray[np.float64]
Interval = tuple[float, float]
# a score of a run's images where image i is there counts[i] times
Score = Callable[[NDArray[np.integer]], float]


@dataclass(frozen=True)
class Difference:
    """One metric of an arm less that of another.

    seeds: how many runs of each. mean: of the difference. over_seeds: Welch's t interval, None with one run of either.
    over_both: by bootstrap over seeds and people, None where a metric is of the whole set alone. p: Welch's t test;
    adjusted: by Holm for all comparisons of the study, None where there is no test.
    """

    arm: str
    other: str
    metric: str
    seeds: tuple[int, int]
    means: tuple[float, float]
    mean: float
    over_seeds: Interval | None
    over_both: Interval | None
    p: float | None
    adjusted: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the two are told apart, by the test and by both intervals; 0 where they are not."""
        spans = [span for span in (self.over_seeds, self.over_both) if span]
        if self.adjusted is None or self.adjusted >= LEVEL or any(low <= 0 <= high for low, high in spans):
            return 0
        return 1 if self.mean > 0 else -1


def mean_score(column: Values) -> Score:
    """The mean of a number of each image, over those that have it."""
    known = np.isfinite(column)
    values = np.where(known, column, 0.0)

    def score(counts: NDArray[np.integer]) -> float:
        total = float(counts[known].sum())
        return float(counts @ values) / total if total else float("nan")

    return score


def frechet_score(gram: FrechetGram) -> Score:
    """The Frechet distance to the reals."""
    return gram.distance


def people_resamples(persons: Sequence[str], num: int = RESAMPLES, seed: int = 0) -> list[NDArray[np.integer]]:
    """How often each image is there, where as many people as there are were drawn with replacement."""
    names, codes = np.unique(np.asarray(persons), return_inverse=True)
    random = np.random.default_rng(seed)
    return [np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[codes] for _ in range(num)]


def resampled(scores: Sequence[Score], resamples: Sequence[NDArray[np.integer]]) -> Values:
    """(S, R): the score of each run on each resample of people."""
    with ThreadPoolExecutor() as pool:
        return np.array([list(pool.map(score, resamples)) for score in scores])


def hierarchical_interval(arm: Values, other: Values, seed: int = 1) -> Interval:
    """The percentile interval of the difference of means, over seeds and people at once.

    Each resample draws the runs of either arm with replacement, and takes all their scores on one resample of people,
    which both arms share: what is hard for both cancels. With few seeds it is too narrow by about sqrt((S - 1) / S) in
    what comes from seeds, so a t interval belongs beside it.

    Args:
        arm, other: (S, R) and (S', R), from `resampled` with the same resamples.
    """
    random, places = np.random.default_rng(seed), np.arange(arm.shape[1])

    def means(table: Values) -> Values:
        drawn = random.integers(0, len(table), (len(table), len(places)))
        return table[drawn, places].mean(axis=0)

    found = means(arm) - means(other)
    low, high = np.nanquantile(found, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def welch(arm: Sequence[float], other: Sequence[float]) -> tuple[Interval | None, float | None]:
    """Welch's t interval of the difference of means and its p; none for one run, or where no run differs from another.

    Source: Welch, *The generalization of Student's problem when several different population variances are involved*,
    1947.
    """
    if min(len(arm), len(other)) < 2 or (np.ptp(arm) == 0 and np.ptp(other) == 0):
        return None, None
    test = stats.ttest_ind(arm, other, equal_var=False)
    span = test.confidence_interval(CONFIDENCE)
    return (float(span.low), float(span.high)), float(test.pvalue)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted for their number (Holm, *A simple sequentially rejective multiple test procedure*, 1979)."""
    adjusted, highest = {}, 0.0
    for place, name in enumerate(sorted(values, key=lambda name: values[name])):
        highest = max(highest, min(1.0, (len(values) - place) * values[name]))
        adjusted[name] = highest
    return adjusted
