"""Keypoints of other tools to keypoint files, with their photos or alone.

    python -m scripts.import_poses --format openpose a.json b.json --images PHOTOS --out DIR
    python -m scripts.import_poses --format csv market-annotation-train.csv --out dataset/market1501

With --images every photo is cropped to its person and written to DIR/img, its joints to DIR/pose, and a picture to
check them by eye to DIR/overlay. Without, keypoints are written to DIR/pose as they are, in pixels of their images.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config.cli import run
from data.importers import read_annotation_csv, read_coco_json, read_mediapipe_json, read_openpose_json
from data.openpose import write_keypoints
from data.pairs import check_name
from data.photos import add_photo
from images.folders import IMAGE_SUFFIXES
from images.reading import read_image

_LOG = logging.getLogger("import_poses")


def main() -> int:
    arguments = parse()
    out = Path(arguments.out)
    images = Path(arguments.images) if arguments.images else None
    poses = read_poses(arguments.format, arguments.files, images, arguments.threshold)
    for name, joints in tqdm(poses.items(), unit="pose"):
        if images:
            add_photo(out, str(Path(name).with_suffix("")), read_image(images / name), joints)
        else:
            path = (out / "pose" / name).with_suffix(".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_keypoints(path, joints)
    _LOG.info("%d poses in %s%s", len(poses), out / "pose", f", check them in {out / 'overlay'}" if images else "")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "files", nargs="+", help="files of keypoints; OpenPose and MediaPipe: one an image, of its name"
    )
    parser.add_argument("--format", required=True, choices=("openpose", "coco", "mediapipe", "csv"))
    parser.add_argument("--images", help="folder of the photos")
    parser.add_argument("--out", required=True, help="dataset folder")
    parser.add_argument("--threshold", type=float, default=0.3, help="least confidence of a joint")
    return parser.parse_args()


def read_poses(file_format: str, files: list[str], images: Path | None, threshold: float) -> dict[str, np.ndarray]:
    """Joints by image name; raises ValueError for a malformed file, an unsafe name or a missing image."""
    poses: dict[str, np.ndarray] = {}
    for file in files:
        if file_format == "csv":
            poses |= read_annotation_csv(file)
        elif file_format == "coco":
            found = read_coco_json(file, threshold)
            poses |= {check_name(_with_suffix(name, images), file): joints for name, joints in found.items()}
        else:
            name = _image_of(Path(file), images)
            poses[name] = _read_single(file_format, file, images / name if images else None, threshold)
    return poses


def _read_single(file_format: str, file: str, image: Path | None, threshold: float) -> np.ndarray:
    if file_format == "openpose":
        return read_openpose_json(file, threshold)
    if image is None:
        raise ValueError("MediaPipe's coordinates are shares of the image: give --images")
    picture = read_image(image)
    return read_mediapipe_json(file, (picture.height, picture.width), threshold)


def _image_of(file: Path, images: Path | None) -> str:
    """The image of a file of keypoints: the same name, less OpenPose's `_keypoints`."""
    return _with_suffix(file.stem.removesuffix("_keypoints"), images)


def _with_suffix(stem: str, images: Path | None) -> str:
    if images is None or Path(stem).suffix.lower() in IMAGE_SUFFIXES:
        return stem if Path(stem).suffix.lower() in IMAGE_SUFFIXES else f"{stem}.jpg"
    for suffix in IMAGE_SUFFIXES:
        if (images / f"{stem}{suffix}").is_file():
            return f"{stem}{suffix}"
    raise ValueError(f"{images} has no image {stem} ({', '.join(IMAGE_SUFFIXES)})")


if __name__ == "__main__":
    sys.exit(run(main))
