"""People to draw: images with joints, from a dataset's store."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.dataset import PairDataset
from data.options import DataConfig
from data.pairs import store_key
from data.pose import to_image_frame
from images.strips import pose_picture
from studio.pipeline import StepPose


class Person(NamedTuple):
    """An (H, W, 3) uint8 image of the model's size, (18, 2) joints in its pixels, NaN where missing, and what else
    its model takes: (H, W, C) uint8 condition maps, or None.
    """

    image: np.ndarray
    joints: np.ndarray
    condition: np.ndarray | None = None

    def maps(self, model: StepPose) -> Tensor:
        """Pose maps (P, H, W) in [0, 1] of the kind that the model takes."""
        return draw_pose(model, self)


# whose pose to draw: somebody's, or joints alone
Pose = Person | np.ndarray


def draw_pose(model: StepPose, pose: Pose) -> Tensor:
    """Pose maps (P, H, W) in [0, 1] of the kind that the model takes, for a person or (18, 2) joints in pixels.

    Raises:
        ValueError: the model takes condition maps, and there are none of this pose.
    """
    joints, condition = (pose.joints, pose.condition) if isinstance(pose, Person) else (pose, None)
    drawn = model.pose_form.draw(joints, model.image_size)
    count = model.config.data.map_channels
    if not count:
        return drawn
    if condition is None:
        raise ValueError(f"this model takes {count} maps of an image beside its pose: choose an image of the dataset")
    return torch.cat([drawn, torch.from_numpy(condition.transpose(2, 0, 1)).float() / 255])


def shown_pose(model: StepPose, pose: Pose) -> np.ndarray:
    """An (H, W, 3) uint8 drawing of what the model is told of a pose."""
    return pose_picture(draw_pose(model, pose), model.config.data.map_channels)


class Gallery:
    """The people of a dataset's test pairs.

    Args:
        data: where the dataset is, and the size of the images.

    Raises:
        ValueError: there is no dataset; the message says what makes one.
    """

    def __init__(self, data: DataConfig) -> None:
        self._dataset = PairDataset(data, "test")
        self.image_size = data.image_size
        self.frame = self._dataset.frame

    def names(self) -> list[str]:
        """Every image of the test pairs, by store key, sorted."""
        return sorted(self._dataset.table.all_names())

    def person(self, name: str) -> Person:
        """The person of a store key, with whatever image suffix; raises ValueError with the nearest name."""
        key = store_key(name)
        if key not in self._dataset.store:
            close = difflib.get_close_matches(key, self.names(), 1, cutoff=0.0)
            raise ValueError(f"no image {name} in {self._dataset.store.path}; the nearest name is {close[0]}")
        joints = to_image_frame(self._dataset.keypoints(key), self.image_size, frame=self._dataset.frame)
        condition = self._dataset.maps(key) if self._dataset.map_channels else None
        return Person(self._dataset.store.read(key), joints, condition)
