"""`scripts.check_data` finds what loses weeks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.checks import check_order
from data.openpose import pose_file, write_keypoints
from data.pairs import PairLine, read_pairs, write_pairs
from scripts import check_data
from tests.data.conftest import NAMES, run_script, standing
from tests.data.test_names import write_images

BODY_25_FROM_18 = (0, 1, 2, 3, 4, 5, 6, 7, None, 8, 9, 10, 11, 12, 13, 14, 15, 16)
COCO_FROM_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10, None)


def check(tree: Path, *options: object) -> int:
    return run_script(check_data.main, "--root", tree, "--output", tree / "sheet.png", *options)


def people(count: int = 30) -> np.ndarray:
    return standing() + np.random.default_rng(0).normal(0, 3, (count, 18, 2))


def test_a_sound_dataset_passes_and_is_drawn(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tree) == 0
    text = capsys.readouterr().out
    assert "ready for scripts.prepare_data" in text and "train lines: 6" in text
    assert "test pairs: 3 (DeepFashion as published: 8570)" in text
    assert Image.open(tree / "sheet.png").size == (8 * 176, 3 * 256)


def test_missing_damaged_and_low_resolution_images_are_errors(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / NAMES[0]).unlink()
    (tree / NAMES[1]).write_bytes(b"no image")
    wide = np.full((256, 256, 3), 255, np.uint8)
    wide[:, 40:216] = 90
    Image.fromarray(wide).save(tree / NAMES[2])
    assert check(tree) == 1
    text = capsys.readouterr().out
    assert "2 images missing or damaged" in text and NAMES[0] in text
    assert f"1 images are the low-resolution 256x256 version: {NAMES[2]}" in text


def test_leaked_people_self_pairs_and_copies_are_found(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = PairLine(NAMES[0], (NAMES[1],))
    write_pairs(tree / "train_pairs.txt", [line, line, PairLine(NAMES[3], (NAMES[3],))])
    write_pairs(tree / "test_pairs.txt", [PairLine(NAMES[1], (NAMES[0],))])
    assert check(tree) == 1
    text = capsys.readouterr().out
    assert "1 people both in training and in testing" in text
    assert "1 train images paired with themselves" in text and "1 train lines that repeat" in text


def test_unreadable_keypoints_and_joints_out_of_frame_are_found(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pose_file(tree, NAMES[0]).write_text("1 2\n")
    assert check(tree) == 1
    assert "1 images of pairs without readable keypoints" in capsys.readouterr().out
    for name in NAMES:
        write_keypoints(pose_file(tree, name), standing() * 4)
    assert check(tree) == 1
    assert "9 images with joints out of frame" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "order"), [("BODY_25", BODY_25_FROM_18), ("COCO-17", COCO_FROM_18)])
def test_another_joint_order_is_recognised(name: str, order: tuple[int | None, ...]) -> None:
    joints = people()
    middle_hip = joints[:, [8, 11]].mean(axis=1)
    moved = np.stack([middle_hip if place is None else joints[:, place] for place in order], axis=1)
    assert check_order(joints) == []
    assert f"look like {name}" in check_order(moved)[0].text


def test_swapped_sides_and_swapped_axes_are_recognised() -> None:
    mirrored = people() * (-1, 1) + (256, 0)
    assert "left and right look swapped" in check_order(mirrored)[0].text
    assert "y before x" in check_order(people()[..., ::-1])[0].text


def test_a_folder_without_pairs_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scripts\.make_pairs"):
        check(tmp_path)


def test_the_page_ranks_what_was_found_and_names_the_commands(tree: Path) -> None:
    line = PairLine(NAMES[0], (NAMES[1],))
    write_pairs(
        tree / "train_pairs.txt", [line, line, PairLine(NAMES[0], (NAMES[3],)), PairLine(NAMES[6], (NAMES[7],))]
    )
    (tree / NAMES[3]).unlink()
    joints = np.full((18, 2), np.nan)
    write_keypoints(pose_file(tree, NAMES[6]), joints)
    assert check(tree) == 1
    page = (tree / "sheet.html").read_text()
    order = ["1 train pairs join two people", "1 people both in training and in testing", "1 images missing or damaged",
             "1 train lines that repeat", "1 train lines whose target has no joint"]  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert f"python -m scripts.make_pairs --root {tree} --overwrite" in page
    assert f"python -m scripts.check_data --root {tree} --fix" in page
    assert (
        "the network would learn something else than is meant" in page and "training would go wrong: mend the 3" in page
    )
    assert "data:image/" in page and "http" not in page.replace("http://www.w3.org", ""), "it loads nothing"


def test_fix_mends_what_is_safe_and_keeps_copies(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = "img/fashionWOMENDressesid0000000101_1front.jpg"
    line = PairLine(flat, (NAMES[1], NAMES[0]))
    write_pairs(
        tree / "train_pairs.txt", [line, line, PairLine(NAMES[1], (NAMES[1],)), PairLine(NAMES[1], (NAMES[2],))]
    )
    (tree / "train.lst").write_text(f"{flat}\n{NAMES[1]}\n{NAMES[1]}\n")
    before = (tree / "train_pairs.txt").read_text()
    assert check(tree) == 1
    assert check(tree, "--fix") == 0
    assert read_pairs(tree / "train_pairs.txt") == [PairLine(NAMES[0], (NAMES[1],)), PairLine(NAMES[1], (NAMES[2],))]
    assert (tree / "train.lst").read_text() == f"{NAMES[0]}\n{NAMES[1]}\n"
    assert (tree / "train_pairs.txt.before_fix").read_text() == before
    changed = (tree / "train_pairs.txt").stat().st_mtime_ns
    assert check(tree, "--fix") == 0 and (tree / "train_pairs.txt").stat().st_mtime_ns == changed


def test_numbers_of_deepfashion_are_not_shown_for_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_images(tmp_path, ["img/ann_1.jpg", "img/ann_2.jpg"])
    write_pairs(root / "train_pairs.txt", [PairLine("img/ann_1.jpg", ("img/ann_2.jpg",))])
    assert check(root) == 0
    assert "train pairs: 1\n" in capsys.readouterr().out.replace(";", "\n")


def test_images_of_lists_alone_are_looked_at(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "train.lst").write_text("img/nowhere.jpg\n")
    assert check(tree) == 1
    assert "nowhere.jpg does not exist" in capsys.readouterr().out


def test_the_manual_names_each_message() -> None:
    """The words of every error of the data rooms and scripts, up to its first value, stand in docs/data.md."""
    manual = " ".join(Path("docs/data.md").read_text().split())
    for words in (
        "lie there under other names", "would have one name in", "is no image name", "is too long", "has a comma",
        "leaves the dataset folder", "has no source", "pairs join two people", "no pairs: of", "a pair needs two",
        "would both be for", "is not two image names", "holds no images and no lists of images",
        "is damaged or no image",
        "this layout has", "is no plain file", "is no position in an image", "are between 0 and 1",
        "lie outside of the frame", "lie in one corner", "left of the middle", "is no frame", "has no person",
        "a second pose of image", "has no image Y; add it", "does not state", "is there, but", "is being written by",
        "checksum of", "has no maps of", "do not exist", "cannot be read (Too many open files)", "is cut short",
        "start this as a module", "cannot be installed",
    ):  # fmt: skip
        assert words in manual, words
