"""`scripts.check_data` finds what loses weeks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.checks import check_order
from data.openpose import pose_file, write_keypoints
from data.pairs import PairLine, write_pairs
from scripts import check_data
from tests.data.conftest import NAMES, run_script, standing

BODY_25_FROM_18 = (0, 1, 2, 3, 4, 5, 6, 7, None, 8, 9, 10, 11, 12, 13, 14, 15, 16)
COCO_FROM_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10, None)


def check(tree: Path, *options: object) -> int:
    return run_script(check_data.main, "--root", tree, "--sheet", tree / "sheet.png", *options)


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
