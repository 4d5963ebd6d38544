"""Regions named by the pose."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from studio.regions import REGIONS, mask_from_file, region_mask

SIZE = (256, 176)
STANDING = np.array(
    [[88, 40], [88, 62], [68, 62], [60, 95], [56, 125], [108, 62], [116, 95], [120, 125], [74, 125],
     [72, 175], [70, 220], [102, 125], [104, 175], [106, 220], [82, 34], [94, 34], [74, 38], [102, 38]], float
)  # fmt: skip


def test_each_region_covers_its_joints_and_not_the_others():
    masks = {name: region_mask(STANDING, SIZE, name) for name in REGIONS}
    at = {"head": (34, 88), "upper_body": (95, 88), "lower_body": (190, 71)}
    for name, mask in masks.items():
        assert mask.shape == SIZE and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1
        assert all((mask[place] > 0.8) == (name == where) for where, place in at.items())


def test_missing_joints_leave_the_rest():
    joints = STANDING.copy()
    joints[[9, 10]] = np.nan
    mask = region_mask(joints, SIZE, "lower_body")
    assert mask[200, 105] > 0.8 and mask[200, 70] < 0.1


def test_unknown_and_unseen_regions_are_refused():
    with pytest.raises(ValueError, match="head, upper_body, lower_body"):
        region_mask(STANDING, SIZE, "shoe")
    with pytest.raises(ValueError, match="no joints of the region"):
        region_mask(np.full((18, 2), np.nan), SIZE, "head")


def test_a_mask_file_is_scaled_to_the_image(tmp_path):
    Image.fromarray(np.repeat(np.uint8([[0], [255]]), 4, axis=1)).resize((88, 128), 0).save(tmp_path / "mask.png")
    mask = mask_from_file(tmp_path / "mask.png", SIZE)
    assert mask.shape == SIZE and mask[20].max() == 0 and mask[-20].min() == 1
