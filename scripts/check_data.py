"""Check a dataset before training; exit code 1 when training would go wrong.

    python -m scripts.check_data --root dataset/deepfashion [--layout market] [--fix]

Writes a contact sheet (`check_data.png`) and a page (`check_data.html`) with the sheet, the counts, and every finding,
the worst first, with what it would do to training and the command that mends it.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from config.cli import Parser, picture_path, run
from data.checks import (
    STOPS,
    Finding,
    check_counts,
    check_images,
    check_joints,
    check_lines,
    check_names,
    check_targets,
    look_at_image,
    ranked,
    read_joints,
    summarise,
)
from data.frames import frame_text, keypoint_frame, parse_frame
from data.layouts import LAYOUTS
from data.lists import LISTS, PAIRS, listed_names, read_splits
from data.mending import mend_lists
from data.openpose import Frame
from data.pairs import PairLine, unique_names
from data.sheet import contact_sheet
from images.names import dataset_of
from images.pixels import Pixels
from images.writing import write_image, write_text
from metrics.html import image_address, render

_LOG = logging.getLogger("check_data")


class Examination(NamedTuple):
    """What was found, the joints by image, and the frame that they are read in."""

    findings: list[Finding]
    joints: dict[str, np.ndarray]
    frame: Frame


def main() -> int:
    arguments = parse()
    root = Path(arguments.root)
    for text in mend_lists(root) if arguments.fix else []:
        _LOG.info("mended %s", text)
    examination = examine(root, arguments)
    sheet = contact_sheet(root, LAYOUTS[arguments.layout], examination.frame, examination.joints, arguments.seed)
    findings = [named(finding, root) for finding in ranked(examination.findings)]
    write_image(arguments.output, sheet)
    page = arguments.output.with_suffix(".html")
    write_text(page, doctors_page(root, findings, sheet))
    return report(findings, arguments.output, page)


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with img/, pose/ and the pairs files")
    parser.add_argument("--layout", choices=LAYOUTS, default="deepfashion", help="what the image files are")
    parser.add_argument("--frame", type=parse_frame, metavar="H-W+LEFT", help="the image that keypoints are pixels of")
    parser.add_argument(
        "--output",
        type=picture_path,
        default="check_data.png",
        help="contact sheet: random images, skeletons drawn over; the page lies beside it, as .html",
    )
    parser.add_argument("--decode", type=int, default=1000, help="images to decode whole; of the others the header")
    parser.add_argument("--across_people", action="store_true", help="pairs of two people are meant")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="first mend what is safe: names, copies of lines, pairs with oneself",
    )
    parser.add_argument("--seed", type=int, default=0, help="which images are decoded and shown")
    return parser.parse_args()


def examine(root: Path, arguments: argparse.Namespace) -> Examination:
    """All checks; raises ValueError where there is no pairs file to check."""
    splits = read_splits(root)
    if not splits:
        raise ValueError(f"{root} has neither {' nor '.join(PAIRS)}; run python -m scripts.make_pairs --root {root}")
    train, test = (splits.get(file, []) for file in PAIRS)
    names, listed = unique_names([*train, *test]), listed_names(root)
    every = sorted({name for file in listed.values() for name in file})
    layout = LAYOUTS[arguments.layout]
    is_deepfashion = arguments.layout != "market" and dataset_of(names[0]) == "deepfashion"
    findings = check_counts(_counts(listed, train, test), is_deepfashion)
    if not train:
        text = "no lines for training: they can be drawn and scored alone"
        fix = f"python -m scripts.make_pairs --root {root} --overwrite, unless that is meant."
        findings.append(Finding("warning", text, fix, STOPS))
    findings += check_lines(train, test, arguments.across_people) + check_names(root, listed)
    decoded = set(random.Random(arguments.seed).sample(every, min(max(arguments.decode, 0), len(every))))
    images = tqdm(every, unit="image", desc="images")
    findings += check_images({name: look_at_image(root / name, name in decoded) for name in images}, layout)
    joints, wrong = read_joints(root, tqdm(names, unit="pose", desc="keypoints"))
    fix = f"Make them with scripts.extract_pose or scripts.import_poses; they are expected below {root / 'pose'}."
    findings += summarise("error", "images of pairs without readable keypoints", wrong.values(), fix, STOPS)
    frame = keypoint_frame(root, layout.frame, arguments.frame)
    findings += [Finding("info", f"keypoints are read in the frame {frame_text(frame)} (H-W+LEFT)")]
    findings += check_joints(joints, frame)
    findings += check_targets(train, joints, "train") + check_targets(test, joints, "test")
    return Examination(findings, joints, frame)


def named(finding: Finding, root: Path) -> Finding:
    """A finding whose command names the dataset."""
    return finding._replace(
        fix=finding.fix.replace("--root ROOT", f"--root {root}").replace("--output ROOT", f"--output {root}")
    )


def doctors_page(root: Path, findings: Sequence[Finding], sheet: Pixels) -> str:
    """One page, in one file: what is wrong, the worst first, with what it does and what mends it; counts; the sheet."""
    wrong = [finding for finding in findings if finding.level != "info"]
    rows = [(finding.level, finding.text, finding.effect, finding.fix) for finding in wrong]
    return render(
        "check.html",
        title=f"The data in {root}",
        subtitle="python -m scripts.check_data",
        verdict=verdict(findings),
        rows=rows,
        counts=[finding.text for finding in findings if finding.level == "info"],
        sheet=image_address(sheet, lossless=False),
    )


def report(findings: Sequence[Finding], sheet: Path, page: Path) -> int:
    """Write what was found, the worst last; the exit code."""
    for finding in reversed(findings):
        sys.stdout.write(f"{finding.level:8s}{finding.text}{'. ' if finding.fix else ''}{finding.fix}\n")
    sys.stdout.write(f"look at {sheet}: do the skeletons lie on the people? All of this as a page: {page}\n")
    sys.stdout.write(f"{verdict(findings)}\n")
    return 1 if any(finding.level == "error" for finding in findings) else 0


def verdict(findings: Sequence[Finding]) -> str:
    """What it comes to, in one line."""
    errors = sum(finding.level == "error" for finding in findings)
    return f"training would go wrong: mend the {errors} errors" if errors else "ready for scripts.prepare_data"


def _counts(listed: dict[str, list[str]], train: list[PairLine], test: list[PairLine]) -> dict[str, int]:
    counts = {file: len(listed[file]) for file in LISTS if file in listed}
    counts["train lines"] = len(train)
    return counts | {f"{split} pairs": sum(len(line.sources) for line in lines)
                     for split, lines in (("train", train), ("test", test))}  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(main))
