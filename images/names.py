"""What the name of an image says: who is seen, and in which clothes.

Datasets write one thing in several forms, which are read alike: `img/WOMEN/Dresses/id_00000002/02_1_front.jpg`,
`fashionWOMENDressesid0000000202_1front.jpg` (the lists of the field) and `WOMEN-Dresses-id_00000002-02_1_front.jpg` are
one image. `0002_c1s1_000451_03.jpg` is Market-1501's.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from images.folders import without_suffix

# folders that say how a dataset is split, not who is seen
_SPLITS = frozenset(
    {"img", "image", "images", "photos", "train", "training", "test", "testing", "val", "valid", "validation", "all",
     "query", "gallery", "bounding_box_train", "bounding_box_test", "gt_bbox"}
)  # fmt: skip
# what cameras and lists put before a number: the number tells one from another
_COMMON_WORDS = frozenset(
    {"img", "image", "dsc", "dscn", "dscf", "pxl", "photo", "picture", "pic", "frame", "scan", "screenshot", "id",
     "person", "people", "man", "woman", "model", "subject", "fashion"}
)  # fmt: skip
_NESTED = re.compile(r"(?:(?P<folders>.+)/)?id_?(?P<number>\d+)/(?P<file>[^/]+)")
_FLAT = re.compile(r"(?:.+/)?(?P<folders>[A-Za-z][A-Za-z_-]*?)[-_]?id_?(?P<number>\d{8})[-_]?(?P<file>\d{2}_[^/]+)")
_MARKET = re.compile(r"(?:.+/)?(?P<number>-1|\d{4})_c\d(?!\d)[^/]*")
# Market-1501's detections of nobody, and its passers-by of whom no second image is known
_NOBODY = ("-1", "0000")
# DeepFashion's category, after whatever folders the dataset lies in
_CATEGORY = re.compile(r"(?:.*?[^A-Z])??(?P<category>(?:WO)?MEN[A-Z/_-].*)", re.DOTALL)
_PLAIN_DEEPFASHION = re.compile(r".*?((?:WO)?MEN[A-Za-z]*id\d{10}.*)")


class ImageName(NamedTuple):
    """A name taken apart: who, in which of that person's outfits ("": told by none), and the form of output files."""

    person: str
    outfit: str
    flat: str


@lru_cache(1 << 17)
def parse_name(name: str) -> ImageName:
    """What the name of an image says, in whichever form it is written.

    Other names than DeepFashion's and Market-1501's: people are folders, and outfits what stands before the first
    underscore of the file's name; where no folder names a person, that part names the person.
    """
    stem = unicodedata.normalize("NFC", without_suffix(name))
    if match := _NESTED.fullmatch(stem) or _FLAT.fullmatch(stem):
        return _deepfashion(match["folders"] or "", match["number"], match["file"])
    flat = stem.replace("/", "-")
    if match := _MARKET.fullmatch(stem):
        return ImageName(stem if match["number"] in _NOBODY else match["number"], "", flat)
    *folders, file = stem.split("/")
    first, mark, rest = file.partition("_")
    if folders and folders[-1].lower() not in _SPLITS:
        return ImageName("/".join(folders).removeprefix("img/"), first if mark else "", flat)
    if first.lower() in _COMMON_WORDS:
        first = f"{first}_{rest.partition('_')[0]}"
    return ImageName(first, "", flat)


def person_of(name: str) -> str:
    """Who is seen: equal for all images of one person, in whatever form their names are written."""
    return parse_name(name).person


def outfit_of(name: str) -> tuple[str, str]:
    """Who is seen and in which clothes: images for which this is equal may be paired."""
    return parse_name(name)[:2]


def dataset_of(name: str) -> str:
    """Whose form a name has: `deepfashion`, `market`, or "" for none of them."""
    stem = without_suffix(name)
    if _NESTED.fullmatch(stem) or _FLAT.fullmatch(stem):
        return "deepfashion"
    return "market" if _MARKET.fullmatch(stem) else ""


def image_key(name: str) -> str:
    """Equal for all forms of one image's name: DeepFashion's, and of others without suffix and leading `img/`."""
    stem = unicodedata.normalize("NFC", without_suffix(name)).removeprefix("./").removeprefix("img/")
    if dataset_of(name) != "deepfashion":
        return stem
    # of a whole path, in which other folders may come first
    return _PLAIN_DEEPFASHION.sub(r"\1", "".join(letter for letter in parse_name(name).flat if letter.isalnum()))


def _deepfashion(folders: str, number: str, file: str) -> ImageName:
    found = _CATEGORY.fullmatch(folders)
    category = (found["category"] if found else folders.removeprefix("img/")).replace("/", "").replace("-", "")
    outfit, mark, view = file.partition("_")
    flat = f"fashion{category}id{number}{outfit}{mark}{view.replace('_', '')}"
    return ImageName(f"{category.replace('_', '')}/id_{number}".lstrip("/"), outfit if mark else "", flat)
