"""What a file name of the field says: which images a pair is of, whose, and from where they are seen.

DeepFashion's names come as paths (`img/WOMEN/Dresses/id_00000002/02_1_front.jpg`) and flattened in many ways
(`fashionWOMENDressesid0000000202_1front`); all of them hold the same letters and digits. Other names are compared as
they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from images.folders import IMAGE_SUFFIXES, without_suffix

_SEPARATORS = ("_2_", "_to_")
# letters and digits of one DeepFashion image; its eight digits name a person in an outfit
_DEEPFASHION = re.compile(
    r"(?:fashion)?((?:WO)?MEN)([A-Za-z]*?)id(\d{8})(\d{2})(\d)(front|side|back|full|additional|flat)"
)
# `<source>.jpg___<target>.jpg` or with one underscore, as pose transfer's oldest methods name their results
_WITH_ENDINGS = re.compile(rf"(.+?)(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})_{{1,3}}(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class DeepFashionImage:
    """One image of DeepFashion: `sex`, `category`, `identity`, the number of its outfit's photo, `view`."""

    sex: str
    category: str
    identity: str
    outfit: str
    number: str
    view: str


def deepfashion_images(name: str) -> list[DeepFashionImage]:
    """The DeepFashion images that a name speaks of, in its order, in whatever form."""
    return [DeepFashionImage(*found) for found in _DEEPFASHION.findall(re.sub(r"[^0-9A-Za-z]", "", name))]


def plain(name: str) -> str:
    """A name without suffix, `img/` in front and folders: equal for `img/a/b.jpg` and the flattened `a-b.png`."""
    return without_suffix(name).replace("/", "-").removeprefix("img-")


def targets(name: str) -> Iterator[str]:
    """What the target of a pair's name may be called, likeliest first: the name itself, then its second part."""
    stem = without_suffix(name)
    yield stem
    bare = stem.removesuffix("_vis")
    yield without_suffix(bare)
    yield from (without_suffix(second) for _, second in _parts(bare))


def sources(name: str) -> Iterator[str]:
    """What the source of a pair's name may be called."""
    yield from (without_suffix(first) for first, _ in _parts(without_suffix(name).removesuffix("_vis")))


def view_change(name: str) -> str | None:
    """Such as `front -> back`, from a pair's name; None where it does not name two views."""
    images = deepfashion_images(name)
    return f"{images[0].view} -> {images[-1].view}" if len(images) > 1 else None


def sex(name: str) -> str | None:
    """`women` or `men`, from the path or flattened name; None where it says neither."""
    images = deepfashion_images(name)
    return images[-1].sex.lower() if images else None


def _parts(bare: str) -> Iterator[tuple[str, str]]:
    """Every way to cut a pair's name in two."""
    if match := _WITH_ENDINGS.fullmatch(bare):
        yield match[1], match[2]
    for separator in _SEPARATORS:
        for match in re.finditer(re.escape(separator), bare):
            yield bare[: match.start()], bare[match.end() :]
