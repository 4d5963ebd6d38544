"""Which image keypoint coordinates are pixels of: stated beside the files, asked for, or derived, and checked."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from data.openpose import DEEPFASHION_FRAME, MARKET_FRAME, Frame
from images.names import dataset_of
from images.writing import write_text

_FILE = "frame.json"
_SIDES = ("height", "width")
_LARGEST_SIDE = 100_000
# joints that show more than a part of a person
_WHOLE_BODY = 8
# the pictures of the DeepFashion keypoint lists: 176 wide, without the border of the keypoint files
CROPPED_FRAME = Frame(256, 176, 0)


def frame_file(root: str | Path) -> Path:
    """Where a dataset states the frame of its keypoint files."""
    return Path(root, "pose", _FILE)


def read_frame(root: str | Path) -> Frame | None:
    """The frame that a dataset states; None where it states none. Raises ValueError for a damaged file."""
    path = frame_file(root)
    if not os.path.lexists(path):
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8-sig") if path.is_file() else "")
        frame = Frame(int(fields["height"]), int(fields["width"]), float(fields["left"]))
        is_whole = all(type(fields[side]) is not bool and int(fields[side]) == float(fields[side]) for side in _SIDES)
        if not (is_whole and min(frame[:2]) > 0 and max(frame) < _LARGEST_SIDE and frame.left >= 0):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ValueError(f'{path} is no frame; write {{"height": 256, "width": 176, "left": 40}}') from None
    return frame


def write_frame(root: str | Path, frame: Frame) -> None:
    """State the frame of a dataset's keypoint files."""
    write_text(frame_file(root), json.dumps(frame._asdict()) + "\n")


def keypoint_frame(root: str | Path, default: Frame, asked: Frame | None = None) -> Frame:
    """The frame of a dataset's keypoint files: what it states, else what is asked for, else `default`.

    Raises:
        ValueError: it states another than is asked for.
    """
    stated = read_frame(root)
    if asked and stated and asked != stated:
        raise ValueError(
            f"--frame {frame_text(asked)}, but {frame_file(root)} states {frame_text(stated)}; mend one of them"
        )
    return stated or asked or default


def usual_frame(name: str) -> Frame:
    """The frame of a dataset that states none, by the form of an image's name: Market-1501's, else DeepFashion's."""
    return MARKET_FRAME if dataset_of(name) == "market" else DEEPFASHION_FRAME


def parse_frame(text: str) -> Frame:
    """`256-176` or `256-176+40` (height, width, x of the left edge) as a frame, for a command line."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})(?:\+(\d{1,5}))?", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not H-W or H-W+LEFT, e.g. 256-176+40")
    return Frame(int(match[1]), int(match[2]), float(match[3] or 0))


def frame_text(frame: Frame) -> str:
    """A frame as `parse_frame` reads it."""
    return f"{frame.height}-{frame.width}+{frame.left:g}"


def derive_frame(joints: dict[str, np.ndarray]) -> Frame | None:
    """The frame of a list of the field, by its names and by where people stand; None where neither tells."""
    datasets = {dataset_of(name) for name in joints}
    if datasets == {"market"}:
        return MARKET_FRAME
    middles = torso_middles(np.stack(list(joints.values()))) if datasets == {"deepfashion"} else np.empty((0, 2))
    if not len(middles):
        return None
    x = np.median(middles[:, 0])
    return min((CROPPED_FRAME, DEEPFASHION_FRAME), key=lambda frame: abs(x - frame.left - frame.width / 2))


def frame_problem(joints: np.ndarray, frame: Frame) -> str:
    """Why (..., 18, 2) joints cannot be coordinates in a frame; "" where they may be."""
    points = joints.reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3:
        return ""
    if np.abs(points).max() <= 1 and max(frame[:2]) > 1:
        return "all coordinates are between 0 and 1: shares of the image, not its pixels (give --frame 1-1)"
    shares = (points - (frame.left, 0)) / (frame.width, frame.height)
    outside = ((shares < 0) | (shares >= 1)).any(axis=1).mean()
    if outside > 0.5:
        return f"{outside:.0%} of the joints lie outside of the frame {frame_text(frame)}"
    # few joints may well be those of one hand
    if len(points) >= _WHOLE_BODY and ((shares < 0.5).all() or (shares > 0.5).all()) and np.ptp(points, axis=0).any():
        return f"all joints lie in one corner of the frame {frame_text(frame)}"
    return ""


def check_frame(joints: np.ndarray, frame: Frame, where: str | Iterable[str]) -> None:
    """Raises ValueError, beginning with `where`, for joints that cannot be coordinates in a frame."""
    if problem := frame_problem(joints, frame):
        raise ValueError(f"{where}: {problem}; which image are these coordinates pixels of? See docs/data.md, Frames")


def check_photo_frame(joints: np.ndarray, frame: Frame, where: str) -> None:
    """The same for the pixels of a photo, in a corner of which a person may stand."""
    try:
        check_frame(joints, frame, where)
    except ValueError as error:
        if "corner" not in str(error):
            raise


def off_middle(joints: np.ndarray, frame: Frame) -> float:
    """How far right of the frame's middle people stand, in widths: the median over (N, 18, 2) joints; 0 for none."""
    middles = torso_middles(joints)
    return float((np.median(middles[:, 0]) - frame.left) / frame.width - 0.5) if len(middles) else 0.0


def torso_middles(joints: np.ndarray) -> np.ndarray:
    """(n, 2) middles of the torsos of those of (N, 18, 2) joints that show one."""
    middles = joints[:, [2, 5, 8, 11]].mean(axis=1)
    return middles[np.isfinite(middles).all(axis=1)]
