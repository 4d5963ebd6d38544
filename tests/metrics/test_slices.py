"""Slices, extremes and bootstrap intervals."""

import numpy as np
import pytest

from metrics.images import array_image
from metrics.resampling import bootstrap_interval
from metrics.slices import describe, extremes, slice_means, summarise
from metrics.task import Pair

IMAGE = array_image("a", lambda: np.zeros((1, 1, 3), np.uint8))
NAMES = ["a", "b", "c"]
COLUMNS = {
    "lpips": np.array([0.1, 0.4, np.nan]),
    "ssim": np.array([0.9, 0.5, 0.7]),
    "psnr": np.array([30.0, np.inf, 20.0]),
}
FRONT = "fashionWOMENDressesid00000001{}_1front_2_fashionWOMENDressesid00000001{}_{}_vis.png"


def test_a_pair_is_described_by_joints_view_and_sex():
    joints = np.zeros((18, 2))
    joints[:4] = np.nan
    pair = Pair(FRONT.format("01", "01", "3back"), IMAGE, joints=joints)
    assert describe(pair) == {"visible_joints": "14-16", "view": "front -> back", "sex": "women"}
    assert describe(Pair("x.png", IMAGE)) == {"visible_joints": None, "view": None, "sex": None}


def test_slices_hold_the_means_of_their_images_and_infinite_psnr_is_left_out():
    joints = [np.zeros((18, 2)), np.full((18, 2), np.nan), None]
    names = [FRONT.format("01", "01", view) for view in ("3back", "3back", "2side")]
    pairs = [Pair(name, IMAGE, joints=own) for name, own in zip(names, joints, strict=True)]
    found = slice_means(pairs, COLUMNS, ["1", "2", "2"])
    assert list(found) == ["visible_joints", "view", "sex"] and list(found["visible_joints"]) == ["0", "17-18"]
    group = found["view"]["front -> back"]
    assert (group["count"], group["clusters"]) == (2, 2)
    assert (group["ssim"], group["lpips"], group["psnr"]) == (pytest.approx(0.7), 0.25, 30)


def test_the_worst_has_the_lowest_ssim_and_the_highest_lpips():
    assert extremes(NAMES, COLUMNS["ssim"], "ssim", 2) == ([1, 2], [0, 2])
    assert extremes(NAMES, COLUMNS["lpips"], "lpips", 5) == ([1, 0], [0, 1])


def test_the_bootstrap_interval_of_a_normal_sample_is_that_of_the_t_distribution():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(values, [str(index) for index in range(400)], 4000)
    half = 1.966 * values.std(ddof=1) / 20
    assert (low, high) == (pytest.approx(values.mean() - half, abs=0.02), pytest.approx(values.mean() + half, abs=0.02))


def test_images_of_one_person_do_not_make_an_interval_narrower():
    """Sixteen equal images of each of 30 persons say as much as one: the interval is that of 30 values."""
    persons = np.random.default_rng(0).normal(0.7, 0.1, 30)
    values, clusters = np.repeat(persons, 16), [str(index) for index in range(30) for _ in range(16)]
    low, high = bootstrap_interval(values, clusters, 4000)
    alone = bootstrap_interval(persons, clusters[::16], 4000)
    assert (low, high) == pytest.approx(alone, abs=1e-12)
    assert high - low == pytest.approx(2 * 2.045 * persons.std(ddof=1) / 30**0.5, rel=0.08)  # Student's t, 29 degrees


def test_the_mean_of_clusters_of_different_sizes_is_that_of_all_images():
    """With two persons a resample holds one of them twice or both; each of the three means is known."""
    values, clusters = np.array([1.0, 1.0, 1.0, 5.0]), ["a", "a", "a", "b"]
    assert bootstrap_interval(values, clusters, 1000) == (1.0, 5.0)


def test_intervals_are_given_for_metrics_of_two_persons_or_more():
    found = summarise(COLUMNS, ["1", "2", "2"])
    assert list(found["intervals"]) == ["lpips", "ssim", "psnr"] and list(found)[:3] == ["ssim", "psnr", "lpips"]
    assert summarise(COLUMNS, ["1", "1", "1"])["intervals"] == {}
    assert summarise({"ssim": np.array([np.nan])}, ["1"]) == {"ssim": None, "intervals": {}}
