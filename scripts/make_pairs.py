"""Write the pairs files of a dataset by the pair rule.

    python -m scripts.make_pairs --root DIR

All ordered pairs of images of one person and outfit in which both shoulders and both hips are found. Who is seen, and
in which clothes, is read from the names (docs/data.md, The pair rule). A line is the target, then all its sources; a
line for testing has one source. A split without a pair gets no file, and is told.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config.cli import Parser, run
from data.importers import read_pairs_csv
from data.lists import check_listed, find_images, read_lists
from data.openpose import pose_file, read_keypoints
from data.pairs import PairLine, across_people, build_pairs, check_distinct, has_torso, write_pairs
from images.names import person_of

_LOG = logging.getLogger("make_pairs")
SPLITS = ("train", "test")
Lines = dict[str, list[PairLine]]


def main() -> int:
    arguments = parse()
    root = Path(arguments.root)
    if arguments.csv:
        lines = lines_of_csvs(arguments.csv, arguments.across_people)
    elif arguments.every:
        lines = lines_of_every_pair(root)
    else:
        lines = lines_by_rule(root, arguments.test_every)
    write(root, lines, arguments.overwrite)
    return 0


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with img/ and pose/, and train.lst and test.lst if any")
    parser.add_argument("--test_every", type=int, default=10, help="without lists: every n-th person is for testing")
    parser.add_argument("--every", action="store_true", help="test_pairs.txt of every image in every pose")
    parser.add_argument(
        "--csv",
        nargs="+",
        metavar="FILE",
        help="take pairs from from,to files; a name with `train` or `test` says which, else training comes first",
    )
    parser.add_argument("--across_people", action="store_true", help="allow pairs of two people in --csv")
    parser.add_argument("--overwrite", action="store_true", help="replace pairs files that exist")
    return parser.parse_args()


def write(root: Path, lines: Lines, overwrite: bool) -> None:
    """Write the pairs file of each split, or remove that of one that has no pairs, and tell what is where."""
    files = {split: root / f"{split}_pairs.txt" for split in lines}
    for file in files.values():
        if file.exists() and not overwrite:
            raise ValueError(f"{file} exists; give --overwrite to replace it")
    for split, file in files.items():
        if not lines[split]:
            file.unlink(missing_ok=True)
            _LOG.info("%s is not written: there are no pairs for it", file)
            continue
        write_pairs(file, lines[split])
        pairs, people = (
            sum(len(line.sources) for line in lines[split]),
            {person_of(line.target) for line in lines[split]},
        )
        _LOG.info("%s: %d lines, %d pairs of %d people", file, len(lines[split]), pairs, len(people))


def lines_of_every_pair(root: Path) -> Lines:
    """Every image in every other's pose, for testing; raises ValueError for a single image."""
    names = find_images(root)
    if len(names) < 2:
        raise ValueError(f"{root} holds one image, {names[0]}: a pair needs two; add another")
    return {"test": [PairLine(target, (source,)) for source, target in itertools.permutations(names, 2)]}


def lines_by_rule(root: Path, test_every: int) -> Lines:
    """Lines of each split by the pair rule; raises ValueError where it gives none, with the reason."""
    splits = {file.removesuffix(".lst"): names for file, names in read_lists(root).items()}
    names = sorted({name for members in splits.values() for name in members}) if splits else find_images(root)
    check_listed(root, names)
    joints = read_all_joints(root, names)
    if splits:
        lines = {split: build_pairs({name: joints[name] for name in members if name in joints})
                 for split, members in splits.items()}  # fmt: skip
    else:
        lines = split_people(build_pairs(joints), test_every)
    if not any(lines.values()):
        raise ValueError(why_no_pairs(root, names, joints))
    lines["test"] = [PairLine(line.target, (source,)) for line in lines.get("test", []) for source in line.sources]
    return lines


def read_all_joints(root: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Joints of the images that have a keypoint file: others take no part."""
    files = {name: pose_file(root, name) for name in names}
    return {name: read_keypoints(file) for name, file in tqdm(files.items(), unit="pose")
            if os.path.lexists(file)}  # fmt: skip


def split_people(lines: list[PairLine], test_every: int) -> Lines:
    """Every `test_every`-th of the people who have pairs, the first one first, is for testing; of one person nobody."""
    people = sorted({person_of(line.target) for line in lines})
    test = set(people[:: max(test_every, 1)]) if len(people) > 1 else set()
    splits: Lines = {split: [] for split in SPLITS}
    for line in lines:
        splits["test" if person_of(line.target) in test else "train"].append(line)
    return splits


def why_no_pairs(root: Path, names: list[str], joints: dict[str, np.ndarray]) -> str:
    """One line that says why the rule gives no pair, and what helps."""
    every = "--every pairs every image with every other for drawing"
    if not joints:
        return (
            f"none of the {len(names)} images has a keypoint file in {root / 'pose'}; make them with "
            f"scripts.extract_pose or scripts.import_poses; {every}"
        )
    whole = [name for name in joints if has_torso(joints[name])]
    people = len({person_of(name) for name in whole})
    return (
        f"no pairs: of {len(names)} images {len(joints)} have keypoints and {len(whole)} of these show both shoulders "
        f"and hips, of {people} people (by name, e.g. {person_of(names[0])!r}), no two of one person and outfit; "
        f"name images of one person alike (docs/data.md, The pair rule); {every}"
    )


def lines_of_csvs(files: list[str], allow_across: bool) -> Lines:
    """Lines of from,to files; in training the sources of a target come together."""
    lines = {split: _lines_of_csv(file, split) for split, file in splits_of_csvs(files).items()}
    for split, split_lines in lines.items():
        names = sorted({name for line in split_lines for name in (line.target, *line.sources)})
        check_distinct(names, split)
        crossing = [] if allow_across else across_people(split_lines)
        if crossing:
            raise ValueError(
                f"{len(crossing)} {split} pairs join two people, the first {crossing[0]}; "
                "mend the file, or give --across_people if that is meant"
            )
    return lines


def splits_of_csvs(files: list[str]) -> dict[str, str]:
    """Which file is for which split; raises ValueError where two are for one."""
    splits: dict[str, str] = {}
    for file, by_place in itertools.zip_longest(files, SPLITS):
        if file is None:
            continue
        named = [split for split in SPLITS if split in Path(file).stem.lower()]
        split = named[0] if len(named) == 1 else by_place
        if split is None or split in splits:
            raise ValueError(
                f"--csv: {file} and {splits.get(split or 'train')} would both be for {split or 'one split'}; "
                "give one file for training and one for testing, with `train` and `test` in their names"
            )
        splits[split] = file
    return splits


def _lines_of_csv(file: str, split: str) -> list[PairLine]:
    pairs = [(f"img/{source.removeprefix('img/')}", f"img/{target.removeprefix('img/')}")
             for source, target in read_pairs_csv(file)]  # fmt: skip
    if split == "test":
        return [PairLine(target, (source,)) for source, target in pairs]
    sources: dict[str, list[str]] = {}
    for source, target in pairs:
        sources.setdefault(target, []).append(source)
    return [PairLine(target, tuple(names)) for target, names in sources.items()]


if __name__ == "__main__":
    sys.exit(run(main))
