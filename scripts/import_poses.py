"""Keypoints of other tools to keypoint files, with their photos or alone.

    python -m scripts.import_poses --format openpose a.json b.json --images PHOTOS --output DIR
    python -m scripts.import_poses --format csv market-annotation-train.csv --output dataset/market1501

With --images every photo is cropped to its person and written to DIR/img, its joints to DIR/pose, and a picture to
check them by eye to DIR/overlay. Without, joints alone are written to DIR/pose, in the frame that DIR/pose/frame.json
then states. Everything is read and checked before anything is written.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from config.cli import Parser, run
from data.frames import check_photo_frame, derive_frame, frame_file, frame_text, parse_frame, read_frame, write_frame
from data.importers import (
    read_annotation_csv,
    read_coco_frames,
    read_coco_json,
    read_mediapipe_json,
    read_openpose_frame,
    read_openpose_json,
)
from data.openpose import DEEPFASHION_FRAME, MARKET_FRAME, Frame, between_frames, pose_file, write_keypoints
from data.pairs import check_distinct, check_name
from data.photos import add_photo
from images.folders import image_files, without_suffix
from images.reading import image_size, read_image

_LOG = logging.getLogger("import_poses")
# MediaPipe's landmarks are shares of the image
_SHARES = Frame(1, 1, 0)


class Pose(NamedTuple):
    """(18, 2) joints, NaN where missing, and the frame that they are in; None: not known."""

    joints: np.ndarray
    frame: Frame | None


def main() -> int:
    arguments = parse()
    out = Path(arguments.output)
    poses = read_poses(arguments)
    check_distinct([f"img/{name}" for name in poses], str(out))
    if arguments.images:
        write_photos(out, Path(arguments.images), poses)
    else:
        write_poses(out, poses)
    return 0


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "files", nargs="+", help="files of keypoints; OpenPose and MediaPipe: one an image, of its name"
    )
    parser.add_argument("--format", required=True, choices=("openpose", "coco", "mediapipe", "csv"))
    parser.add_argument("--images", help="folder of the photos")
    parser.add_argument("--output", required=True, help="dataset folder")
    parser.add_argument(
        "--frame",
        type=parse_frame,
        metavar="H-W+LEFT",
        help="the image that coordinates are pixels of, e.g. 256-176; 1-1: they are shares of the image",
    )
    parser.add_argument("--threshold", type=float, default=0.3, help="least confidence of a joint")
    return parser.parse_args()


def read_poses(arguments: argparse.Namespace) -> dict[str, Pose]:
    """Poses by image name; raises ValueError for a malformed file, an unsafe name, or two poses of one image."""
    photos = Photos(Path(arguments.images)) if arguments.images else None
    poses: dict[str, Pose] = {}
    for file in arguments.files:
        for name, pose in poses_of(arguments.format, file, arguments.threshold):
            name = photos.find(name) if photos else check_name(_with_suffix(name), file)
            pose = Pose(pose.joints, arguments.frame or pose.frame)
            if name in poses and not np.array_equal(poses[name].joints, pose.joints, equal_nan=True):
                raise ValueError(f"{file}: a second pose of image {name}; give one of them")
            poses[name] = pose
    return poses


def poses_of(file_format: str, file: str, threshold: float) -> Iterator[tuple[str, Pose]]:
    """Each image of a file, perhaps without its suffix, with its pose."""
    # the same name, less OpenPose's ending
    name = Path(file).stem.removesuffix("_keypoints")
    if file_format == "openpose":
        yield name, Pose(read_openpose_json(file, threshold), read_openpose_frame(file))
    elif file_format == "mediapipe":
        yield name, Pose(read_mediapipe_json(file, (1, 1), threshold), _SHARES)
    elif file_format == "coco":
        frames = read_coco_frames(file)
        for name, joints in read_coco_json(file, threshold).items():
            yield name, Pose(joints, frames.get(name))
    else:
        every = read_annotation_csv(file)
        frame = derive_frame(every)
        if frame:
            _LOG.info(
                "%s: by names and places, pixels of the frame %s (--frame says otherwise)", file, frame_text(frame)
            )
        for name, joints in every.items():
            yield name, Pose(joints, frame)


class Photos:
    """The photos of a folder, found by name, with or without their suffix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = [check_name(path.relative_to(folder).as_posix(), str(folder)) for path in image_files(folder)]
        check_distinct(names, str(folder))
        self._names = {without_suffix(name): name for name in names}
        # COCO pads the numbers of its images with zeros
        self._numbers = {stem.lstrip("0"): name for stem, name in self._names.items() if stem.isdecimal()}

    def find(self, name: str) -> str:
        """The photo of a name; raises ValueError where there is none."""
        stem = without_suffix(check_name(_with_suffix(name), str(self.folder)))
        found = self._names.get(stem) or self._numbers.get(stem.lstrip("0") if stem.isdecimal() else "")
        if found is None:
            raise ValueError(f"{self.folder} has no image {name}; add it, or leave its keypoints out")
        return found


def write_photos(out: Path, photos: Path, poses: dict[str, Pose]) -> None:
    """Every photo with its pose in pixels, once all are known to fit; raises ValueError."""
    joints = {}
    for name, (points, frame) in tqdm(poses.items(), unit="photo", desc="checking"):
        size = Frame(*image_size(photos / name), 0)
        joints[name] = between_frames(points, frame, size) if frame else points
        check_photo_frame(joints[name], size, name)
        read_image(photos / name)
    for name, points in tqdm(joints.items(), unit="photo", desc="writing"):
        add_photo(out, without_suffix(name), read_image(photos / name), points)
    _LOG.info("%d photos and poses in %s; look at %s", len(poses), out, out / "overlay")


def write_poses(out: Path, poses: dict[str, Pose]) -> None:
    """Keypoint files without photos, all in one stated frame; raises ValueError where a frame is not known."""
    unknown = [name for name, pose in poses.items() if pose.frame is None]
    if unknown:
        raise ValueError(
            f"{unknown[0]}: its file does not say which image the coordinates are pixels of; give --frame H-W "
            "(or H-W+LEFT), or --images"
        )
    frame = read_frame(out) or target_frame(out, {pose.frame for pose in poses.values() if pose.frame})
    for name, pose in poses.items():
        check_photo_frame(pose.joints, pose.frame or frame, name)
    write_frame(out, frame)
    for name, pose in tqdm(poses.items(), unit="pose"):
        write_keypoints(pose_file(out, name), between_frames(pose.joints, pose.frame or frame, frame))
    _LOG.info("%d poses in %s, in the frame %s", len(poses), out / "pose", frame_text(frame))


def target_frame(out: Path, frames: set[Frame]) -> Frame:
    """The frame of a folder's first poses: DeepFashion's, but for Market-1501's; raises ValueError if they are not."""
    if any(out.joinpath("pose").rglob("*.txt")):
        raise ValueError(
            f"{out / 'pose'} holds keypoint files of a frame that {frame_file(out)} does not state; state it "
            '({"height": 256, "width": 176, "left": 40} is DeepFashion\'s), or choose another --output'
        )
    return MARKET_FRAME if frames == {MARKET_FRAME} else DEEPFASHION_FRAME


def _with_suffix(name: str) -> str:
    return f"{name}.jpg" if without_suffix(name) == name else name


if __name__ == "__main__":
    sys.exit(run(main))
