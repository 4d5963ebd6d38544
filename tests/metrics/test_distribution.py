"""FID and KID of features against closed forms, scipy and each other."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from metrics import distribution
from metrics.distribution import (
    FeatureSample,
    Moments,
    frechet_distance,
    frechet_distance_of,
    kernel_distance,
    trace_sqrt_product,
)


def features(seed: int, count: int = 300, width: int = 12, shift: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal((count, width)) @ random.standard_normal((width, width)) + shift


def test_frechet_distance_equals_the_matrix_square_root_of_scipy():
    a, b = features(0), features(1, 200, shift=0.5)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    difference = a.mean(0) - b.mean(0)
    expected = difference @ difference + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_of_diagonal_gaussians_has_its_closed_form():
    a = Moments(11, np.array([1.0, 2.0]), 10 * np.diag([4.0, 9.0]))
    b = Moments(21, np.array([0.0, 4.0]), 20 * np.diag([1.0, 25.0]))
    assert frechet_distance_of(a, b) == pytest.approx((1 + 4) + (2 - 1) ** 2 + (3 - 5) ** 2, abs=1e-12)


def test_frechet_distance_of_a_set_with_itself_is_zero_even_where_covariances_are_singular():
    few = features(2, count=8)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_shifted_copies_is_the_squared_shift():
    a = features(3)
    assert frechet_distance(a, a + 2.0) == pytest.approx(4 * a.shape[1], rel=1e-9)


def test_moments_merged_from_batches_equal_those_of_the_whole():
    whole = features(4, 1000, shift=1e6)
    merged = Moments.empty()
    for start in range(0, 1000, 64):
        merged = merged.merge(Moments.of(whole[start : start + 64]))
    assert merged.count == 1000
    np.testing.assert_allclose(merged.covariance(), np.cov(whole, rowvar=False), rtol=1e-9, atol=1e-9)


def test_a_matrix_that_is_no_covariance_is_refused():
    with pytest.raises(ValueError, match="eigenvalue"):
        trace_sqrt_product(np.diag([1.0, -0.5]), np.eye(2))


def test_one_vector_has_no_frechet_distance():
    with pytest.raises(ValueError, match="two images"):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        Moments.of(np.array([[1.0, np.nan]]))


def test_the_distance_of_subsets_is_that_of_each_by_itself(monkeypatch):
    monkeypatch.setattr(distribution, "_BLOCK", 7)
    a, b = features(5, 40, 3), features(6, 30, 3)
    random = np.random.default_rng(0)
    values = []
    for _ in range(4):
        x, y = (table[random.choice(len(table), 12, replace=False)] for table in (a, b))
        values.append(kernel_distance(x, y, num_subsets=1)[0])
    found = kernel_distance(a, b, num_subsets=4, subset_size=12)
    assert found == (pytest.approx(np.mean(values), rel=1e-10), pytest.approx(np.std(values), rel=1e-10))


def test_a_kept_vector_does_not_keep_its_batch():
    sample = FeatureSample(1)
    sample.add(["a", "b"], np.zeros((2, 4), np.float32))
    assert sample.kept[0][2].base is None


def test_one_subset_is_the_double_sum():
    a, b = features(5, 6, 3), features(6, 6, 3)
    kernel = lambda x, y: (x @ y / 3 + 1) ** 3  # noqa: E731
    within = sum(kernel(s[i], s[j]) for s in (a, b) for i in range(6) for j in range(6) if i != j) / 30
    across = sum(kernel(x, y) for x in a for y in b) / 36
    assert kernel_distance(a, b, num_subsets=1) == (pytest.approx(within - 2 * across, rel=1e-12), 0)


def test_kernel_distance_is_about_zero_for_one_distribution_and_grows_with_a_shift():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 400, 8))
    near, deviation = kernel_distance(a, b, num_subsets=20, subset_size=200)
    far, _ = kernel_distance(a, b + 1, num_subsets=20, subset_size=200)
    assert abs(near) < 0.1 and deviation > 0
    assert far > 10 * abs(near)


def test_a_feature_sample_depends_neither_on_order_nor_on_how_it_is_shared():
    table, names = features(7, 50, 4), [f"image {i}" for i in range(50)]
    whole, reverse, left, right = (FeatureSample(20) for _ in range(4))
    whole.add(names, table)
    reverse.add(names[::-1], table[::-1])
    left.add(names[::2], table[::2])
    right.add(names[1::2], table[1::2])
    for other in (reverse, left.merge(right), right.merge(left)):
        np.testing.assert_array_equal(other.features(), whole.features())
    assert whole.features().shape == (20, 4)
