"""Pose sequences: joints of every frame of a video, from files, smoothed and filled, and in a model's frame."""

from __future__ import annotations

import itertools
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from data.frames import keypoint_frame
from data.importers import read_openpose_frames
from data.openpose import DEEPFASHION_FRAME, Frame, between_frames, read_keypoints
from data.photos import place_pose, same_shape
from images.joints import NUM_JOINTS
from images.pixels import Size
from images.writing import replacing

_LONGEST = 100_000


class Motion(NamedTuple):
    """joints: (T, 18, 2), NaN where missing, in the coordinates of `frame`; None: of an image of unknown size."""

    joints: np.ndarray
    frame: Frame | None = None

    def in_image(self, size: Size) -> np.ndarray:
        """(T, 18, 2) joints in pixels of an image (H, W) that shows the whole motion with one camera.

        A frame of the image's shape is scaled; of another one that part is taken in which a photograph of all joints of
        all frames would be cropped, so that nothing is squashed and the camera stands still.
        """
        if self.frame and same_shape(self.frame[:2], size):
            return between_frames(self.joints, self.frame, Frame(*size, 0))
        return place_pose(self.joints.reshape(-1, 2), size).reshape(self.joints.shape)


def read_motion(path: str | Path) -> Motion:
    """A pose sequence.

    Args:
        path: a folder of OpenPose's files, one a frame (`.json`), or of keypoint files (`.txt`), in the order of their
            names, numbers by value; one `.json` with a list of such frames; or an `.npz` with `joints` (T, 18, 2), NaN
            where missing, and `size`, the height and width of the image that they are pixels of.

    Raises:
        ValueError: nothing there, files of both kinds, a malformed one, or no frame that shows a person.
    """
    path = Path(path)
    if path.is_dir():
        motion = _read_folder(path)
    elif path.suffix.lower() == ".json":
        motion = _joined(read_openpose_frames(path))
    elif path.suffix.lower() == ".npz":
        motion = _read_npz(path)
    else:
        raise ValueError(f"{path} is no pose sequence: give a folder of .json or .txt files, a .json or an .npz")
    if not seen(motion.joints).any():
        raise ValueError(f"{path} shows nobody in any frame; take another sequence")
    return motion


def write_motion(path: str | Path, joints: np.ndarray, size: Size) -> None:
    """Write (T, 18, 2) joints in pixels of an (H, W) image as an `.npz` that `read_motion` reads."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, joints=joints.astype(np.float32), size=np.array(size, np.int32))


def seen(joints: np.ndarray) -> np.ndarray:
    """(T,) whether a frame of (T, 18, 2) joints has any."""
    return np.isfinite(joints).all(axis=2).any(axis=1)


def fill_gaps(joints: np.ndarray, longest: int) -> np.ndarray:
    """(T, 18, 2) joints whose gaps of up to `longest` frames are filled on a straight line from both sides."""
    filled = joints.copy()
    for joint in range(joints.shape[1]):
        known = np.flatnonzero(np.isfinite(joints[:, joint]).all(axis=1))
        for before, after in itertools.pairwise(known):
            if after - before <= longest + 1:
                steps = np.linspace(0, 1, after - before + 1)[:, None]
                filled[before : after + 1, joint] = (1 - steps) * joints[before, joint] + steps * joints[after, joint]
    return filled


def smooth(joints: np.ndarray, sigma: float) -> np.ndarray:
    """(T, 18, 2) joints, each the mean of its places in the frames around, by a Gaussian of `sigma` frames.

    Missing ones have no weight and stay missing.
    """
    if not sigma:
        return joints
    found = np.isfinite(joints).all(axis=2, keepdims=True)
    sums, weights = (
        gaussian_filter1d(part.astype(float), sigma, axis=0, mode="nearest")
        for part in (np.where(found, joints, 0), found)
    )
    return np.where(found, sums / np.where(found, weights, 1), np.nan)


def hold(joints: np.ndarray) -> np.ndarray:
    """(T, 18, 2) joints in which a frame without any has those of the frame before it, or else of the first after."""
    shown = np.flatnonzero(seen(joints))
    latest = np.searchsorted(shown, np.arange(len(joints)), side="right") - 1
    return joints[shown[np.maximum(latest, 0)]]


def _read_folder(folder: Path) -> Motion:
    files = sorted((file for file in folder.iterdir() if file.suffix.lower() in (".json", ".txt")), key=_by_number)
    files = [file for file in files if file.name != "frame.json"]
    kinds = {file.suffix.lower() for file in files}
    if len(kinds) != 1:
        raise ValueError(f"{folder} holds {' and '.join(sorted(kinds)) or 'no'} files; give .json or .txt, one a frame")
    if kinds == {".json"}:
        return _joined([frame for file in files for frame in read_openpose_frames(file)])
    root = next((parent.parent for parent in (folder, *folder.absolute().parents) if parent.name == "pose"), folder)
    return Motion(np.stack([read_keypoints(file) for file in files]), keypoint_frame(root, DEEPFASHION_FRAME))


def _by_number(path: Path) -> list[tuple[int, str]]:
    """So that frame_9 comes before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _joined(frames: list[tuple[np.ndarray, Frame | None]]) -> Motion:
    """All frames, in the canvas that they name, if it is one."""
    joints, canvases = np.array([one for one, _ in frames]), {canvas for _, canvas in frames}
    return Motion(joints.reshape(-1, NUM_JOINTS, 2), canvases.pop() if len(canvases) == 1 else None)


def _read_npz(path: Path) -> Motion:
    try:
        with np.load(path, allow_pickle=False) as file:
            joints, (height, width) = np.asarray(file["joints"], float), map(int, file["size"])
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} holds no `joints` (T, 18, 2) and `size` (H, W): {error}") from None
    if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 2) or not 1 <= len(joints) <= _LONGEST:
        raise ValueError(f"{path}: joints {joints.shape}, expected (T, {NUM_JOINTS}, 2) of 1 to {_LONGEST} frames")
    if min(height, width) < 1:
        raise ValueError(f"{path}: size ({height}, {width}); it is the height and width of an image in pixels")
    return Motion(joints, Frame(height, width, 0))
