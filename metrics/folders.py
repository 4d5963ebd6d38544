"""Which generated image belongs to which ground truth, in the naming forms of the field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.folders import IMAGE_SUFFIXES, image_files
from images.names import plain_key

STEP_FOLDER = re.compile(r"step_(\d+)")
_PAIR_SEPARATORS = ("_2_", "_to_")
# whole words: a folder may be called fullbody
_VIEWS = re.compile(r"(?<![A-Za-z])(front|side|back|full|additional)(?![A-Za-z])")
_SEX = re.compile(r"(?<![A-Z])(WO)?MEN(?!U)")


@dataclass(frozen=True)
class Matches:
    """Pairs of generated and ground-truth files by name, and what was left over on either side."""

    pairs: dict[str, tuple[Path, Path]]
    generated_only: list[str]
    ground_truth_only: list[str]


def list_images(folder: Path) -> list[Path]:
    """Images under a folder, sorted, without those of `step_NN` folders; raises ValueError where there is none."""
    if not folder.is_dir():
        raise ValueError(f"folder {folder} does not exist; give a folder of images")
    found = image_files(folder)
    inside = [path for path in found if not any(STEP_FOLDER.fullmatch(part) for part in path.relative_to(folder).parts)]
    if not inside:
        raise ValueError(f"folder {folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); give the folder they are in")
    return inside


def by_png_name(images: Sequence[Path]) -> dict[str, Path]:
    """Files by their names with `.png`, whatever their suffix; raises ValueError where two answer to one name."""
    found: dict[str, Path] = {}
    for path in images:
        if (other := found.setdefault(f"{path.stem}.png", path)) != path:
            raise ValueError(f"{path} and {other} answer to one name; keep one of them")
    return found


def step_folders(folder: Path) -> list[Path]:
    """The folders `step_00`, `step_01`, ... in order; raises ValueError where one between is missing."""
    found = {int(match[1]): path for path in folder.glob("step_*") if (match := STEP_FOLDER.fullmatch(path.name))}
    if sorted(found) != list(range(len(found))):
        missing = min(set(range(max(found))) - set(found))
        raise ValueError(f"{folder} has steps up to {max(found)} but no step_{missing:02d}; generate all steps again")
    return [found[index] for index in range(len(found))]


def match_folders(generated: Path, ground_truth: Path) -> Matches:
    """Pair every generated image with its ground truth.

    Forms, in this order: equal names (whatever the suffix), `<source>_2_<target>_vis`, `<source>_to_<target>`.
    A target is found by its flattened name (`fashionWOMENDressesid0000000202_1front`) or its path
    (`WOMEN/Dresses/id_00000002/02_1_front`). Raises ValueError where two files answer to one name or nothing matches.
    """
    truths = _index(list_images(ground_truth), ground_truth)
    pairs: dict[str, tuple[Path, Path]] = {}
    left: list[str] = []
    used: set[Path] = set()
    for path in list_images(generated):
        name = path.relative_to(generated).as_posix()
        truth = next((truths[key] for key in _candidates(name) if key in truths), None)
        if truth is None:
            left.append(name)
            continue
        pairs[name] = (path, truth)
        used.add(truth)
    if not pairs:
        raise ValueError(
            f"no image of {generated} matches one of {ground_truth}; names must be equal, <source>_2_<target>_vis, or "
            f"<source>_to_<target> (the first: {left[0]})"
        )
    unused = sorted(path.relative_to(ground_truth).as_posix() for path in set(truths.values()) - used)
    return Matches(pairs, left, unused)


def find_sources(names: Iterable[str], folder: Path) -> dict[str, Path]:
    """The source image of each pair name whose source is in a folder."""
    images = _index(list_images(folder), folder)
    found = {name: next((images[key] for key in _source_candidates(name) if key in images), None) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def read_image_list(path: Path, folders: Sequence[Path]) -> list[Path]:
    """Files that a list names, one a line: paths from one of the folders, or flattened names of files under them.

    Raises ValueError naming the line whose image is nowhere.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    index: dict[str, Path] = {}
    found: list[Path] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        direct = next((folder / line for folder in folders if (folder / line).is_file()), None)
        if direct is None and not index:
            index = {key: image for folder in reversed(folders) if folder.is_dir() for key, image in _keys(folder)}
        image = direct or index.get(plain_key(line))
        if image is None:
            places = ", ".join(map(str, folders))
            raise ValueError(f"{path}:{number}: image {line} is not under {places}; add it or remove the line")
        found.append(image)
    return found


def view_change(name: str) -> str | None:
    """Such as `front -> back`, from the views in a pair's name; None where it does not name two."""
    views = _VIEWS.findall(name)
    return f"{views[0]} -> {views[-1]}" if len(views) >= 2 else None


def sex(name: str) -> str | None:
    """`women` or `men`, from the path or flattened name; None where it says neither."""
    found = _SEX.search(name)
    return None if found is None else "women" if found[1] else "men"


def _keys(folder: Path) -> list[tuple[str, Path]]:
    return [(plain_key(path.relative_to(folder).as_posix()), path) for path in image_files(folder)]


def _index(images: Sequence[Path], folder: Path) -> dict[str, Path]:
    index: dict[str, Path] = {}
    for path in images:
        key = plain_key(path.relative_to(folder).as_posix())
        if key in index:
            raise ValueError(f"{path} and {index[key]} answer to one name; keep one of them")
        index[key] = path
    return index


def _candidates(name: str) -> list[str]:
    stem = name.rsplit(".", 1)[0]
    bare = stem.removesuffix("_vis")
    forms = [stem, bare] + [
        bare[position + len(separator) :] for separator in _PAIR_SEPARATORS for position in _positions(bare, separator)
    ]
    return [plain_key(form) for form in forms]


def _source_candidates(name: str) -> list[str]:
    bare = name.rsplit(".", 1)[0].removesuffix("_vis")
    return [plain_key(bare[:position]) for separator in _PAIR_SEPARATORS for position in _positions(bare, separator)]


def _positions(text: str, part: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(part), text)]
