"""Pairs files, the pair rule and the names of output files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from images.folders import IMAGE_SUFFIXES

# Both shoulders and both hips: a pair whose torso is unseen says nothing about the clothes.
TORSO_JOINTS = (2, 5, 8, 11)
_LINE_LIMIT = 1 << 20
_NAME_LIMIT = 400
_BLANK = " \t\r\n\ufeff"
_DEEPFASHION_NAME = re.compile(r"img/(?P<folders>.+)/id_(?P<identity>\d+)/(?P<first>[^_/]+)_(?P<rest>[^/]+)")


@dataclass(frozen=True, slots=True)
class PairLine:
    """One line of a pairs file: an image to make, and every image of that person and outfit to make it from."""

    target: str
    sources: tuple[str, ...]


def read_pairs(path: str | Path) -> list[PairLine]:
    """Read a pairs file: on each line the target, then all its sources, comma-separated.

    Raises:
        ValueError: the file is missing or empty, or a line is malformed; names file and line number.
    """
    known: dict[str, str] = {}
    lines = [_parse_line(text, where, known) for where, text in _lines(Path(path))]
    if not lines:
        raise ValueError(f"{path} holds no pairs; build it with python -m scripts.make_pairs")
    return lines


def read_list(path: str | Path) -> list[str]:
    """Read a list of image names, one a line (`train.lst`); raises ValueError like `read_pairs`."""
    return [check_name(text, where) for where, text in _lines(Path(path))]


def write_pairs(path: str | Path, lines: Iterable[PairLine]) -> None:
    """Write a file that `read_pairs` reads back equal."""
    Path(path).write_text("".join(",".join((line.target, *line.sources)) + "\n" for line in lines), encoding="utf-8")


def build_pairs(joints: Mapping[str, np.ndarray]) -> list[PairLine]:
    """All ordered pairs of images of one person and outfit whose shoulders and hips are all found.

    Images belong together if their folder and the part of their file name before the first underscore agree
    (`id_00000002/02_1_front.jpg` and `id_00000002/02_3_back.jpg`).

    Args:
        joints: image name to (18, 2) joints, NaN where missing.
    """
    whole = sorted((name for name in joints if has_torso(joints[name])), key=lambda name: (_outfit(name), name))
    groups = [tuple(names) for _, names in groupby(whole, key=_outfit)]
    return [
        PairLine(target, tuple(name for name in names if name != target))
        for names in groups
        if len(names) > 1
        for target in names
    ]


def has_torso(joints: np.ndarray) -> bool:
    """Whether both shoulders and both hips of (18, 2) joints are found."""
    return bool(np.isfinite(joints[list(TORSO_JOINTS)]).all())


def output_name(source: str, target: str) -> str:
    """File name of the image generated from `source` in the pose of `target`, as published (docs/method.md, 8)."""
    return f"{_flat_name(source)}_2_{_flat_name(target)}_vis.png"


def store_key(name: str) -> str:
    """Key of an image in a store: its name with `.png`."""
    # by strings: making a path takes longer, and interns its parts
    return posixpath.splitext(posixpath.normpath(name))[0] + ".png"


def check_name(name: str, where: str) -> str:
    """The image name itself, if it is a plain relative path to an image.

    Raises:
        ValueError: empty, absolute, leaving the folder, with control characters, or not an image; begins with `where`.
    """
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if not name:
        raise ValueError(f"{where}: empty image name; a line is target,source[,source ...]")
    if len(name) > _NAME_LIMIT or not name.isprintable() or "\\" in name:
        raise ValueError(f"{where}: {shown!r} is no image name: at most {_NAME_LIMIT} printable characters, / between")
    if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"{where}: {shown!r} leaves the dataset folder; use a path relative to it, without ..")
    if posixpath.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
        raise ValueError(f"{where}: {shown!r} does not end in {', '.join(IMAGE_SUFFIXES)}")
    return name


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, stripped, after its `file:number`."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_LIMIT):
                number += 1
                if len(line) == _LINE_LIMIT:
                    raise ValueError(f"{path}:{number}: longer than {_LINE_LIMIT} bytes; this is not a list of images")
                if text := line.decode("utf-8").strip(_BLANK):
                    yield f"{path}:{number}", text
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; see docs/data.md for where to get or how to build it") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}:{number}: not UTF-8 text") from None


def _parse_line(text: str, where: str, known: dict[str, str]) -> PairLine:
    """A line whose names are checked, and held, once in the whole file: `known` has those that are."""
    stripped = [name.strip(_BLANK) for name in text.split(",")]
    names = [known.get(name) or known.setdefault(name, check_name(name, where)) for name in stripped]
    if len(names) < 2:
        raise ValueError(f"{where}: {names[0]!r} has no source; a line is target,source[,source ...]")
    return PairLine(names[0], tuple(names[1:]))


def _outfit(name: str) -> str:
    path = PurePosixPath(name)
    return f"{path.parent}/{path.stem.partition('_')[0]}"


def _flat_name(name: str) -> str:
    stem = str(PurePosixPath(name).with_suffix(""))
    match = _DEEPFASHION_NAME.fullmatch(stem)
    if not match:
        return stem.replace("/", "-")
    folders, rest = match["folders"].replace("/", ""), match["rest"].replace("_", "")
    return f"fashion{folders}id{match['identity']}{match['first']}_{rest}"


def unique_names(lines: Sequence[PairLine]) -> list[str]:
    """Every image named in `lines`, sorted, once."""
    return sorted({name for line in lines for name in (line.target, *line.sources)})
