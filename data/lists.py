"""The lists and pairs files of a dataset folder, and the image files that they name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from data.pairs import PairLine, check_distinct, check_name, check_plain, read_list, read_pairs, unique_names
from images.folders import IMAGE_SUFFIXES, image_files
from images.names import image_key

LISTS, PAIRS = ("train.lst", "test.lst"), ("train_pairs.txt", "test_pairs.txt")


def find_images(root: Path) -> list[str]:
    """Names of all images below `root`/img, or below `root` where it has no such folder.

    Raises:
        ValueError: there is none, a name is unfit for lists and stores, or two would be one image.
    """
    folder = root / "img" if (root / "img").is_dir() else root
    names = [check_name(path.relative_to(root).as_posix(), str(folder)) for path in image_files(folder)]
    if not names:
        raise ValueError(
            f"{folder} holds no images and no lists of images ({', '.join(IMAGE_SUFFIXES)}); "
            "--root is the folder that contains img/"
        )
    check_distinct(names, str(folder))
    return names


def listed_names(root: Path) -> dict[str, list[str]]:
    """The image names in each list and pairs file that `root` has, by the file's name."""
    return read_lists(root) | {file: unique_names(lines) for file, lines in read_splits(root).items()}


def read_lists(root: Path) -> dict[str, list[str]]:
    """The names in each list that `root` has, by the file's name; one without a line is none."""
    return {file: read_list(root / file) for file in LISTS if _has_text(root / file)}


def read_splits(root: Path) -> dict[str, list[PairLine]]:
    """The lines of each pairs file that `root` has, by the file's name; one without a line is none."""
    return {file: read_pairs(root / file) for file in PAIRS if _has_text(root / file)}


def other_names(root: Path, names: Iterable[str]) -> dict[str, str]:
    """For listed images that are not there, the one file that is the same image under another form of the name."""
    missing = [name for name in names if not (root / name).is_file()]
    folder = root / "img" if (root / "img").is_dir() else root
    files: dict[str, list[str]] = {}
    for path in image_files(folder) if missing else ():
        file = path.relative_to(root).as_posix()
        files.setdefault(image_key(file), []).append(file)
    found = {name: files.get(image_key(name), []) for name in missing}
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def check_listed(root: Path, names: Iterable[str]) -> None:
    """Raises ValueError where listed images lie under other names, or where two would be one image."""
    names = sorted(set(names))
    if others := other_names(root, names):
        name, file = next(iter(others.items()))
        raise ValueError(
            f"{root}: {len(others)} images of the lists lie there under other names, the first, {name}, as {file}; "
            f"run python -m scripts.check_data --root {root} --fix, which writes the files' names into the lists"
        )
    check_distinct(names, str(root))


def _has_text(path: Path) -> bool:
    """Whether a file is there with a line in it; raises ValueError for what has its name and is no file."""
    check_plain(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(file.read(1000).strip())
