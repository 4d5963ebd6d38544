"""Own photographs and poses: files of any size and kind, brought into the frame that a model was trained in."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from data.detectors import Detector
from data.frames import check_frame, check_photo_frame, keypoint_frame
from data.importers import read_openpose_frame, read_openpose_json
from data.openpose import DEEPFASHION_FRAME, Frame, between_frames, pose_file, read_keypoints
from data.options import DataConfig
from data.photos import crop_person, picture_size, place_pose, same_shape
from data.pose import scale_joints, to_image_frame
from data.store import store_path
from images.joints import NUM_JOINTS
from images.pixels import Size, resize
from images.reading import read_image
from images.skeleton import draw_over
from studio.people import Gallery, Person
from studio.pipeline import StepPose

KEYPOINT_SUFFIXES = (".txt", ".json")
_OVERLAY_HEIGHT = 512


class Photograph(NamedTuple):
    """A picture of the shape of the dataset's, and (18, 2) joints, NaN where missing, in a frame that covers it."""

    picture: Image.Image
    joints: np.ndarray
    frame: Frame

    def person(self, size: Size) -> Person:
        """What a model of (H, W) images draws from."""
        return Person(resize(self.picture, size), to_image_frame(self.joints, size, frame=self.frame))


def frame_photograph(image: Image.Image, joints: np.ndarray | None, frame: Frame) -> Photograph:
    """A photograph of any size, cropped to its person and padded with white to the shape of a dataset's pictures.

    Args:
        image: RGB.
        joints: (18, 2) in its pixels, NaN where missing; they move along. Without any the whole image is kept.
        frame: of the dataset's keypoints.
    """
    if joints is None:
        joints = np.full((NUM_JOINTS, 2), np.nan)
        if same_shape((image.height, image.width), frame[:2]):
            return Photograph(image, joints, frame)
    picture, moved = crop_person(image, joints, picture_size(frame))
    return Photograph(picture, moved, _pixels_of(picture))


def read_photograph(path: str | Path, frame: Frame, detector: Detector | None = None) -> Photograph:
    """A photograph in a file.

    Its keypoints lie beside it, as `NAME.txt` in the dataset's frame, or as OpenPose's JSON `NAME.json` or
    `NAME_keypoints.json` in its pixels; or in the `pose` folder beside its `img` folder, as our own tools write them.
    Images of such folders, and images of the dataset's shape with a `NAME.txt`, are taken as they are; others are
    cropped. Without a file the detector is asked, and without a detector all joints are missing.

    Args:
        frame: of the dataset's keypoints, where the file's own `pose` folder states none.

    Raises:
        ValueError: the image is damaged, the keypoints are malformed or of another frame, or nobody is found.
    """
    path, image = Path(path), read_image(path)
    file = _keypoint_file(path)
    if file is None:
        joints = detector(image) if detector else None
        if detector and joints is None:
            raise ValueError(f"no person found in {path}; take another photo, or put keypoints beside it (.txt, .json)")
        return frame_photograph(image, joints, frame)
    pixels = _pixels_of(image)
    if file.suffix == ".json":
        return frame_photograph(image, _openpose_joints(file, pixels), frame)
    keypoints, own = _read_text(file, frame)
    if _root(path, "img") or same_shape(pixels[:2], own[:2]):
        return Photograph(image, keypoints, own)
    return frame_photograph(image, between_frames(keypoints, own, pixels), frame)


def read_pose(path: str | Path, frame: Frame, detector: Detector | None = None) -> Photograph:
    """A pose in a file: keypoints alone, over a white picture, or those of a photograph.

    OpenPose's joints are put where a photograph of them would be cropped to.

    Raises:
        ValueError: as `read_photograph`, or a photograph without keypoints.
    """
    path = Path(path)
    if path.suffix.lower() not in KEYPOINT_SUFFIXES:
        photograph = read_photograph(path, frame, detector)
        check_joints(photograph.joints, path)
        return photograph
    height, width = picture_size(frame)
    white = Image.new("RGB", (width, height), "white")
    if path.suffix.lower() == ".txt":
        return Photograph(white, *_read_text(path, frame))
    return Photograph(white, place_pose(read_openpose_json(path), (height, width)), _pixels_of(white))


def check_joints(joints: np.ndarray, path: str | Path) -> None:
    """Raises ValueError if (18, 2) joints, read for a file, are all missing."""
    if not np.isfinite(joints).all(axis=1).any():
        stem = Path(path).stem
        raise ValueError(
            f"{path} has no keypoints; put {stem}.txt or OpenPose's {stem}.json beside it, or have them found by "
            "--detector rcnn or mediapipe"
        )


class People:
    """Whom a command may name: photographs and poses in files, and images of the dataset, where it is there.

    Args:
        model: who draws them.
        data: the dataset and its size, the model's own by default.
        detector: finds joints of photographs that have no keypoints beside them.
    """

    def __init__(self, model: StepPose, data: DataConfig | None = None, detector: Detector | None = None) -> None:
        self.model, self.data, self.detector = model, data or model.config.data, detector

    @cached_property
    def gallery(self) -> Gallery:
        """The people of the dataset; raises ValueError where it is not there."""
        return Gallery(self.data)

    @cached_property
    def frame(self) -> Frame:
        """The frame of the dataset's keypoints; DeepFashion's where there is no dataset."""
        return self.gallery.frame if self._has_dataset() else keypoint_frame(self.data.root, DEEPFASHION_FRAME)

    def source(self, name: str) -> Person:
        """A person to draw, by the name of a photograph or of an image of the dataset.

        Raises:
            ValueError: neither is there, or as `read_photograph`, or no keypoints where the model looks at them.
        """
        if not Path(name).is_file():
            return self._of_dataset(name)
        photograph = read_photograph(name, self.frame, self.detector)
        if self.model.needs_source_pose:
            check_joints(photograph.joints, name)
        return photograph.person(self.model.image_size)

    def pose(self, name: str) -> Person:
        """Whose pose to draw: as `source`, or a file of keypoints; raises ValueError as `read_pose`."""
        if not Path(name).is_file():
            return self._of_dataset(name)
        return read_pose(name, self.frame, self.detector).person(self.model.image_size)

    def _of_dataset(self, name: str) -> Person:
        if not self._has_dataset():
            raise ValueError(f"there is no file {name}, and no dataset in {self.data.root} to look for it")
        return self.gallery.person(name)

    def _has_dataset(self) -> bool:
        return store_path(self.data.root, self.data.image_size).exists()


def overlay(person: Person) -> np.ndarray:
    """(H, W, 3) uint8: the person, enlarged by a whole factor, with the joints drawn over, to check them by eye."""
    size = person.image.shape[:2]
    scale = -(-_OVERLAY_HEIGHT // size[0])
    larger = (size[0] * scale, size[1] * scale)
    enlarged = cv2.resize(person.image, larger[::-1], interpolation=cv2.INTER_NEAREST)
    return draw_over(enlarged, scale_joints(person.joints, size, larger))


def _keypoint_file(path: Path) -> Path | None:
    files = [path.with_suffix(".txt"), path.with_suffix(".json"), path.with_name(f"{path.stem}_keypoints.json")]
    if root := _root(path, "img"):
        files.insert(1, pose_file(root, path.absolute().relative_to(root).as_posix()))
    return next((file for file in files if os.path.lexists(file)), None)


def _read_text(file: Path, frame: Frame) -> tuple[np.ndarray, Frame]:
    """(18, 2) keypoints of a text file and their frame: what its `pose` folder states, else `frame`."""
    root = _root(file, "pose")
    own = keypoint_frame(root, frame) if root else frame
    keypoints = read_keypoints(file)
    check_frame(keypoints, own, str(file))
    return keypoints, own


def _openpose_joints(file: Path, pixels: Frame) -> np.ndarray:
    """(18, 2) joints in pixels of the photograph beside OpenPose's JSON, which may name another canvas."""
    canvas = read_openpose_frame(file) or pixels
    joints = between_frames(read_openpose_json(file), canvas, pixels)
    check_photo_frame(joints, pixels, str(file))
    return joints


def _root(path: Path, below: str) -> Path | None:
    """The dataset folder in whose folder `below` (`img` or `pose`) a file lies, if that is a dataset."""
    roots = [folder.parent for folder in path.absolute().parents if folder.name == below]
    return next((root for root in roots if (root / "pose").is_dir()), None)


def _pixels_of(image: Image.Image) -> Frame:
    return Frame(image.height, image.width, 0)
