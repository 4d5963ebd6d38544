"""Images and joints of a run's data, as the evaluation needs them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from config.schema import Config
from data.frames import keypoint_frame, usual_frame
from data.lists import check_listed
from data.openpose import pose_file, read_keypoints
from data.pairs import output_name, read_list, store_key
from data.pose import face_box, to_image_frame
from data.store import ImageStore, store_path
from images.names import person_of
from images.pixels import Size
from metrics.images import ImageFile, array_image, image_file
from metrics.task import Pair


class Dataset:
    """Images and joints of a run's data.

    Images come from the raw `img/` folder where it is, else from the store with the same pixels; joints from the store
    where it holds them, since it knows their frame, else from `pose/`.
    """

    def __init__(self, config: Config, size: Size) -> None:
        self.root, self.size = Path(config.data.root), size
        path, self.has_raw = store_path(self.root, self.size), (self.root / "img").is_dir()
        self.store = ImageStore(path, self.size) if path.is_dir() or not self.has_raw else None

    def image(self, name: str) -> ImageFile:
        """An image by its name in the lists."""
        if self.has_raw or self.store is None:
            return image_file(self.root / name, name)
        return array_image(name, partial(self.store.read, store_key(name)))

    def joints(self, name: str) -> np.ndarray | None:
        """(18, 2) joints in pixels, NaN where missing; None where there are no keypoints."""
        if self.store is not None and self.store.meta and self.store.meta.frame:
            return to_image_frame(self.store.read_keypoints(store_key(name)), self.size, frame=self.store.meta.frame)
        path = pose_file(self.root, name)
        frame = keypoint_frame(self.root, usual_frame(name))
        return to_image_frame(read_keypoints(path), self.size, frame=frame) if path.is_file() else None

    def reals(self) -> list[ImageFile]:
        """The images of train.lst, none where there is no such list; raises ValueError where one is missing."""
        path = self.root / "train.lst"
        names = read_list(path) if path.is_file() else []
        if self.has_raw:
            check_listed(self.root, names)
        return [self.image(name) for name in names]

    def pair(self, source: str, target: str, *others: str) -> Pair:
        """The pair of one line of the test list; of several sources the first stands for what a copy would be."""
        joints = self.joints(target)
        face = None if joints is None else face_box(joints)
        name = output_name(source, target, *others)
        return Pair(name, self.image(target), self.image(source), person_of(target), joints, face)
