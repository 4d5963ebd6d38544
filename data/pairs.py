"""Pairs files, the pair rule and the names of output files."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from images.folders import IMAGE_SUFFIXES
from images.names import outfit_of, parse_name, person_of
from images.writing import write_text

# Both shoulders and both hips: a pair whose torso is unseen says nothing about the clothes.
TORSO_JOINTS = (2, 5, 8, 11)
_LINE_LIMIT = 1 << 20
_NAME_LIMIT = 400
# bytes of a store's key (LMDB allows 511) and of a file's name
_KEY_LIMIT, _FILE_LIMIT = 500, 255
_BLANK = " \t\r\n\ufeff"


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
    write_text(path, "".join(",".join((line.target, *line.sources)) + "\n" for line in lines))


def build_pairs(joints: Mapping[str, np.ndarray]) -> list[PairLine]:
    """All ordered pairs of images of one person and outfit (`outfit_of`) whose shoulders and hips are all found.

    Args:
        joints: image name to (18, 2) joints, NaN where missing.
    """
    outfits: dict[tuple[str, str], list[str]] = {}
    for name in sorted(name for name in joints if has_torso(joints[name])):
        outfits.setdefault(outfit_of(name), []).append(name)
    return [
        PairLine(target, tuple(name for name in names if name != target))
        for names in outfits.values()
        if len(names) > 1
        for target in names
    ]


def across_people(lines: Iterable[PairLine]) -> list[str]:
    """Each target that a line joins with a source of another person, with that source."""
    return [
        f"{line.target} with {source}"
        for line in lines
        for source in line.sources
        if person_of(source) != person_of(line.target)
    ]


def has_torso(joints: np.ndarray) -> bool:
    """Whether both shoulders and both hips of (18, 2) joints are found."""
    return bool(np.isfinite(joints[list(TORSO_JOINTS)]).all())


def output_name(source: str, target: str, *others: str) -> str:
    """File name of the image generated from `source` in the pose of `target`, as published (docs/method.md, 8).

    Further sources, `others`, stand after the first, with `_and_` before each. What no file system takes as a name is
    cut short, and told apart by a hash.
    """
    from_all, into = "_and_".join(parse_name(name).flat for name in (source, *others)), parse_name(target).flat
    whole = f"{from_all}_2_{into}_vis.png"
    if len(whole.encode()) <= _FILE_LIMIT:
        return whole
    parts = (flat.encode()[-100:].decode(errors="ignore") for flat in (from_all, into))
    mark = hashlib.blake2b("\n".join((source, target, *others)).encode(), digest_size=8).hexdigest()
    return f"{'_2_'.join(parts)}_{mark}_vis.png"


def check_distinct(names: Iterable[str], where: str) -> None:
    """Raises ValueError where two images would be one in a store, in the keypoint folder or in output files."""
    for form, place in ((_inner_key, "a store and in pose/"), (lambda name: parse_name(name).flat, "output files")):
        first: dict[str, str] = {}
        for name in names:
            if (other := first.setdefault(form(name), name)) != name:
                raise ValueError(f"{where}: {other} and {name} would have one name in {place}; rename one of them")


def _inner_key(name: str) -> str:
    return store_key(name).removeprefix("img/")


def store_key(name: str) -> str:
    """Key of an image in a store: its name with `.png`."""
    # by strings: making a path takes longer, and interns its parts
    return posixpath.splitext(posixpath.normpath(name))[0] + ".png"


def check_name(name: str, where: str) -> str:
    """An image name in its plain form (`img//a.jpg` and `./img/a.jpg` are `img/a.jpg`), if every command can use it.

    Raises:
        ValueError: empty, absolute, leaving the folder, not an image, too long for a file or a store, or with
            characters that lists cannot hold; begins with `where`.
    """
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if not name:
        raise ValueError(f"{where}: empty image name; a line is target,source[,source ...]")
    if len(name) > _NAME_LIMIT or not name.isprintable() or "\\" in name:
        raise ValueError(
            f"{where}: {shown!r} is no image name: at most {_NAME_LIMIT} printable characters, / between; rename it"
        )
    if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
        raise ValueError(f"{where}: {shown!r} leaves the dataset folder; use a path relative to it, without ..")
    if posixpath.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
        raise ValueError(f"{where}: {shown!r} does not end in {', '.join(IMAGE_SUFFIXES)}")
    if "," in name or name != name.strip(_BLANK):
        raise ValueError(
            f"{where}: {shown!r} has a comma or a blank at an end, which pairs files cannot hold; rename it"
        )
    name = posixpath.normpath(name)
    if len(name.encode()) > _KEY_LIMIT or max(len(part.encode()) for part in name.split("/")) > _FILE_LIMIT:
        raise ValueError(
            f"{where}: {shown!r} is too long: {_KEY_LIMIT} bytes, {_FILE_LIMIT} between slashes; give it a shorter name"
        )
    return name


def check_plain(path: Path) -> None:
    """Raises ValueError for what has the name of a list and is no file: a pipe would be waited for without end."""
    if os.path.lexists(path) and not path.is_file():
        raise ValueError(f"{path} is no plain file; remove it or put the list there")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, stripped, after its `file:number`."""
    check_plain(path)
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_LIMIT):
                if len(line) == _LINE_LIMIT:
                    where = f"{path}:{number + 1}"
                    raise ValueError(f"{where}: longer than {_LINE_LIMIT} bytes; this is not a list of images")
                # old Macs end lines with a carriage return alone
                for text in line.decode("utf-8").rstrip("\r\n").split("\r"):
                    number += 1
                    if text := text.strip(_BLANK):
                        yield f"{path}:{number}", text
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; see docs/data.md for where to get or how to build it") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}:{number + 1}: not UTF-8 text; save it as UTF-8") from None


def _parse_line(text: str, where: str, known: dict[str, str]) -> PairLine:
    """A line whose names are checked, and held, once in the whole file: `known` has those that are."""
    stripped = [name.strip(_BLANK) for name in text.split(",")]
    names = [known.get(name) or known.setdefault(name, check_name(name, where)) for name in stripped]
    if len(names) < 2:
        raise ValueError(f"{where}: {names[0]!r} has no source; a line is target,source[,source ...]")
    return PairLine(names[0], tuple(names[1:]))


def unique_names(lines: Sequence[PairLine]) -> list[str]:
    """Every image named in `lines`, sorted, once."""
    return sorted({name for line in lines for name in (line.target, *line.sources)})
