"""What strangers send: bounded, decoded as images or keypoints only, and refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data.frames import check_frame, check_photo_frame
from data.importers import read_openpose_frame, read_openpose_json
from data.openpose import Frame, between_frames, mark_missing, read_keypoints
from images.joints import NUM_JOINTS
from images.pixels import Size
from images.reading import image_size, read_image

MAX_BYTES = 8_000_000
MAX_PIXELS = 25_000_000
MAX_KEYPOINT_BYTES = 20_000
MAX_SIDE = 1024  # of what is kept of a photograph: every visitor's is in memory
# PIL knows formats that run other programs (EPS) or have had holes; a photograph needs none of them
FORMATS = ("JPEG", "PNG", "WEBP")


class Photo(NamedTuple):
    """An uploaded photograph: (H, W, 3) uint8, at most `MAX_SIDE` high and wide, and its pixels as they were sent."""

    image: np.ndarray
    sent: Frame

    @property
    def size(self) -> Size:
        """(H, W) of what is kept."""
        return self.image.shape[0], self.image.shape[1]


def uploaded_photo(path: str | Path) -> Photo:
    """An uploaded photograph, whose file is deleted: it is needed no longer.

    Raises:
        ValueError: too many bytes or pixels, another format, or damaged; says so without naming a path.
    """
    with _used_up(path) as file:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"this file is over {MAX_BYTES // 1_000_000} MB; please choose a smaller image")
        try:
            height, width = image_size(file, FORMATS)
        except ValueError:
            raise ValueError("this file is no JPEG, PNG or WebP image, or it is damaged") from None
        if height * width > MAX_PIXELS:
            raise ValueError(f"this image has over {MAX_PIXELS // 1_000_000} megapixels; please shrink it first")
        try:
            image = read_image(file, formats=FORMATS)
        except ValueError:
            raise ValueError("this image is damaged; please choose another one") from None
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BICUBIC)
    return Photo(np.array(image), Frame(height, width, 0))


def uploaded_joints(path: str | Path, frame: Frame, pixels: Frame | None = None) -> np.ndarray:
    """An uploaded keypoint file as (18, 2) joints in `pixels`; the file is deleted.

    Args:
        path: 18 rows `x y` in the dataset's `frame`, or OpenPose's JSON in `pixels`.
        pixels: of the photograph that they belong to; None: of the `frame`, into which OpenPose's cannot be put.

    Raises:
        ValueError: too large, malformed, of another frame, or no joint in the image.
    """
    with _used_up(path) as file:
        if file.stat().st_size > MAX_KEYPOINT_BYTES:
            raise ValueError(f"this file is too large for keypoints: {NUM_JOINTS} joints are well under 20 kB")
        try:
            if file.suffix.lower() == ".json":
                own = read_openpose_frame(file) or pixels or frame
                joints = read_openpose_json(file)
                check_photo_frame(joints, own, str(file))
            else:
                own, joints = frame, read_keypoints(file)
                check_frame(joints, own, str(file))
        except ValueError as error:
            # the reader's message begins with the path, which is nobody's business
            reason = str(error).replace(str(file), "the file")
            raise ValueError(f"these are no keypoints: {reason}") from None
    to = pixels or Frame(frame.height, frame.width, 0)
    return _visible(between_frames(joints, own, to), to[:2])


@contextmanager
def _used_up(path: str | Path) -> Iterator[Path]:
    """A file that is deleted afterwards."""
    file = Path(path)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def joints_to_text(joints: np.ndarray, size: Size) -> str:
    """(18, 2) joints in pixels of a picture of `size` (H, W) as JSON for the page, null where missing."""
    rows = [None if not np.isfinite(joint).all() else [round(float(v), 1) for v in joint] for joint in joints]
    return json.dumps({"size": [int(side) for side in size], "joints": rows})


def joints_from_text(text: object) -> tuple[np.ndarray, Size]:
    """What the page's skeleton sends back, checked: (18, 2) joints, NaN where missing, and the (H, W) they lie in.

    Raises:
        ValueError: not such a text, or no joint in the picture.
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_KEYPOINT_BYTES:
            raise TypeError
        pose = json.loads(text)
        rows = [[-1.0, -1.0] if row is None else [float(row[0]), float(row[1])] for row in pose["joints"]]
        joints = mark_missing(np.array(rows, np.float64).reshape(NUM_JOINTS, 2))
        height, width = (int(side) for side in pose["size"])
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            raise ValueError
    except (TypeError, ValueError, LookupError, RecursionError, OverflowError):
        raise ValueError(f"a pose is a size and a list of {NUM_JOINTS} positions [x, y] or null") from None
    return _visible(joints, (height, width)), (height, width)


def _visible(joints: np.ndarray, size: Size) -> np.ndarray:
    """The joints, those far out of the image marked as missing."""
    far = ~(np.abs(joints) <= 4 * max(size))
    joints = np.where(far.any(axis=1, keepdims=True), np.nan, joints)
    inside = (joints >= 0) & (joints < size[::-1])
    if not inside.all(axis=1).any():
        raise ValueError("this pose has no joint inside of the image")
    return joints
