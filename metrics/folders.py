"""Which generated image belongs to which ground truth."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.folders import IMAGE_SUFFIXES, image_files, without_suffix
from metrics import names

STEP_FOLDER = re.compile(r"step_(\d+)")
_NO_RESULTS = ("strips", "animations")  # pictures to look at, which inference.py puts beside the images


@dataclass(frozen=True)
class Matches:
    """Pairs of generated and ground-truth files by name, and what was left over on either side."""

    pairs: dict[str, tuple[Path, Path]]
    sources: dict[str, Path]
    generated_only: list[str]
    ground_truth_only: list[str]


class Index:
    """The images of a folder by name: by equal names first, DeepFashion's in any of their forms after that."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError where there is no image, or two answer to one name."""
        self.folder, self.files = folder, list_images(folder)
        self._exact: dict[str, Path] = {}
        self._plain: dict[str, list[Path]] = {}
        self._deepfashion: dict[names.DeepFashionImage, list[Path]] = {}
        for path in self.files:
            name = self.name(path)
            if (other := self._exact.setdefault(without_suffix(name), path)) != path:
                raise ValueError(f"{path} and {other} answer to one name; keep one of them")
            self._plain.setdefault(names.plain(name), []).append(path)
            for image in names.deepfashion_images(name)[-1:]:
                self._deepfashion.setdefault(image, []).append(path)

    def name(self, path: Path) -> str:
        """A file's path within the folder; accents as one letter, which some systems store as two."""
        return unicodedata.normalize("NFC", path.relative_to(self.folder).as_posix())

    def find(self, wanted: Iterable[str], image: names.DeepFashionImage | None) -> Path | None:
        """The file of the first name that there is one of, else of a DeepFashion image.

        Raises ValueError where several files answer to it.
        """
        stems = [unicodedata.normalize("NFC", stem) for stem in wanted]
        if exact := next((self._exact[stem] for stem in stems if stem in self._exact), None):
            return exact
        found = next((self._plain[key] for key in map(names.plain, stems) if key in self._plain), [])
        found = found or (self._deepfashion.get(image, []) if image else [])
        if len(found) > 1:
            raise ValueError(f"{found[0]} and {found[1]} answer to one name; keep one of them")
        return found[0] if found else None


def list_images(folder: Path) -> list[Path]:
    """Images under a folder, sorted, without steps, strips and animations; raises ValueError where there is none."""
    if not folder.is_dir():
        raise ValueError(f"folder {folder} does not exist; give a folder of images")
    inside = [path for path in image_files(folder) if not _is_beside(path.relative_to(folder))]
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
    """Pair every generated image with its ground truth and, where it is there too, its source.

    Forms, in this order: equal names (whatever the suffix), then `<source>_2_<target>`, `<source>_to_<target>`, both
    with their endings and underscores between, each perhaps with `_vis`, then DeepFashion's names in any form.
    Raises ValueError where two files answer to one name or nothing matches.
    """
    truths, results = Index(ground_truth), Index(generated)
    matches = Matches({}, {}, [], [])
    for path in results.files:
        name = results.name(path)
        images = names.deepfashion_images(name)
        truth = truths.find(names.targets(name), images[-1] if images else None)
        if truth is None:
            matches.generated_only.append(name)
            continue
        matches.pairs[name] = (path, truth)
        if source := truths.find(names.sources(name), images[0] if len(images) > 1 else None):
            matches.sources[name] = source
    if not matches.pairs:
        raise ValueError(
            f"no image of {generated} matches one of {ground_truth}; names must be equal, <source>_2_<target>_vis, or "
            f"<source>_to_<target> (the first: {matches.generated_only[0]})"
        )
    used = {truth for _, truth in matches.pairs.values()} | set(matches.sources.values())
    matches.ground_truth_only.extend(truths.name(path) for path in truths.files if path not in used)
    return matches


def read_image_list(path: Path, folders: Sequence[Path]) -> list[Path]:
    """Files that a list names, one a line: paths from one of the folders, or flattened names of files under them.

    Raises ValueError for a file that is no list, and naming the line whose image is nowhere.
    """
    found: list[Path] = []
    indexes: list[Index] = []
    for number, line in enumerate(_lines(path), 1):
        if not line:
            continue
        image = next((folder / line for folder in folders if (folder / line).is_file()), None)
        if image is None and not indexes:
            indexes = [Index(folder) for folder in folders if folder.is_dir() and image_files(folder)]
        last = next(iter(names.deepfashion_images(line)[-1:]), None)
        image = image or next((hit for index in indexes if (hit := index.find([without_suffix(line)], last))), None)
        if image is None:
            places = ", ".join(map(str, folders))
            raise ValueError(f"{path}:{number}: image {line} is not under {places}; add it or remove the line")
        found.append(image)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give a folder of images or a list of them") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no list of images; give a folder or a text file, a name a line") from None


def _is_beside(path: Path) -> bool:
    return any(STEP_FOLDER.fullmatch(part) or part in _NO_RESULTS for part in path.parts[:-1])
