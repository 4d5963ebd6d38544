"""MediaPipe's detector of poses, which wants older packages and so lives in an environment of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np

from data.importers import read_mediapipe_json

_LOG = logging.getLogger(__name__)
# newer ones fetch their detector, and other versions of Python have no such package
PACKAGE = "mediapipe==0.10.21"
PYTHONS = ((3, 9), (3, 12))
ENVIRONMENT = Path(".mediapipe")
LEAST_VISIBILITY = 0.5


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
