"""Keypoint files that say two things of one image, nothing of it, or are nested without end: refused, in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.importers import read_annotation_csv, read_coco_json, read_mediapipe_json, read_openpose_json

SEEN = [10.0, 20.0, 2.0] * 17
UNSEEN = [0] * 51


def csv_line(name: str, x: int) -> str:
    return f"{name}:{[7] * 18}:{[x] * 18}\n"


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_csv_with_two_poses_of_an_image_is_refused_and_a_copy_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(csv_line("a.jpg", 1) + csv_line("a.jpg", 1))
    assert list(read_annotation_csv(path)) == ["a.jpg"]
    path.write_text(csv_line("a.jpg", 1) + csv_line("a.jpg", 2))
    with pytest.raises(ValueError, match=r"a.csv:2: a second pose of image a.jpg; give one of them"):
        read_annotation_csv(path)


def test_a_coco_id_of_two_images_is_refused(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": "007", "file_name": "b.jpg"}]
    path = written(tmp_path / "a.json", {"images": images, "annotations": [{"image_id": 7, "keypoints": SEEN}]})
    with pytest.raises(ValueError, match=r"a.json: a.jpg and b.jpg have one id, 7; give each its own"):
        read_coco_json(path)


def test_people_without_a_joint_are_no_pose(tmp_path: Path) -> None:
    people = [{"image_id": 1, "keypoints": UNSEEN}, {"image_id": 2, "keypoints": SEEN}]
    assert list(read_coco_json(written(tmp_path / "a.json", people))) == ["2"]
    with pytest.raises(ValueError, match=r"a.json has no `keypoints`"):
        read_coco_json(written(tmp_path / "a.json", people[:1]))
    marks = [{"x": 0.5, "y": 0.5, "visibility": 0.1}] * 33
    with pytest.raises(ValueError, match=r"a.json has no person with a joint surer than 0.5; take another image"):
        read_mediapipe_json(written(tmp_path / "a.json", marks), (1, 1))


def test_lists_in_lists_without_end_are_no_keypoints(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"people": [{"pose_keypoints_2d": ' + "[" * 800 + "]" * 800 + "}]}")
    with pytest.raises(ValueError, match=r"a.json: keypoints that are not numbers"):
        read_openpose_json(path)
