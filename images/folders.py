"""Which files of a folder are images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# copies and thumbnails that file servers and archives leave beside the images; hidden ones begin with a dot
_LITTER = ("@eaDir", "__MACOSX")


def is_image_name(name: str) -> bool:
    """Whether a file name ends as an image's does, in letters of any case, and is not hidden."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def without_suffix(name: str) -> str:
    """A name without the suffix of an image, where it has one."""
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def image_files(folder: str | Path) -> list[Path]:
    """Every image file under a folder, sorted; a missing folder has none.

    Left out are hidden files and folders, `@eaDir`, `__MACOSX`, and what is no regular file. A linked folder is
    followed where it leads out of `folder`, each such place once: what lies inside has its own name already, and a
    place that holds `folder` would hold everything again.
    """
    root = Path(folder)
    return sorted(_walk(root, os.path.realpath(root), set()))


def _walk(folder: Path, root: str, seen: set[str]) -> Iterator[Path]:
    place = os.path.realpath(folder)
    if place in seen or not os.path.isdir(place):
        return
    seen.add(place)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name in _LITTER:
            continue
        # not the entry itself, which raises an error for a link to itself
        if os.path.isdir(entry):
            if not entry.is_symlink() or _leads_out(entry.path, root):
                yield from _walk(folder / entry.name, root, seen)
        elif is_image_name(entry.name) and os.path.isfile(entry):
            yield folder / entry.name


def _leads_out(link: str, root: str) -> bool:
    place = os.path.realpath(link)
    return os.path.commonpath((place, root)) not in (place, root)
