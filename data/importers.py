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

from data.openpose import Frame, mark_missing
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
    """OpenPose's JSON of an image, BODY_25 or the 18-joint COCO model; of several people the surest.

    Pose editors put it into a list, have null for what is missing, and may write shares of a canvas that they name.
    Raises ValueError where nobody is in it.
    """
    joints = openpose_joints(_openpose_content(path), path, threshold)
    if joints is None:
        raise ValueError(f"{path} has no person with a joint surer than {threshold:g}; take another image or threshold")
    return joints


def read_openpose_frames(path: str | Path, threshold: float = 0.1) -> list[tuple[np.ndarray, Frame | None]]:
    """OpenPose's JSON of several images in a list: joints, all NaN where nobody is, and the canvas if it is named."""
    content = _read_json(path)
    nobody = np.full((NUM_JOINTS, 2), np.nan)
    found = []
    for image in content if isinstance(content, list) else [content]:
        joints = openpose_joints(image, path, threshold)
        found.append((nobody if joints is None else joints, _canvas(image)))
    return found


def openpose_joints(content: dict[str, Any], path: str | Path, threshold: float) -> np.ndarray | None:
    """(18, 2) joints of the surest person of an image's part of a file; None where nobody is in it."""
    _field(content, "people", path)
    people = [person for person in _list(content.get("people") or [], path) if person is not None]
    values = [_field(person, "pose_keypoints_2d", path) for person in people]
    bodies = [_numbers(value, path).reshape(-1, 3) for value in values if value]
    bodies = [body for body in bodies if (body[:, 2] > threshold).any()]
    if not bodies:
        return None
    body = max(bodies, key=lambda points: points[:, 2].sum())
    orders = {25: BODY_25, 18: OPENPOSE_18}
    if len(body) not in orders:
        raise ValueError(f"{path}: {len(body)} joints a person, expected 25 (BODY_25) or 18")
    canvas = _canvas(content)
    if canvas and np.abs(body[body[:, 2] > 0, :2]).max() <= 1:
        body = body * (canvas.width, canvas.height, 1)
    return reorder(body, orders[len(body)], threshold)


def read_openpose_frame(path: str | Path) -> Frame | None:
    """The canvas that a pose editor's file names; None where it names none, as OpenPose's own."""
    return _canvas(_openpose_content(path))


def _openpose_content(path: str | Path) -> dict[str, Any]:
    """The image's part of the file: itself, or what a pose editor has put into a list."""
    content = _read_json(path)
    parts = [part for part in (content if isinstance(content, list) else [content]) if part is not None]
    if len(parts) > 1 or not parts:
        raise ValueError(f"{path} holds {len(parts)} images, expected one; give a file an image")
    _field(parts[0], "people", path)
    return dict(parts[0])


def _canvas(content: dict[str, Any]) -> Frame | None:
    sides = [content.get(f"canvas_{side}") for side in ("height", "width")]
    if not all(isinstance(side, int | float) and 0 < side < _LARGEST for side in sides):
        return None
    return Frame(int(sides[0] or 0), int(sides[1] or 0), 0)


def read_coco_json(path: str | Path, threshold: float = 0.1) -> dict[str, np.ndarray]:
    """COCO keypoints, annotations or results, by image; the third number is a visibility or a confidence.

    Results name images by `image_id` alone, so that is the name here; of several people the largest sum counts.
    What has no keypoints (boxes, crowds, people of whom no joint is marked) is left out. Raises ValueError where
    nothing has any.
    """
    content = _read_json(path)
    annotations = _list(content if isinstance(content, list) else _field(content, "annotations", path), path)
    names = {number: str(_field(image, "file_name", path)) for number, image in _coco_images(content, path).items()}
    best: dict[str, np.ndarray] = {}
    for annotation in annotations:
        number = _identifier(_field(annotation, "image_id", path))
        name = names.get(number, number)
        if not annotation.get("keypoints"):
            continue
        points = _numbers(annotation["keypoints"], path)
        if points.size != 51:
            raise ValueError(
                f"{path}: {points.size} numbers for image {name}, expected 51 (17 joints x, y, confidence)"
            )
        points = points.reshape(17, 3)
        if not (points[:, 2] > threshold).any():
            continue
        if name not in best or points[:, 2].sum() > best[name][:, 2].sum():
            best[name] = points
    if not best:
        raise ValueError(f"{path} has no `keypoints`; is it a file of persons' keypoints?")
    return {name: reorder(points, COCO_17, threshold) for name, points in best.items()}


def read_coco_frames(path: str | Path) -> dict[str, Frame]:
    """The size of each image of a COCO file that names it."""
    images = _coco_images(_read_json(path), path).values()
    sizes = [(str(_field(image, "file_name", path)), image.get("height"), image.get("width")) for image in images]
    return {
        name: Frame(height, width, 0)
        for name, height, width in sizes
        if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0
    }


def _coco_images(content: Any, path: str | Path) -> dict[str, dict[str, Any]]:
    images: dict[str, dict[str, Any]] = {}
    for image in _list(content.get("images") or [] if isinstance(content, dict) else [], path):
        number = _identifier(_field(image, "id", path))
        names = [_field(one, "file_name", path) for one in (images.setdefault(number, image), image)]
        if names[0] != names[1]:
            raise ValueError(f"{path}: {names[0]} and {names[1]} have one id, {number}; give each its own")
    return images


def _identifier(value: Any) -> str:
    """One text for an id written as 7, 7.0, "7" or "000007"."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text.lstrip("0") or "0" if text.isdecimal() else text


def read_mediapipe_json(path: str | Path, image_size: tuple[int, int], threshold: float = 0.5) -> np.ndarray:
    """MediaPipe's 33 landmarks of an image of (H, W): a list of {x, y, visibility}, x and y in 0..1.

    The list may stand under `pose_landmarks`, `landmarks` or `landmark`, and inside a list of people (the first
    counts). Raises ValueError where nobody is in it.
    """
    landmarks = _read_json(path)
    while isinstance(landmarks, dict):
        names = [name for name in ("pose_landmarks", "landmarks", "landmark") if name in landmarks]
        landmarks = _field(landmarks, names[0] if names else "pose_landmarks", path)
    landmarks = _list([] if landmarks is None else landmarks, path)
    if landmarks and isinstance(landmarks[0], list):
        landmarks = landmarks[0]
    if not landmarks:
        raise ValueError(f"{path} has no person; take another image")
    if len(landmarks) != 33:
        raise ValueError(f"{path}: {len(landmarks)} landmarks, expected MediaPipe's 33")
    rows = [[_field(mark, "x", path), _field(mark, "y", path), _visibility(mark)] for mark in landmarks]
    points = _numbers(rows, path) * (image_size[1], image_size[0], 1)
    if not (points[:, 2] > threshold).any():
        raise ValueError(f"{path} has no person with a joint surer than {threshold:g}; take another image or threshold")
    return reorder(points, MEDIAPIPE_33, threshold)


def _visibility(mark: dict[str, Any]) -> Any:
    value = mark.get("visibility")
    return 1.0 if value is None else value


_CSV_LINE = re.compile(r"(?P<name>[^:]+?)\s*:\s*\[(?P<y>[^\[\]]*)\]\s*:\s*\[(?P<x>[^\[\]]*)\]")


def read_annotation_csv(path: str | Path) -> dict[str, np.ndarray]:
    """The field's annotation files (Market-1501, DeepFashion): lines `name:[y ...]:[x ...]`, -1 missing."""
    joints: dict[str, np.ndarray] = {}
    for where, text in _text_lines(path):
        if "[" not in text and text.lower().startswith("name"):
            continue
        match = _CSV_LINE.fullmatch(text.replace('"', ""))
        if not match:
            raise ValueError(f"{where}: not of the form name:[y, ...]:[x, ...]")
        try:
            x, y = (np.array(match[axis].split(","), float) for axis in "xy")
        except ValueError:
            raise ValueError(f"{where}: a coordinate is not a number") from None
        if len(x) != NUM_JOINTS or len(y) != NUM_JOINTS or not (np.abs([x, y]) < _LARGEST).all():
            raise ValueError(f"{where}: {len(y)} y and {len(x)} x, expected {NUM_JOINTS} plain numbers each")
        name, points = check_name(match["name"].strip(), where), mark_missing(np.stack([x, y], axis=1))
        if not np.array_equal(joints.setdefault(name, points), points, equal_nan=True):
            raise ValueError(f"{where}: a second pose of image {name}; give one of them")
    if not joints:
        raise ValueError(f"{path} holds no keypoints, lines name:[y, ...]:[x, ...]")
    return joints


def read_pairs_csv(path: str | Path) -> list[tuple[str, str]]:
    """The pair files of the field: a header `from,to`, then (source, target) a line.

    Without a header, that is the order; with one, its words say which column is which.
    """
    pairs, columns = [], (0, 1)
    for where, text in _text_lines(path):
        separator = next((mark for mark in ",;\t" if mark in text), ",")
        cells = [cell.strip().strip("\"'") for cell in text.split(separator)]
        words = [cell.lower() for cell in cells]
        if "from" in words and "to" in words:
            columns = (words.index("from"), words.index("to"))
            continue
        if len(cells) <= max(columns):
            raise ValueError(f"{where}: {text[:80]!r} is not two image names, from,to")
        pairs.append((check_name(cells[columns[0]], where), check_name(cells[columns[1]], where)))
    if not pairs:
        raise ValueError(f"{path} holds no pairs, lines from,to")
    return pairs


def _text_lines(path: str | Path) -> list[tuple[str, str]]:
    lines = _read_text(path).splitlines()
    return [(f"{path}:{number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _read_text(path: str | Path) -> str:
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is no file" if path.exists() else f"{path} does not exist")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} has over {_MAX_BYTES} bytes; split it")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None


def _read_json(path: str | Path) -> Any:
    text = _read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
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
        # pose editors write null for what is missing
        array = np.array(_zeros_for_null(values), float)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ValueError(f"{path}: keypoints that are not numbers") from None
    if array.size % 3 or not np.isfinite(array).all():
        raise ValueError(f"{path}: keypoints must be triples of finite numbers (x, y, confidence)")
    return array


def _zeros_for_null(values: Any) -> Any:
    if not isinstance(values, list):
        return 0.0 if values is None else values
    return [_zeros_for_null(value) for value in values]
