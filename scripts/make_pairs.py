"""Write the pairs files of a dataset by the pair rule.

    python -m scripts.make_pairs --root DIR

All ordered pairs of images of one person and outfit in which both shoulders and both hips are found. Images belong
together if their folder and the part of their file name before the first underscore agree: `id_00000002/02_1_front.jpg`
and `id_00000002/02_3_back.jpg`. A line is the target, then all its sources; a line for testing has one source.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from config.cli import run
from data.importers import read_pairs_csv
from data.openpose import pose_file, read_keypoints
from data.pairs import PairLine, build_pairs, read_list, write_pairs
from images.folders import IMAGE_SUFFIXES, image_files

_LOG = logging.getLogger("make_pairs")


def main() -> int:
    arguments = parse()
    root = Path(arguments.root)
    for split in ("train", "test"):
        if (root / f"{split}_pairs.txt").exists() and not arguments.overwrite:
            raise ValueError(f"{root / f'{split}_pairs.txt'} exists; give --overwrite to replace it")
    if arguments.csv:
        lines = {
            split: lines_of_csv(file, split) for split, file in zip(("train", "test"), arguments.csv, strict=False)
        }
    elif arguments.every:
        names = find_images(root)
        lines = {"test": [PairLine(target, (source,)) for source, target in itertools.permutations(names, 2)]}
    else:
        lines = {split: lines_by_rule(root, names, split) for split, names in split_images(root, arguments).items()}
    for split, split_lines in lines.items():
        write_pairs(root / f"{split}_pairs.txt", split_lines)
        count = sum(len(line.sources) for line in split_lines)
        _LOG.info("%s: %d lines, %d pairs", root / f"{split}_pairs.txt", len(split_lines), count)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with img/ and pose/, and train.lst and test.lst if any")
    parser.add_argument("--test_every", type=int, default=10, help="without lists: every n-th person is for testing")
    parser.add_argument("--every", action="store_true", help="test_pairs.txt of every image in every pose")
    parser.add_argument(
        "--csv", nargs="+", metavar="FILE", help="take pairs from from,to files: training, then testing"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace pairs files that exist")
    return parser.parse_args()


def find_images(root: Path) -> list[str]:
    """Names of all images below `root`/img."""
    found = image_files(root / "img")
    if not found:
        raise ValueError(f"{root / 'img'} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return sorted(path.relative_to(root).as_posix() for path in found)


def split_images(root: Path, arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Images of each split: of the lists in `root` if there are any, else by person."""
    lists = {split: root / f"{split}.lst" for split in ("train", "test") if (root / f"{split}.lst").is_file()}
    if lists:
        return {split: read_list(path) for split, path in lists.items()}
    names = find_images(root)
    people = sorted({person_of(name) for name in names})
    test = set(people[:: max(arguments.test_every, 1)]) if len(people) > 1 else set()
    splits: dict[str, list[str]] = {"train": [], "test": []}
    for name in names:
        splits["test" if person_of(name) in test else "train"].append(name)
    return splits


def person_of(name: str) -> str:
    """Who is seen: the folder, or in a flat dataset the file name's part before the first underscore."""
    path = PurePosixPath(name)
    return str(path.parent) if len(path.parts) > 2 else path.stem.partition("_")[0]


def lines_by_rule(root: Path, names: Iterable[str], split: str) -> list[PairLine]:
    """Pairs by the rule; images without a keypoint file take no part."""
    joints: dict[str, np.ndarray] = {}
    for name in tqdm(list(names), unit="image", desc=split):
        path = pose_file(root, name)
        if path.is_file():
            joints[name] = read_keypoints(path)
    if not joints:
        raise ValueError(f"none of the {split} images has a keypoint file in {root / 'pose'}; see scripts.extract_pose")
    lines = build_pairs(joints)
    return lines if split == "train" else [PairLine(line.target, (name,)) for line in lines for name in line.sources]


def lines_of_csv(file: str, split: str) -> list[PairLine]:
    """Lines of a from,to file; in training the sources of a target come together."""
    pairs = [(f"img/{source}", f"img/{target}") for source, target in read_pairs_csv(file)]
    if split == "test":
        return [PairLine(target, (source,)) for source, target in pairs]
    sources: dict[str, list[str]] = {}
    for source, target in pairs:
        sources.setdefault(target, []).append(source)
    return [PairLine(target, tuple(names)) for target, names in sources.items()]


if __name__ == "__main__":
    sys.exit(run(main))
