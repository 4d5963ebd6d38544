"""Synthetic people as a data set in DeepFashion's exact layout."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from data.frames import write_frame
from data.openpose import DEEPFASHION_FRAME, pose_file, to_file_frame, write_keypoints
from data.pairs import PairLine, build_pairs, write_pairs
from data.synthetic.canvas import Floats
from data.synthetic.figure import Model, draw, make_model
from data.synthetic.people import Rng, sample_person
from data.synthetic.pose import sample_pose
from data.synthetic.views import MAX_VIEWS, sample_camera, view_name
from images.writing import write_image

MARKER = "synthetic.json"  # says that a folder was made here, so that it may be replaced
PEOPLE_A_TEST_PERSON = 8
TEXELS_A_PIXEL = 0.75
SHORTEST, LONGEST = 32, 4096


@dataclass(frozen=True)
class Request:
    """What to draw: `size` is height and width in pixels; the same request always gives the same files."""

    people: int
    views: int
    seed: int = 0
    size: tuple[int, int] = (1101, 750)

    def __post_init__(self) -> None:
        _check("people", self.people, 1, 1_000_000)
        _check("views", self.views, 1, MAX_VIEWS)
        _check("seed", self.seed, 0, 2**63 - 1)
        for side in self.size:
            _check("size", side, SHORTEST, LONGEST)


@dataclass(frozen=True)
class Album:
    """One person's pictures: image name to (18, 2) keypoints in the frame of DeepFashion's files, NaN if missing."""

    is_test: bool
    keypoints: dict[str, Floats]


def is_test_person(person: int) -> bool:
    """Every eighth person, the second one first, is kept for testing."""
    return person % PEOPLE_A_TEST_PERSON == 1


def prepare_folder(root: Path, overwrite: bool) -> None:
    """Make sure `root` is empty; raises ValueError if it holds files and they may not be replaced."""
    if root.is_file():
        raise ValueError(f"--output {root} is a file; name a folder")
    if root.is_dir() and any(root.iterdir()):
        if not overwrite:
            raise ValueError(f"--output {root} already holds files; name another folder or add --overwrite")
        if not (root / MARKER).is_file():
            raise ValueError(f"--output {root} holds files that were not made here (no {MARKER}); name another folder")
        for name in ("img", "pose"):
            shutil.rmtree(root / name, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)


def write_people(root: Path, request: Request, workers: int = 1) -> Iterator[Album]:
    """Draw and write everyone, person by person in order, on `workers` processes."""
    (root / MARKER).write_text(json.dumps(asdict(request)) + "\n", encoding="utf-8")
    write_frame(root, DEEPFASHION_FRAME)
    one = partial(write_person, root, request)
    pool = multiprocessing.get_context("spawn").Pool(workers, cv2.setNumThreads, (1,)) if workers > 1 else None
    with pool or nullcontext():
        yield from pool.imap(one, range(request.people)) if pool else map(one, range(request.people))


def write_person(root: Path, request: Request, person: int) -> Album:
    """Draw and write all views of one person; depends on the request's seed and the person alone."""
    keypoints = {}
    for name, image, joints in draw_views(request, person, range(request.views)):
        keypoints[name] = to_file_frame(joints, request.size)
        _write_view(root, name, image, keypoints[name])
    return Album(is_test_person(person), keypoints)


def draw_views(request: Request, person: int, views: Iterable[int]) -> Iterator[tuple[str, np.ndarray, Floats]]:
    """Some views of one person: the name of the image, (H, W, 3) uint8, and (18, 2) joints in its pixels."""
    model = person_model(request.seed, person, request.size[0])
    who = model.person
    folder = f"img/{who.body.sex}/{who.outfit.category}/id_{person + 1:08d}"
    for view in views:
        rng = np.random.default_rng([request.seed, person, view])
        yield f"{folder}/01_{view_name(view)}.jpg", *draw_view(model, view_name(view), rng, request.size)


def person_model(seed: int, person: int, height: int) -> Model:
    """One of the people of a seed, ready to be drawn in pictures of this height."""
    rng = np.random.default_rng([seed, person])
    who = sample_person(rng)
    return make_model(who, TEXELS_A_PIXEL * height / 1.5, int(rng.integers(2**31)))


def draw_view(model: Model, name: str, rng: Rng, size: tuple[int, int]) -> tuple[np.ndarray, Floats]:
    """A person in a drawn pose, from a named view: image and joints as `figure.draw` gives them."""
    pose = sample_pose(rng, model.person.body)
    return draw(model, pose, sample_camera(rng, name, model.person.body, pose, size), size)


def _write_view(root: Path, name: str, image: np.ndarray, keypoints: Floats) -> None:
    write_image(root / name, image)
    write_keypoints(pose_file(root, name), keypoints)


def write_lists(root: Path, albums: list[Album]) -> dict[str, int]:
    """Write the lists and pairs files; returns the number of lines of each pairs file."""
    lines: dict[str, list[PairLine]] = {}
    for split, is_test in (("train", False), ("test", True)):
        keypoints = {name: joints for album in albums if album.is_test == is_test
                     for name, joints in album.keypoints.items()}  # fmt: skip
        (root / f"{split}.lst").write_text("".join(f"{name}\n" for name in sorted(keypoints)), encoding="utf-8")
        lines[split] = build_pairs(keypoints)
    lines["test"] = [PairLine(line.target, (source,)) for line in lines["test"] for source in line.sources]
    for split, pairs in lines.items():
        write_pairs(root / f"{split}_pairs.txt", pairs)
    return {split: len(pairs) for split, pairs in lines.items()}


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"--{name} {value} is outside of {low} to {high}")
