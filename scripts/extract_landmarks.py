"""Find the pose in photos with MediaPipe, whose detector comes inside its package: nothing else is fetched.

    python -m scripts.extract_landmarks PHOTO... --out DIR

MediaPipe wants older packages than this project, so it lives in an environment of its own, which the first use makes
(about 1 GB) and which may be deleted at any time. What is written is what scripts.extract_pose writes: DIR/img,
DIR/pose, and DIR/overlay to look at. One person a photo.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config.cli import run
from data.importers import read_mediapipe_json
from data.photos import add_photo
from images.reading import read_image, read_pixels
from scripts.extract_pose import photos_by_name

_LOG = logging.getLogger("extract_landmarks")
# newer ones fetch their detector, and other versions of Python have no such package
PACKAGE = "mediapipe==0.10.21"
PYTHONS = ((3, 9), (3, 12))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="photos, each of one person")
    parser.add_argument("--out", required=True, type=Path, help="dataset folder to write to")
    parser.add_argument("--threshold", type=float, default=0.5, help="least visibility of a joint, 0 to 1")
    parser.add_argument("--environment", type=Path, default=Path(".mediapipe"), help="where MediaPipe is, or shall be")
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
                add_photo(arguments.out, name, read_image(photo), joints)
    for photo in without:
        sys.stderr.write(f"bad: no person found in {photo}; try another photo or scripts.extract_pose\n")
    _LOG.info("%d photos in %s; look at %s", len(photos) - len(without), arguments.out, arguments.out / "overlay")
    return 1 if without else 0


def make_environment(folder: Path) -> Path:
    """Python of the environment with MediaPipe, made where it is missing; raises ValueError where that fails."""
    python, ready = folder.absolute() / "bin" / "python", folder / PACKAGE
    if ready.exists():
        return python
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        raise ValueError(f"{PACKAGE} needs Python 3.9 to 3.12; make {folder} with one of them, or use extract_pose")
    _LOG.info("making %s, once: %s and what it needs, about 1 GB", folder, PACKAGE)
    venv.create(folder, with_pip=True, clear=True)
    _call([python, "-m", "pip", "install", "--quiet", PACKAGE], f"{PACKAGE} cannot be installed into {folder}")
    ready.touch()
    return python


def find_landmarks(python: Path, folder: Path) -> None:
    """Write the landmarks of every array of pixels in a folder beside it; raises ValueError where MediaPipe fails."""
    worker = Path(__file__).with_name("landmarks_worker.py")
    _call([python, "-I", worker, folder], "MediaPipe stopped")


def joints_of(file: Path, size: tuple[int, int], threshold: float) -> np.ndarray | None:
    """(18, 2) joints in pixels of an image of `size` (H, W); None where nobody was found."""
    if file.read_text().strip() == "[]":
        return None
    return read_mediapipe_json(file, size, threshold)


def _call(command: list[Path | str], complaint: str) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{complaint}: {last}; without it, scripts.extract_pose finds poses too")


if __name__ == "__main__":
    sys.exit(run(main))
