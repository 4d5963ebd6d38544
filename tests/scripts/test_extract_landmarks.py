"""MediaPipe beside the project: its environment is made once, and its landmarks become a dataset."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import landmarks
from data.detectors import DETECTORS
from data.importers import MEDIAPIPE_33
from data.openpose import pose_file, read_keypoints
from data.photos import PHOTO_SIZE
from data.pose import to_image_frame
from images.joints import NECK
from scripts import extract_landmarks
from tests.scripts.test_own_data import PERSON, write_photo

# stands for MediaPipe's Python: finds the person of `marks.json` in every photo but `empty`
STAND_IN = """#!{python}
import pathlib, sys
for path in pathlib.Path(sys.argv[-1]).glob("*.npy"):
    marks = "[]" if path.stem == "empty" else pathlib.Path({marks!r}).read_text()
    path.with_suffix(".json").write_text(marks)
"""


def environment(folder: Path, joints: np.ndarray, size: tuple[int, int]) -> Path:
    """An environment that is ready, whose Python finds (18, 2) joints in pixels of an image of `size` (H, W)."""
    marks = [{"x": 0.0, "y": 0.0, "visibility": 0.0} for _ in range(33)]
    for joint, place in enumerate(MEDIAPIPE_33):
        if place is not None:
            x, y = joints[joint] / size[::-1]
            marks[place] = {"x": x, "y": y, "visibility": 0.9}
    (folder / "bin").mkdir(parents=True)
    (folder / "marks.json").write_text(json.dumps(marks))
    python = folder / "bin" / "python"
    python.write_text(STAND_IN.format(python=sys.executable, marks=str(folder / "marks.json")))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (folder / landmarks.PACKAGE).touch()
    return folder


def test_landmarks_become_photos_with_joints(
    tmp_path: Path, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    size = (700, 900)
    joints = PERSON * 600 + (450, 40)
    joints[NECK] = (joints[2] + joints[5]) / 2
    write_photo(tmp_path / "me.jpg", size, joints)
    Image.new("RGB", (90, 70)).save(tmp_path / "empty.webp")
    place = environment(tmp_path / "env", joints, size)
    photos = [tmp_path / "me.jpg", tmp_path / "empty.webp"]
    arguments = [*photos, "--output", tmp_path / "mine", "--environment", place]
    assert command(extract_landmarks.main, *arguments) == 1
    assert f"bad: no person found in {tmp_path / 'empty.webp'}" in capsys.readouterr().err
    read = to_image_frame(read_keypoints(pose_file(tmp_path / "mine", "img/me.png")), PHOTO_SIZE)
    pixels = np.asarray(Image.open(tmp_path / "mine" / "img" / "me.png"))[..., 0]
    assert np.isfinite(read).all() and all(pixels[int(y), int(x)] < 60 for x, y in np.delete(read, NECK, axis=0))
    assert not (tmp_path / "mine" / "img" / "empty.png").exists()


def test_an_environment_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "PACKAGE", "no/such:package")
    python = tmp_path / "bin" / "python"

    def create(folder: Path, **options: object) -> None:
        python.parent.mkdir()
        python.write_text("#!/bin/sh\necho first >&2\necho no network >&2\nexit 1\n")
        python.chmod(0o755)

    monkeypatch.setattr(landmarks.venv, "create", create)
    with pytest.raises(ValueError, match=r"cannot be installed into .*: no network; without it, scripts\.extract_pose"):
        landmarks.make_environment(tmp_path)


def test_the_detector_of_that_name_finds_the_joints_of_one_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joints = PERSON * 600 + (450, 40)
    joints[NECK] = (joints[2] + joints[5]) / 2
    monkeypatch.chdir(tmp_path)
    environment(landmarks.ENVIRONMENT, joints, (700, 900))
    np.testing.assert_allclose(DETECTORS["mediapipe"](Image.new("RGB", (900, 700))), joints)
    (landmarks.ENVIRONMENT / "marks.json").write_text("[]")
    assert DETECTORS["mediapipe"](Image.new("RGB", (900, 700))) is None
