"""Flicker by hand."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.flicker import flicker


def test_flicker_is_the_change_where_the_truth_stands_still_by_hand():
    """Four pixels: white background, a person who stands still, one who moves, one that moves off."""
    truth = np.array([[[255, 100, 50, 80]], [[255, 101, 90, 255]]], np.uint8)[..., None].repeat(3, axis=3)
    frames = np.array([[[250, 100, 0, 10]], [[240, 106, 30, 30]]], np.uint8)[..., None].repeat(3, axis=3)
    found = flicker(frames, truth)
    assert found == pytest.approx({"flicker": (10 + 6) / 2, "person_flicker": 6, "moving": (30 + 20) / 2, "still": 0.5})
    assert flicker(truth, truth)["flicker"] == pytest.approx(0.5)


def test_a_video_that_stands_still_has_no_flicker_and_no_moving_part():
    frames = np.full((3, 4, 4, 3), 255, np.uint8)
    found = flicker(frames, frames)
    assert found["flicker"] == 0 and found["still"] == 1
    assert np.isnan(found["moving"]) and np.isnan(found["person_flicker"])


def test_videos_that_do_not_go_together_are_refused():
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    for truth in (frames[:2], frames[:, :2]):
        with pytest.raises(ValueError, match="equally many, two or more, of one size"):
            flicker(frames, truth)
    with pytest.raises(ValueError, match="two or more"):
        flicker(frames[:1], frames[:1])
