"""Find the pose in photos with MediaPipe, whose detector comes inside its package: nothing else is fetched.

    python -m scripts.extract_landmarks PHOTO... --output DIR

MediaPipe wants older packages than this project, so it lives in an environment of its own, which the first use makes
(about 1 GB) and which may be deleted at any time. What is written is what scripts.extract_pose writes: DIR/img,
DIR/pose, and DIR/overlay to look at. One person a photo.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config.cli import Parser, run
from data.landmarks import ENVIRONMENT, LEAST_VISIBILITY, find_landmarks, joints_of, make_environment
from data.photos import add_photo
from images.reading import read_image, read_pixels
from scripts.extract_pose import photos_by_name

_LOG = logging.getLogger("extract_landmarks")


def main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="photos, each of one person")
    parser.add_argument("--output", required=True, type=Path, help="dataset folder to write to")
    parser.add_argument("--threshold", type=float, default=LEAST_VISIBILITY, help="least visibility of a joint, 0 to 1")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="where MediaPipe is, or shall be")
    arguments = parser.parse_args()
    photos = photos_by_name(arguments.images)
    python = make_environment(arguments.environment)
    without = []
    with tempfile.TemporaryDirectory() as folder:
        for name, photo in photos.items():
            np.save(Path(folder, f"{name}.npy"), read_pixels(photo))
        find_landmarks(python, Path(folder))
        for name, photo in tqdm(photos.items(), unit="photo"):
            joints = joints_of(Path(folder, f"{name}.json"), read_image(photo).size[::-1], arguments.threshold)
            if joints is None:
                without.append(photo)
            else:
                add_photo(arguments.output, name, read_image(photo), joints)
    for photo in without:
        sys.stderr.write(f"bad: no person found in {photo}; try another photo or scripts.extract_pose\n")
    _LOG.info("%d photos in %s; look at %s", len(photos) - len(without), arguments.output, arguments.output / "overlay")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(run(main))
