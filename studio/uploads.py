"""What strangers send: bounded, decoded as images or keypoints only, and refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from data.frames import check_frame
from data.openpose import DEEPFASHION_FRAME, Frame, mark_missing, read_keypoints
from data.pose import to_image_frame
from images.joints import NUM_JOINTS
from images.pixels import Size, resize
from images.reading import image_size, read_image

MAX_BYTES = 8_000_000
MAX_PIXELS = 25_000_000
MAX_KEYPOINT_BYTES = 20_000
# PIL knows formats that run other programs (EPS) or have had holes; a photograph needs none of them
FORMATS = ("JPEG", "PNG", "WEBP")


def uploaded_image(path: str | Path, size: Size) -> np.ndarray:
    """An uploaded photograph as (H, W, 3) uint8 of `size`, resized like the dataset's (bicubic, no crop).

    Raises:
        ValueError: too many bytes or pixels, another format, or damaged; says so without naming a path.
    """
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"this file is over {MAX_BYTES // 1_000_000} MB; please choose a smaller image")
    try:
        height, width = image_size(path, FORMATS)
    except ValueError:
        raise ValueError("this file is no JPEG, PNG or WebP image, or it is damaged") from None
    if height * width > MAX_PIXELS:
        raise ValueError(f"this image has over {MAX_PIXELS // 1_000_000} megapixels; please shrink it first")
    try:
        return resize(read_image(path, formats=FORMATS), size)
    except ValueError:
        raise ValueError("this image is damaged; please choose another one") from None


def uploaded_joints(path: str | Path, size: Size, frame: Frame = DEEPFASHION_FRAME) -> np.ndarray:
    """An uploaded keypoint file (18 rows `x y`, in the dataset's `frame`) as (18, 2) joints in pixels of `size`.

    Raises:
        ValueError: too large, not 18 rows of two numbers, of another frame, or no joint in the image.
    """
    if Path(path).stat().st_size > MAX_KEYPOINT_BYTES:
        raise ValueError(f"this file is too large for keypoints: {NUM_JOINTS} rows `x y` are well under 1 kB")
    try:
        keypoints = read_keypoints(path)
        check_frame(keypoints, frame, str(path))
    except (ValueError, UnicodeDecodeError) as error:
        # the reader's message begins with the path, which is nobody's business
        reason = str(error).replace(str(path), "the file")
        raise ValueError(f"these are no keypoints: {reason}") from None
    return _visible(to_image_frame(keypoints, size, frame=frame), size)


def joints_to_text(joints: np.ndarray) -> str:
    """(18, 2) joints as JSON for the page, null where missing."""
    return json.dumps(
        [None if not np.isfinite(joint).all() else [round(float(v), 1) for v in joint] for joint in joints]
    )


def joints_from_text(text: object, size: Size) -> np.ndarray:
    """What the page's skeleton sends back, checked: (18, 2) joints in pixels, NaN where missing.

    Raises:
        ValueError: not such a list, or no joint in the image.
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_KEYPOINT_BYTES:
            raise TypeError
        rows = [[-1.0, -1.0] if row is None else [float(row[0]), float(row[1])] for row in json.loads(text)]
        joints = mark_missing(np.array(rows, np.float64).reshape(NUM_JOINTS, 2))
    except (TypeError, ValueError, LookupError, RecursionError, OverflowError):
        raise ValueError(f"a pose is a list of {NUM_JOINTS} positions [x, y] or null") from None
    return _visible(joints, size)


def _visible(joints: np.ndarray, size: Size) -> np.ndarray:
    """The joints, those far out of the image marked as missing."""
    far = ~(np.abs(joints) <= 4 * max(size))
    joints = np.where(far.any(axis=1, keepdims=True), np.nan, joints)
    inside = (joints >= 0) & (joints < size[::-1])
    if not inside.all(axis=1).any():
        raise ValueError("this pose has no joint inside of the image")
    return joints
