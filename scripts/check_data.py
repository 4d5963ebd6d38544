"""Check a dataset before training; exit code 1 when training would go wrong.

python -m scripts.check_data --root dataset/deepfashion [--sheet check.png]
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from config.cli import run
from data.checks import (
    Finding,
    check_counts,
    check_image,
    check_joints,
    check_lines,
    check_names,
    read_joints,
    summarise,
)
from data.frames import frame_text, keypoint_frame, parse_frame
from data.layouts import LAYOUTS
from data.lists import listed_names
from data.pairs import PairLine, read_list, read_pairs, unique_names
from data.sheet import contact_sheet
from images.writing import write_image


def main() -> int:
    arguments = parse()
    root, layout = Path(arguments.root), LAYOUTS[arguments.layout]
    lines = {split: _lines(root / f"{split}_pairs.txt") for split in ("train", "test")}
    if not any(lines.values()):
        raise ValueError(f"{root} has neither train_pairs.txt nor test_pairs.txt; run python -m scripts.make_pairs")
    names = unique_names([line for split in lines.values() for line in split])
    findings = check_counts(_counts(root, lines)) + check_lines(lines["train"], lines["test"], arguments.across_people)
    findings += check_names(root, listed_names(root)) + check_images(root, names, arguments)
    joints, wrong = read_joints(root, tqdm(names, unit="pose", desc="keypoints"))
    fix = f"See docs/data.md; they are expected below {root / 'pose'}."
    findings += summarise("error", "images of pairs without readable keypoints", wrong.values(), fix)
    frame = keypoint_frame(root, layout.frame, arguments.frame)
    findings += [Finding("info", f"keypoints are pixels of the frame {frame_text(frame)} (H-W+LEFT)")]
    findings += check_joints(joints, frame)
    write_image(arguments.sheet, contact_sheet(root, layout, frame, joints, arguments.seed))
    return report(findings, arguments.sheet)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, help="folder with img/, pose/ and the pairs files")
    parser.add_argument("--layout", choices=LAYOUTS, default="deepfashion", help="what the image files are")
    parser.add_argument("--frame", type=parse_frame, metavar="H-W+LEFT", help="the image that keypoints are pixels of")
    parser.add_argument("--sheet", default="check_data.png", help="contact sheet: random images, skeletons drawn over")
    parser.add_argument("--decode", type=int, default=1000, help="images to decode whole; of the others the header")
    parser.add_argument("--across_people", action="store_true", help="pairs of two people are meant")
    parser.add_argument("--seed", type=int, default=0, help="which images are decoded and shown")
    return parser.parse_args()


def check_images(root: Path, names: list[str], arguments: argparse.Namespace) -> list[Finding]:
    """Missing, damaged, low-resolution and wrongly sized images."""
    layout = LAYOUTS[arguments.layout]
    decoded = set(random.Random(arguments.seed).sample(names, min(arguments.decode, len(names))))
    bad, low = [], []
    sizes: Counter[tuple[int, int]] = Counter()
    for name in tqdm(names, unit="image", desc="images"):
        error, size, note = check_image(root, name, name in decoded)
        if error:
            bad.append(error)
        else:
            sizes[size] += 1
            low += [name] if note else []
    findings = summarise("error", "images missing or damaged", bad, "Unpack or copy them again.")
    if layout.image_size is None:
        fix = "Use img_highres.zip, or --layout deepfashion_lowres throughout; the mix-up ruins scores."
        findings += summarise("error", "images are the low-resolution 256x256 version", low, fix)
    else:
        others = [f"{height}x{width}" for height, width in sizes if (height, width) != layout.image_size]
        findings += summarise("error", "image sizes that this layout does not have", others, "Is --layout right?")
    common = ", ".join(f"{height}x{width} ({count})" for (height, width), count in sizes.most_common(4))
    return [*findings, Finding("info", f"image sizes (HxW): {common or 'none'}")]


def report(findings: Sequence[Finding], sheet: str) -> int:
    """Write what was found, the worst last; the exit code."""
    for level in ("info", "warning", "error"):
        for finding in findings:
            if finding.level == level:
                sys.stdout.write(f"{level:8s}{finding.text}\n")
    errors = sum(finding.level == "error" for finding in findings)
    sys.stdout.write(f"look at {sheet}: do the skeletons lie on the people?\n")
    verdict = f"training would go wrong: mend the {errors} errors above" if errors else "ready for scripts.prepare_data"
    sys.stdout.write(f"{verdict}\n")
    return 1 if errors else 0


def _lines(path: Path) -> list[PairLine]:
    return read_pairs(path) if path.is_file() else []


def _counts(root: Path, lines: dict[str, list[PairLine]]) -> dict[str, int]:
    counts = {file: len(read_list(root / file)) for file in ("train.lst", "test.lst") if (root / file).is_file()}
    counts["train lines"] = len(lines["train"])
    return counts | {f"{split} pairs": sum(len(line.sources) for line in lines[split]) for split in lines}


if __name__ == "__main__":
    sys.exit(run(main))
