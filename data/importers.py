"""Keypoints of other tools and datasets to OpenPose-18.

Every function gives (18, 2) float64 x, y in pixels, NaN where missing or less certain than `threshold`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.openpose import mark_missing
from data.pairs import check_name
from images.joints import COCO_17, LEFT_SHOULDER, NECK, NUM_JOINTS, RIGHT_SHOULDER

# where each OpenPose-18 joint is found in the other order; None: the neck, halfway between the shoulders
MEDIAPIPE_33: tuple[int | None, ...] = (0, None, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
BODY_25: tuple[int | None, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
OPENPOSE_18: tuple[int | None, ...] = tuple(range(NUM_JOINTS))
_MAX_BYTES = 1 << 30
_LARGEST = 1e5


def reorder(points: np.ndarray, order: Sequence[int | None], threshold: float = 0.0) -> np.ndarray:
    """OpenPose-18 joints from (n, 3) points x, y, confidence in another order.

    A joint is missing where its confidence is not above `threshold`; a neck that the order lacks is put halfway
    between the shoulders.
    """
    joints = np.full((NUM_JOINTS, 2), np.nan)
    for joint, place in enumerate(order):
        if place is not None and points[place, 2] > threshold and (np.abs(points[place, :2]) < _LARGEST).all():
            joints[joint] = points[place, :2]
    if order[NECK] is None:
        joints[NECK] = (joints[LEFT_SHOULDER] + joints[RIGHT_SHOULDER]) / 2
    return joints


def read_openpose_json(path: str | Path, threshold: float = 0.1) -> np.ndarray:
    """OpenPose's JSON of an image, BODY_25 or the 18-joint COCO model; of several people the surest."""
    people = _field(_read_json(path), "people", path)
    bodies = [
        _numbers(_field(person, "pose_keypoints_2d", path), path).reshape(-1, 3) for person in _list(people, path)
    ]
    orders = {25: BODY_25, 18: OPENPOSE_18}
    if not bodies:
        return np.full((NUM_JOINTS, 2), np.nan)
    body = max(bodies, key=lambda points: points[:, 2].sum())
    if len(body) not in orders:
        raise ValueError(f"{path}: {len(body)} joints a person, expected 25 (BODY_25) or 18")
    return reorder(body, orders[len(body)], threshold)


def read_coco_json(path: str | Path, threshold: float = 0.1) -> dict[str, np.ndarray]:
    """COCO keypoints, annotations or results, by image; the third number is a visibility or a confidence.

    Results name images by `image_id` alone, so that is the name here; of several people the largest sum counts.
    """
    content = _read_json(path)
    annotations = _list(content if isinstance(content, list) else _field(content, "annotations", path), path)
    images = content.get("images", []) if isinstance(content, dict) else []
    names = {_field(image, "id", path): str(_field(image, "file_name", path)) for image in _list(images, path)}
    best: dict[str, np.ndarray] = {}
    for annotation in annotations:
        number = _field(annotation, "image_id", path)
        name = names.get(number, str(number)) if isinstance(number, str | int) else str(number)
        points = _numbers(_field(annotation, "keypoints", path), path)
        if points.size != 51:
            raise ValueError(
                f"{path}: {points.size} numbers for image {name}, expected 51 (17 joints x, y, confidence)"
            )
        points = points.reshape(17, 3)
        if name not in best or points[:, 2].sum() > best[name][:, 2].sum():
            best[name] = points
    return {name: reorder(points, COCO_17, threshold) for name, points in best.items()}


def read_mediapipe_json(path: str | Path, image_size: tuple[int, int], threshold: float = 0.5) -> np.ndarray:
    """MediaPipe's 33 landmarks of an image of (H, W): a list of {x, y, visibility}, x and y in 0..1.

    The list may stand under `pose_landmarks` or `landmarks`, and inside a list of people (the first counts).
    """
    content = _read_json(path)
    if isinstance(content, dict):
        content = content.get("pose_landmarks", content.get("landmarks"))
    landmarks = _list(content, path)
    if len(landmarks) and isinstance(landmarks[0], list):
        landmarks = landmarks[0]
    if len(landmarks) != 33:
        raise ValueError(f"{path}: {len(landmarks)} landmarks, expected MediaPipe's 33")
    rows = [[_field(mark, "x", path), _field(mark, "y", path), mark.get("visibility", 1.0)] for mark in landmarks]
    points = _numbers(rows, path) * (image_size[1], image_size[0], 1)
    return reorder(points, MEDIAPIPE_33, threshold)


_CSV_LINE = re.compile(r"(?P<name>[^:]+):\s*\[(?P<y>[^\[\]]*)\]\s*:\s*\[(?P<x>[^\[\]]*)\]")


def read_annotation_csv(path: str | Path) -> dict[str, np.ndarray]:
    """The field's annotation files (Market-1501, DeepFashion): lines `name:[y ...]:[x ...]`, -1 missing."""
    joints = {}
    for where, text in _text_lines(path):
        if text.startswith("name:"):
            continue
        match = _CSV_LINE.fullmatch(text)
        if not match:
            raise ValueError(f"{where}: not of the form name:[y, ...]:[x, ...]")
        try:
            x, y = (np.array(match[axis].split(","), float) for axis in "xy")
        except ValueError:
            raise ValueError(f"{where}: a coordinate is not a number") from None
        if len(x) != NUM_JOINTS or len(y) != NUM_JOINTS or not (np.abs([x, y]) < _LARGEST).all():
            raise ValueError(f"{where}: {len(y)} y and {len(x)} x, expected {NUM_JOINTS} plain numbers each")
        joints[check_name(match["name"].strip(), where)] = mark_missing(np.stack([x, y], axis=1))
    return joints


def read_pairs_csv(path: str | Path) -> list[tuple[str, str]]:
    """The pair files of the field: a header `from,to`, then (source, target) a line."""
    pairs = []
    for where, text in _text_lines(path):
        source, _, target = text.partition(",")
        if (source, target) != ("from", "to"):
            pairs.append((check_name(source.strip(), where), check_name(target.strip(), where)))
    return pairs


def _text_lines(path: str | Path) -> list[tuple[str, str]]:
    lines = _read_text(path).splitlines()
    return [(f"{path}:{number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _read_text(path: str | Path) -> str:
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} has over {_MAX_BYTES} bytes; split it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def _read_json(path: str | Path) -> Any:
    try:
        return json.loads(_read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def _field(content: Any, name: str, path: str | Path) -> Any:
    if not isinstance(content, dict) or name not in content:
        raise ValueError(f"{path} has no `{name}` where it should; is it of this format?")
    return content[name]


def _list(content: Any, path: str | Path) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"{path} holds {type(content).__name__} where a list should be; is it of this format?")
    return content


def _numbers(values: Any, path: str | Path) -> np.ndarray:
    try:
        array = np.array(values, float)
    except (TypeError, ValueError):
        raise ValueError(f"{path}: keypoints that are not numbers") from None
    if array.size % 3 or not np.isfinite(array).all():
        raise ValueError(f"{path}: keypoints must be triples of finite numbers (x, y, confidence)")
    return array


ORDERS: dict[str, tuple[int | None, ...]] = {
    "OpenPose-18": OPENPOSE_18,
    "BODY_25": BODY_25,
    "COCO-17": COCO_17,
}
