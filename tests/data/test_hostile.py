"""Files made to do harm: one clear error or a right result, and nothing written outside the output folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.importers import read_annotation_csv, read_openpose_json, read_pairs_csv
from data.openpose import read_keypoints
from data.pairs import read_list
from data.photos import PHOTO_SIZE, add_photo
from scripts import extract_pose, import_poses, make_pairs, prepare_data
from tests.data.conftest import run_script, standing

OUTSIDE = ("../evil.jpg", "a/../../evil.jpg", "/tmp/evil.jpg", "C:/evil.jpg", "..\\evil.jpg")


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("file_format", ["coco", "csv"])
def test_imported_names_stay_inside_the_folder(tmp_path: Path, file_format: str, name: str) -> None:
    file, numbers = tmp_path / "in" / "file", ",".join("1" * 18)
    file.parent.mkdir()
    annotation = {"image_id": 1, "keypoints": [1.0] * 51}
    coco = {"images": [{"id": 1, "file_name": name}], "annotations": [annotation]}
    file.write_text(json.dumps(coco) if file_format == "coco" else f"{name}:[{numbers}]:[{numbers}]\n")
    with pytest.raises(ValueError, match=r"leaves the dataset folder|no image name|not of the form"):
        run_script(import_poses.main, "--format", file_format, file, "--output", tmp_path / "a" / "b" / "out")
    assert files_below(tmp_path) == {file}


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_in_lists_and_pairs_stay_inside_the_folder(tree: Path, tmp_path: Path, name: str) -> None:
    before = files_below(tmp_path)
    (tree / "train_pairs.txt").write_text(f"img/a.jpg,{name}\n")
    with pytest.raises(ValueError, match=r"train_pairs\.txt:1: .*(leaves the dataset folder|no image name)"):
        run_script(prepare_data.main, "--root", tree, "--output", tree / "out", "--workers", 1)
    (tmp_path / "pairs.csv").write_text(f"from,to\nok.jpg,{name}\n")
    with pytest.raises(ValueError, match=r"pairs\.csv:2: .*(leaves the dataset folder|no image name)"):
        run_script(make_pairs.main, "--root", tmp_path / "new", "--csv", tmp_path / "pairs.csv")
    assert files_below(tmp_path) == before | {tmp_path / "pairs.csv"}


def test_photos_named_to_leave_the_folder_are_refused() -> None:
    with pytest.raises(ValueError, match="no image name"):
        extract_pose.photos_by_name(["photos/..\\evil.jpg"])


def test_joints_that_are_no_positions_are_missing_and_no_numbers_are_refused(tmp_path: Path) -> None:
    rows = np.concatenate([standing(), np.ones((18, 1))], axis=1).tolist()
    rows[3][0], rows[4][1] = 1e300, -1e6
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"people": [{"pose_keypoints_2d": [value for row in rows for value in row]}]}))
    joints = read_openpose_json(path)
    assert np.isnan(joints[[3, 4]]).all() and np.isfinite(np.delete(joints, [3, 4], axis=0)).all()
    for text in ("NaN", "Infinity", "1e999"):
        path.write_text(path.read_text().replace("1e+300", text))
        with pytest.raises(ValueError, match=r"a\.json: keypoints must be triples of finite numbers"):
            read_openpose_json(path)
        path.write_text(path.read_text().replace(text, "1e+300"))


def test_a_joint_far_off_does_not_blow_up_the_picture(tmp_path: Path) -> None:
    joints = standing()
    joints[4] = (99_999, -99_999)
    overlay = add_photo(tmp_path, "a", Image.new("RGB", (300, 300)), joints)
    assert Image.open(overlay).size == (PHOTO_SIZE[1], PHOTO_SIZE[0])


@pytest.mark.parametrize("read", [read_keypoints, read_annotation_csv, read_pairs_csv, read_list, read_openpose_json])
def test_a_line_of_a_hundred_megabytes_is_one_short_line(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.truncate(100_000_000)  # sparse: a line of zeros
    with pytest.raises(ValueError, match=r"long\.txt") as error:
        read(path)
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)


def test_a_number_of_a_million_digits_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1 2\n" * 17 + "1" * 1_000_000 + " 2\n")
    with pytest.raises(ValueError, match=r"a\.txt: over 10000 characters"):
        read_keypoints(path)
