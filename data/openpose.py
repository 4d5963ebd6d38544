"""OpenPose-18: the joints, what is drawn between them, and keypoint files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from images.joints import NUM_JOINTS
from images.writing import write_text

# The step form of DPTN: 23 limb heatmaps.
HEATMAP_LIMBS = (
    (0, 16), (0, 14), (0, 15), (0, 17), (16, 17), (0, 1), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (11, 12),
    (12, 13), (1, 2), (2, 8), (8, 11), (11, 5), (5, 1), (2, 11), (1, 8), (1, 11), (5, 8),
)  # fmt: skip

MISSING = -1.0
_LARGEST = 1e5
_LONGEST_FILE = 10_000


class Frame(NamedTuple):
    """The coordinates of keypoint files: an image of `height` x `width` whose left edge is at x = `left`."""

    height: int
    width: int
    left: float


# DeepFashion's files mean the 256x256 low-resolution image, which has a flat 40-pixel border left and right.
DEEPFASHION_FRAME = Frame(256, 176, 40)
MARKET_FRAME = Frame(128, 64, 0)


def read_keypoints(path: str | Path) -> np.ndarray:
    """Read a keypoint file: 18 rows `x y`, -1 where missing.

    Returns:
        (18, 2) float64 in the file's frame, NaN where missing. The mask is taken here, before any shift: a real
        joint may have a negative x once the border is off.

    Raises:
        ValueError: no such file, not 18 rows, or a value that is no reasonable number; names file and line.
    """
    if os.path.lexists(path) and not Path(path).is_file():
        raise ValueError(f"keypoint file {path} is no plain file; remove it")
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(_LONGEST_FILE + 1)
    except FileNotFoundError:
        raise ValueError(f"keypoint file {path} does not exist; see docs/data.md for how to get or make it") from None
    except UnicodeDecodeError:
        raise ValueError(f"keypoint file {path} is not text") from None
    if len(text) > _LONGEST_FILE:
        raise ValueError(f"{path}: over {_LONGEST_FILE} characters, expected {NUM_JOINTS} rows `x y`")
    rows = text.strip().splitlines()
    if len(rows) != NUM_JOINTS:
        raise ValueError(f"{path}: {len(rows)} rows, expected {NUM_JOINTS} (OpenPose-18, one `x y` a row)")
    return mark_missing(np.array([_parse_row(row, f"{path}:{number}") for number, row in enumerate(rows, 1)]))


def write_keypoints(path: str | Path, keypoints: np.ndarray) -> None:
    """Write (18, 2) keypoints, NaN where missing, as a file that `read_keypoints` reads."""
    rows = (f"{_number(x)} {_number(y)}" if np.isfinite(x + y) else "-1 -1" for x, y in keypoints)
    write_text(path, "\n".join(rows) + "\n")


def between_frames(joints: np.ndarray, frame: Frame, to: Frame) -> np.ndarray:
    """Joints (..., 2) in one frame as coordinates in another."""
    return (joints - (frame.left, 0)) * (to.width / frame.width, to.height / frame.height) + (to.left, 0)


def to_file_frame(joints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(18, 2) joints in pixels of a (height, width) picture, in the frame of DeepFashion's keypoint files."""
    return between_frames(joints, Frame(*size, 0), DEEPFASHION_FRAME)


def pose_file(root: str | Path, name: str) -> Path:
    """Keypoint file of an image: `img/WOMEN/.../02_1_front.jpg` has `pose/WOMEN/.../02_1_front.txt`."""
    return Path(root, "pose", name.removeprefix("img/")).with_suffix(".txt")


def mark_missing(keypoints: np.ndarray) -> np.ndarray:
    """(18, 2) float64 with NaN in each row that holds a -1."""
    keypoints = np.asarray(keypoints, np.float64)
    return np.where((keypoints == MISSING).any(axis=1, keepdims=True), np.nan, keypoints)


def _number(value: float) -> str:
    """A coordinate as text; one that would read as missing is moved by less than any use can tell."""
    text = f"{value:.6g}"
    return "-1.0001" if text == "-1" else text


def _parse_row(row: str, where: str) -> tuple[float, float]:
    shown = row if len(row) <= 80 else f"{row[:77]}..."
    try:
        x, y = map(float, row.replace(",", " ").split(maxsplit=2))
    except ValueError:
        raise ValueError(f"{where}: {shown!r} is not two numbers `x y`") from None
    if not (abs(x) <= _LARGEST and abs(y) <= _LARGEST):
        raise ValueError(f"{where}: {shown!r} is no position in an image; a missing joint is -1 -1")
    return x, y
