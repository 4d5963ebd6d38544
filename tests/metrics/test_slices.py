"""Slices, extremes and bootstrap intervals."""

import numpy as np
import pytest

from metrics.evaluate import Pair
from metrics.images import array_image
from metrics.slices import bootstrap_interval, describe, extremes, intervals, slice_means

IMAGE = array_image("a", lambda: np.zeros((1, 1, 3), np.uint8))
ROWS = [
    {"name": "a", "ssim": 0.9, "lpips": 0.1, "psnr": 30.0, "view": "front -> back", "visible_joints": "17-18"},
    {"name": "b", "ssim": 0.5, "lpips": 0.4, "psnr": float("inf"), "view": "front -> back", "visible_joints": "0"},
    {"name": "c", "ssim": 0.7, "lpips": None, "psnr": 20.0, "view": "side -> front", "visible_joints": None},
]


def test_a_pair_is_described_by_joints_view_and_sex():
    joints = np.zeros((18, 2))
    joints[:4] = np.nan
    pair = Pair("fashionWOMENDressesid1_1front_2_fashionWOMENDressesid1_3back_vis.png", IMAGE, joints=joints)
    assert describe(pair) == {"visible_joints": "14-16", "view": "front -> back", "sex": "women"}
    assert describe(Pair("x.png", IMAGE)) == {"visible_joints": None, "view": None, "sex": None}


def test_slices_hold_the_means_of_their_images_and_infinite_psnr_is_left_out():
    found = slice_means(ROWS)
    assert list(found) == ["visible_joints", "view"] and list(found["visible_joints"]) == ["0", "17-18"]
    group = found["view"]["front -> back"]
    assert (group["count"], group["ssim"], group["lpips"], group["psnr"]) == (2, pytest.approx(0.7), 0.25, 30)


def test_the_worst_has_the_lowest_ssim_and_the_highest_lpips():
    assert extremes(ROWS, "ssim", 2) == (["b", "c"], ["a", "c"])
    assert extremes(ROWS, "lpips", 5) == (["b", "a"], ["a", "b"])


def test_the_bootstrap_interval_of_a_normal_sample_is_that_of_the_t_distribution():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(values, 4000)
    half = 1.966 * values.std(ddof=1) / 20
    assert (low, high) == (pytest.approx(values.mean() - half, abs=0.02), pytest.approx(values.mean() + half, abs=0.02))


def test_intervals_are_given_for_metrics_with_two_values_or_more():
    assert sorted(intervals(ROWS)) == ["lpips", "psnr", "ssim"]
    assert intervals(ROWS[:1]) == {}
