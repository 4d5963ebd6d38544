"""Differences of arms: answers known in advance, and planted ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metrics.distribution import Moments, frechet_distance_of
from metrics.gram import FrechetGram
from studies.statistics import (
    Difference,
    hierarchical_interval,
    holm,
    mean_score,
    people_resamples,
    resampled,
    welch,
)


def test_a_frechet_distance_from_products_is_that_of_the_repeated_images():
    random = np.random.default_rng(0)
    features = random.standard_normal((12, 30)) + 0.3
    reals = Moments.of(random.standard_normal((50, 30)) * np.linspace(0.2, 2, 30))
    gram = FrechetGram.of(features, reals)
    for counts in ([1] * 12, [2, 0, 1, 3, 0, 0, 1, 1, 1, 0, 1, 2]):
        expected = frechet_distance_of(Moments.of(np.repeat(features, counts, axis=0)), reals)
        assert gram.distance(np.array(counts)) == pytest.approx(expected, rel=1e-6)


def test_people_are_drawn_whole_and_as_many_as_there_are():
    for counts in people_resamples(["a", "a", "b", "c", "c", "c"], num=50):
        assert counts[0] == counts[1] and counts[3] == counts[4] == counts[5]
        assert counts[0] + counts[2] + counts[3] == 3


def test_a_mean_is_over_the_images_that_have_the_number():
    score = mean_score(np.array([1.0, np.nan, 4.0]))
    assert score(np.array([2, 5, 1])) == pytest.approx(2)
    assert np.isnan(score(np.array([0, 5, 0])))


def test_what_is_hard_for_both_cancels_and_seeds_alone_are_left():
    """Runs of 0 and 2 against two of 10 are resampled to means of 0, 1 and 2, with chances of 1/4, 1/2 and 1/4."""
    hard = np.random.default_rng(0).normal(0, 100, 30)
    people = people_resamples([str(number) for number in range(30)])
    arm = resampled([mean_score(hard + 0), mean_score(hard + 2)], people)
    other = resampled([mean_score(hard + 10)] * 2, people)
    low, high = hierarchical_interval(arm, other)
    assert (low, high) == pytest.approx((-10, -8))


def test_over_people_alone_it_is_the_interval_of_a_mean():
    """One run each: a difference of N(0, 1) for each of 100 people has a mean that is known to 1.96 / 10."""
    values = stats.norm.ppf((np.arange(100) + 0.5) / 100)
    people = people_resamples([str(number) for number in range(100)], num=4000)
    tables = [resampled([mean_score(column)], people) for column in (values, np.zeros(100))]
    low, high = hierarchical_interval(*tables)
    assert (low, high) == pytest.approx((-0.196, 0.196), abs=0.015)


def test_welchs_interval_by_hand():
    """Variances 1 and 4 of 3 runs: an error of sqrt(5 / 3), and (5 / 3)^2 / ((1 / 9 + 16 / 9) / 2) = 2.94 degrees."""
    span, p = welch([1, 2, 3], [1, 3, 5])
    half = stats.t.ppf(0.975, 50 / 17) * (5 / 3) ** 0.5
    assert span == pytest.approx((-1 - half, -1 + half))
    assert p == pytest.approx(2 * stats.t.sf((3 / 5) ** 0.5, 50 / 17))
    assert welch([1], [2, 3]) == (None, None) == welch([1, 1], [2, 2])


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9}) == pytest.approx(
        {"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9}
    )


def test_few_studies_of_equal_arms_call_two_of_them_different():
    """Seven comparisons of five runs with one control: one study of twenty may be wrong, and few more by chance."""
    random, wrong = np.random.default_rng(0), 0
    for _ in range(300):
        control, *arms = random.normal(0, 1, (8, 5))
        adjusted = holm({str(number): welch(arm, control)[1] for number, arm in enumerate(arms)})
        wrong += min(adjusted.values()) < 0.05
    assert wrong <= stats.binom.ppf(0.975, 300, 0.05)


@pytest.mark.parametrize(
    ("over_seeds", "over_both", "adjusted", "sign"),
    [
        ((-3, -1), (-3, -1), 0.01, -1),
        ((-3, -1), None, 0.01, -1),
        ((-3, -1), (-3, 1), 0.01, 0),
        ((-3, -1), (-3, -1), 0.06, 0),
        (None, (-3, -1), None, 0),
    ],
)
def test_two_arms_are_told_apart_where_the_test_and_both_intervals_say_so(over_seeds, over_both, adjusted, sign):
    found = Difference("a", "b", "fd_lite0", (5, 5), (1, 3), -2, over_seeds, over_both, adjusted, adjusted)
    assert found.sign == sign
