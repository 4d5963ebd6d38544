"""What would make training go wrong, found before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.frames import frame_problem, frame_text, off_middle
from data.layouts import LAYOUTS, Layout
from data.lists import other_names
from data.openpose import Frame, pose_file, read_keypoints
from data.pairs import PairLine, across_people, check_distinct
from images.joints import COCO_17, NUM_JOINTS
from images.names import outfit_of, person_of
from images.pixels import Pixels, Size
from images.reading import image_size, read_image, read_pixels

# DeepFashion as published: images of each list, lines of each pairs file
OFFICIAL_COUNTS = {"train.lst": 48_674, "test.lst": 4_038, "train pairs": 101_966, "test pairs": 8_570}
LOW_RESOLUTION = LAYOUTS["deepfashion_lowres"].image_size
_SHOWN = 3
FIX = "python -m scripts.check_data --root ROOT --fix"
# grey levels: deviation within a column of a border, and its mean
_FLAT, _LIGHT = 3, 200
# people are photographed in the middle; one image or two may be otherwise
_OFF_MIDDLE, _ENOUGH = 0.15, 5
# BODY_25 cut after 18 rows, by OpenPose-18 joint: hips and knees are shifted by the middle hip
_BODY_25_ROWS = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 17)
_OTHER_ORDERS: dict[str, tuple[int | None, ...]] = {"BODY_25": _BODY_25_ROWS, "COCO-17": COCO_17}


# what a finding does to training, the worst first
WRONG_LESSON, WRONG_SCORES, STOPS, LESS, NOTHING = EFFECTS = (
    "the network would learn something else than is meant",
    "scores would mean something else than they say",
    "preparing, training or drawing would stop",
    "some images would teach little or nothing",
    "",
)
_LEVELS = ("error", "warning", "info")


class Finding(NamedTuple):
    """Something to know: `error` makes training go wrong, `warning` may, `info` is to read.

    `fix` says what to do, or names the command that does it; `effect` is one of `EFFECTS`.
    """

    level: str
    text: str
    fix: str = ""
    effect: str = NOTHING


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, the worst first: by level, then by effect."""
    return sorted(findings, key=lambda finding: (_LEVELS.index(finding.level), EFFECTS.index(finding.effect)))


def summarise(level: str, what: str, names: Iterable[str], fix: str, effect: str = LESS) -> list[Finding]:
    """One finding for many names: how many, the first few, and what to do."""
    names = list(names)
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [Finding(level, f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}", fix, effect)]


def check_counts(counts: Mapping[str, int], is_deepfashion: bool) -> list[Finding]:
    """Counts, of DeepFashion beside those as published; a difference is no error."""
    texts = []
    for name, count in counts.items():
        official = OFFICIAL_COUNTS.get(name) if is_deepfashion else None
        note = "" if official is None or official == count else f" (DeepFashion as published: {official})"
        texts.append(f"{name}: {count}{note}")
    return [Finding("info", "; ".join(texts))]


def check_names(root: Path, listed: Mapping[str, list[str]]) -> list[Finding]:
    """Lists whose images lie under other names, and images that would be one in a store or in output files."""
    findings = []
    for file, names in listed.items():
        others = [f"{name} (there as {place})" for name, place in other_names(root, names).items()]
        findings += summarise("error", f"images in {file} are there under another name", others, FIX, STOPS)
    try:
        check_distinct(sorted({name for names in listed.values() for name in names}), str(root))
    except ValueError as error:
        findings.append(Finding("error", str(error), "Rename one in its folder and in the lists.", WRONG_LESSON))
    return findings


def check_lines(train: list[PairLine], test: list[PairLine], allow_across: bool = False) -> list[Finding]:
    """Copies of lines, images paired with themselves, pairs of two people (unless asked for), people in both splits."""
    findings = []
    make_pairs = "python -m scripts.make_pairs --root ROOT --overwrite"
    for split, lines in (("train", train), ("test", test)):
        repeated = [line.target for line, count in Counter(lines).items() if count > 1]
        findings += summarise("warning", f"{split} lines that repeat", repeated, FIX, WRONG_SCORES)
        selves = [line.target for line in lines if line.target in line.sources]
        findings += summarise("error", f"{split} images paired with themselves", selves, FIX, WRONG_LESSON)
        crossing = [] if allow_across else across_people(lines)
        fix = f"{make_pairs}; or give --across_people if that is meant."
        findings += summarise("error", f"{split} pairs join two people", crossing, fix, WRONG_LESSON)
        changing = [line.target for line in lines if _changes_clothes(line)]
        fix = f"{make_pairs}, unless that is meant."
        findings += summarise("warning", f"{split} lines join two outfits of a person", changing, fix, WRONG_LESSON)
    several = [line.target for line in test if len(line.sources) > 1]
    fix = "Set data.num_sources to look at more than the first."
    findings += summarise("warning", "test lines of several sources", several, fix, WRONG_SCORES)
    seen = {person_of(name) for line in train for name in (line.target, *line.sources)}
    leaked = sorted({person_of(line.target) for line in test} & seen)
    fix = f"Scores would be too good: take these people out of train.lst or test.lst, then {make_pairs}."
    return findings + summarise("error", "people both in training and in testing", leaked, fix, WRONG_SCORES)


def _changes_clothes(line: PairLine) -> bool:
    person, outfit = outfit_of(line.target)
    return any(outfit_of(name)[0] == person and outfit_of(name)[1] != outfit for name in line.sources)


class ImageLook(NamedTuple):
    """What an image file is: what is wrong with it ("" for nothing), its (H, W), and whether its sides are flat."""

    error: str
    size: Size = (0, 0)
    has_border: bool = False


def look_at_image(path: Path, decode: bool) -> ImageLook:
    """An image file by its header, and by its pixels where it is to be decoded or may have a border."""
    try:
        size = image_size(path)
        if size == LOW_RESOLUTION:
            return ImageLook("", size, has_flat_border(read_pixels(path)))
        return ImageLook("", read_image(path).size[::-1] if decode else size)
    except ValueError as error:
        return ImageLook(str(error))


def check_images(looks: Mapping[str, ImageLook], layout: Layout) -> list[Finding]:
    """Missing, damaged, low-resolution and wrongly sized images, by name."""
    good = {name: look for name, look in looks.items() if not look.error}
    bad = [look.error for look in looks.values() if look.error]
    again = "Unpack or copy them again, or take them out of the lists."
    findings = summarise("error", "images missing or damaged", bad, again, STOPS)
    low = [name for name, look in good.items() if look.has_border]
    if layout.image_size is None:
        fix = "Use img_highres.zip, or --layout deepfashion_lowres throughout; the mix-up ruins scores."
        findings += summarise("error", "images are the low-resolution 256x256 version", low, fix, WRONG_LESSON)
    else:
        others = {_text(look.size) for look in good.values() if look.size != layout.image_size}
        fix = "Give the --layout of these images."
        findings += summarise("error", "image sizes that this layout does not have", sorted(others), fix, STOPS)
    if layout.border:
        without = [name for name, look in good.items() if look.size == layout.image_size and not look.has_border]
        fix = "40 columns at both sides would be cut off: look at them, and at --layout."
        findings += summarise("warning", "images without the flat border of this layout", without, fix, WRONG_LESSON)
    sizes = Counter(_text(look.size) for look in good.values()).most_common(4)
    common = ", ".join(f"{size} ({count})" for size, count in sizes)
    return [*findings, Finding("info", f"image sizes (HxW): {common or 'none'}")]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def has_flat_border(pixels: Pixels, border: int = 40) -> bool:
    """Whether an (H, W, 3) image has columns of one light colour at both sides, as DeepFashion's 256x256 images.

    The innermost 8 of `border` columns do not count: JPEG spreads the picture's edge into them.
    """
    sides = np.concatenate([pixels[:, : border - 8], pixels[:, -(border - 8) :]], axis=1).astype(np.float32)
    return bool((sides.std(axis=0) < _FLAT).mean() > 0.95 and sides.mean() > _LIGHT)


def read_joints(root: Path, names: Iterable[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Joints by image, and what is wrong by image, from keypoint files."""
    joints: dict[str, np.ndarray] = {}
    wrong: dict[str, str] = {}
    for name in names:
        try:
            joints[name] = read_keypoints(pose_file(root, name))
        except ValueError as error:
            wrong[name] = str(error)
    return joints, wrong


def check_joints(joints: Mapping[str, np.ndarray], frame: Frame) -> list[Finding]:
    """Images without joints, joints out of frame, and an order that is not OpenPose-18."""
    if not joints:
        return []
    every = np.stack(list(joints.values()))
    found = np.isfinite(every).all(axis=2)
    empty = float((~found.any(axis=1)).mean())
    share_found = found[found.any(axis=1)].mean() if found.any() else 0.0
    findings = [Finding("info", f"{empty:.0%} of images have no joint; the others have {share_found:.0%} of theirs")]
    if not found.any():
        fix = "python -m scripts.extract_pose PHOTO... --output ROOT, or scripts.import_poses."
        return [Finding("error", "no image has any joint: every row is -1", fix, WRONG_LESSON)]
    return findings + check_frames(joints, frame) + check_order(every)


def check_targets(lines: Iterable[PairLine], joints: Mapping[str, np.ndarray], split: str) -> list[Finding]:
    """Pairs that ask for a pose in which no joint is found."""
    empty = {name for name, points in joints.items() if not np.isfinite(points).all(axis=1).any()}
    names = [line.target for line in lines if line.target in empty]
    return summarise("warning", f"{split} lines whose target has no joint", names, "Take them out of the pairs file.")


def check_frames(joints: Mapping[str, np.ndarray], frame: Frame) -> list[Finding]:
    """Joints that are pixels of another image than the frame says: all, those of single images, and single ones."""
    every = np.stack(list(joints.values()))
    fix = "Look at the sheet; say which image the coordinates are pixels of (--frame; docs/data.md, Frames)."
    problem, off, findings = frame_problem(every, frame), off_middle(every, frame), []
    is_sure = bool(problem) or len(every) >= _ENOUGH
    if not problem and abs(off) > _OFF_MIDDLE:
        side = "right" if off > 0 else "left"
        problem = f"people stand {abs(off):.0%} of the width {side} of the middle of the frame {frame_text(frame)}"
    if problem:
        findings.append(Finding("error" if is_sure else "warning", problem, fix, WRONG_LESSON))
    alone = [name for name, points in joints.items() if frame_problem(points, frame)] if not problem else []
    findings += summarise("warning", "images whose joints look like those of another frame", alone, fix, WRONG_LESSON)
    shares = (every - (frame.left, 0)) / (frame.width, frame.height)
    outside = np.asarray(((shares < 0) | (shares >= 1)).any(axis=2))
    level = "error" if outside.sum() > 0.2 * np.isfinite(every).all(axis=2).sum() else "warning"
    names = [name for name, is_out in zip(joints, np.asarray(outside.any(axis=1)), strict=True) if is_out]
    return findings + summarise(level, f"images with joints out of frame {frame_text(frame)}", names, fix, WRONG_LESSON)


def check_order(joints: np.ndarray) -> list[Finding]:
    """Whether (N, 18, 2) joints stand upright as OpenPose-18 and not as another order, and right is right."""
    as_is = uprightness(joints)
    others = {name: uprightness(_reordered(joints, order)) for name, order in _OTHER_ORDERS.items()}
    others["y before x"] = uprightness(joints[..., ::-1])
    best = max(others, key=lambda name: others[name])
    if others[best] > as_is + 0.2:
        text = f"joints look like {best}, not OpenPose-18 ({others[best]:.0%} against {as_is:.0%} fit)"
        fix = "python -m scripts.import_poses --format FORMAT FILES --output ROOT brings them in as OpenPose-18."
        return [Finding("error", text, fix, WRONG_LESSON)]
    if as_is < 0.5:
        text = f"only {as_is:.0%} of poses stand upright as OpenPose-18"
        return [Finding("warning", text, "Look at the sheet.", WRONG_LESSON)]
    return _check_sides(joints)


def uprightness(joints: np.ndarray) -> float:
    """Share of OpenPose-18 poses (N, 18, 2) with a neck between the shoulders and nose, neck, hips, knees downward.

    Only what is found is asked for; poses without neck, shoulders and hips do not count.
    """
    nose, neck, hips = joints[:, 0], joints[:, 1], (joints[:, 8] + joints[:, 11]) / 2
    shoulders, knees = (joints[:, 2] + joints[:, 5]) / 2, (joints[:, 9] + joints[:, 12]) / 2
    torso = np.linalg.norm(shoulders - hips, axis=1)
    counted = np.isfinite(torso) & np.isfinite(neck).all(axis=1) & (torso > 0)
    if not counted.any():
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        good = np.linalg.norm(neck - shoulders, axis=1) < 0.3 * torso
        good &= ~(nose[:, 1] > neck[:, 1]) & (neck[:, 1] < hips[:, 1]) & ~(knees[:, 1] < hips[:, 1])
        # both hips belong together, well above the knees
        good &= ~(np.linalg.norm(joints[:, 8] - joints[:, 11], axis=1) > 0.8 * torso)
        good &= ~(np.abs(knees[:, 1] - hips[:, 1]) < 0.2 * torso)
    return float(good[counted].mean())


def _check_sides(joints: np.ndarray) -> list[Finding]:
    """In front views, both eyes found, the person's right shoulder is at the picture's left."""
    front = np.isfinite(joints[:, [2, 5, 14, 15]]).all(axis=(1, 2))
    if front.sum() < 5 or (joints[front, 2, 0] < joints[front, 5, 0]).mean() > 0.3:
        return []
    text = "left and right look swapped: in front views the right shoulder is at the picture's right"
    return [Finding("error", text, "Swap the rows of right and left; right is the person's.", WRONG_LESSON)]


def _reordered(joints: np.ndarray, order: tuple[int | None, ...]) -> np.ndarray:
    """What the joints would be if the rows were in another order."""
    moved = joints[:, [place if place is not None else 0 for place in order]]
    if None in order:
        moved[:, 1] = (moved[:, 2] + moved[:, 5]) / 2
    assert moved.shape[1] == NUM_JOINTS
    return moved
