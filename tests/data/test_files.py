"""Files that are no images of ours, and images of every ending: one walk in all commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from data.checks import has_flat_border
from data.openpose import pose_file, read_keypoints
from data.pairs import read_pairs
from data.store import ImageStore
from scripts import check_data, make_pairs
from tests.data.conftest import NAMES, run_script
from tests.data.test_names import prepare, write_images

OURS = ["img/ann_1.jpg", "img/ann_2.webp", "img/ann_3.bmp", "img/ann_4.PNG", "img/ann_5.tif"]
OTHERS = ["img/.hidden.jpg", "img/._ann_1.jpg", "img/@eaDir/ann_1.jpg", "img/.ipynb_checkpoints/ann_1.jpg",
          "img/__MACOSX/ann_9.jpg"]  # fmt: skip


def test_commands_take_every_image_and_no_litter(tmp_path: Path) -> None:
    root = write_images(tmp_path, OURS + OTHERS)
    os.mkfifo(root / "img" / "pipe.jpg")
    (root / "img" / "folder.jpg").mkdir()
    (root / "img" / "notes.txt").write_text("hello")
    write_images(tmp_path / "elsewhere", ["img/ann_6.jpg"])
    (root / "img" / "ann").symlink_to(tmp_path / "elsewhere" / "img")
    (root / "img" / "loop").symlink_to(root / "img")
    expected = {*OURS, "img/ann/ann_6.jpg"}
    assert prepare(root) == 0
    assert set(ImageStore(root / "16-12").keys()) == {name.rpartition(".")[0] + ".png" for name in expected}
    assert run_script(make_pairs.main, "--root", root, "--every") == 0
    assert {line.target for line in read_pairs(root / "test_pairs.txt")} == expected


def test_a_pipe_in_place_of_keypoints_does_not_hang(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["img/ann_1.jpg", "img/ann_2.jpg"])
    pose_file(root, "img/ann_2.jpg").unlink()
    os.mkfifo(pose_file(root, "img/ann_2.jpg"))
    with pytest.raises(ValueError, match="is no plain file"):
        read_keypoints(pose_file(root, "img/ann_2.jpg"))


def is_a_folder(path: Path) -> None:
    path.mkdir()


def links_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("put", [os.mkfifo, is_a_folder, links_to_itself])
@pytest.mark.parametrize("is_pose", [True, False], ids=["pose", "image"])
def test_what_is_no_file_is_one_bad_image_and_hangs_nothing(
    tree: Path, capsys: pytest.CaptureFixture[str], put: Callable[[Path], None], is_pose: bool
) -> None:
    path = pose_file(tree, NAMES[0]) if is_pose else tree / NAMES[0]
    path.unlink()
    put(path)
    # a process of its own: what waits for a pipe ends with it
    command = [sys.executable, "-m", "scripts.prepare_data", "--root", tree, "--output", tree, "--size", "16-12"]
    ran = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, timeout=60)
    said = f"{path} is no plain file" if is_pose else f"image {path} does not exist"
    assert (ran.returncode, said in ran.stderr, "Errno" in ran.stderr) == (1, True, False)
    assert run_script(check_data.main, "--root", tree, "--output", tree / "s.png") == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("put", [os.mkfifo, is_a_folder, links_to_itself])
@pytest.mark.parametrize("file", ["train.lst", "train_pairs.txt"])
def test_a_list_that_is_no_file_is_not_taken_for_none(tree: Path, put: Callable[[Path], None], file: str) -> None:
    (tree / file).unlink(missing_ok=True)
    put(tree / file)
    for command in (lambda: prepare(tree), lambda: run_script(check_data.main, "--root", tree, "--output", "s.png")):
        with pytest.raises(ValueError, match=f"{file} is no plain file; remove it or put the list there"):
            command()


@pytest.mark.parametrize("put", [os.mkfifo, is_a_folder, links_to_itself])
def test_make_pairs_does_not_pass_over_keypoints_that_are_no_file(tree: Path, put: Callable[[Path], None]) -> None:
    pose_file(tree, NAMES[0]).unlink()
    put(pose_file(tree, NAMES[0]))
    with pytest.raises(ValueError, match="is no plain file; remove it"):
        run_script(make_pairs.main, "--root", tree, "--overwrite")


def test_data_without_a_line_for_training_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "train_pairs.txt").write_text("")
    assert run_script(check_data.main, "--root", tree, "--output", tree / "s.png") == 0
    assert "no lines for training: they can be drawn and scored alone. python -m scripts.make_pairs" in (
        capsys.readouterr().out
    )


def low_resolution(root: Path, name: str, grey: int, quality: int) -> None:
    """A busy picture between flat borders, as a JPEG."""
    picture = Image.effect_noise((176, 256), 90).convert("RGB")
    wide = Image.new("RGB", (256, 256), (grey, grey, grey))
    wide.paste(picture, (40, 0))
    wide.save(root / name, "JPEG", quality=quality)


@pytest.mark.parametrize("grey", [225, 238, 247, 255])
@pytest.mark.parametrize("quality", [60, 95])
def test_the_low_resolution_version_is_known_by_its_flat_columns(
    tree: Path, capsys: pytest.CaptureFixture[str], grey: int, quality: int
) -> None:
    for name in NAMES[:4]:
        low_resolution(tree, name, grey, quality)
    assert run_script(check_data.main, "--root", tree, "--output", tree / "s.png") == 1
    assert "4 images are the low-resolution 256x256 version" in capsys.readouterr().out


def test_pictures_without_a_border_are_not_taken_for_it(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    # a studio's wall: light at the sides, darker towards the floor
    wall = np.repeat(np.linspace(255, 190, 256)[:, None], 256, axis=1)[..., None].repeat(3, axis=2).astype(np.uint8)
    dark = np.zeros((256, 256, 3), np.uint8)
    assert not any(map(has_flat_border, (noise, wall, dark)))


def test_a_layout_with_a_border_is_missed_where_there_is_none(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        low_resolution(tree, name, 240, 95)
    Image.effect_noise((256, 256), 90).convert("RGB").save(tree / NAMES[2])
    arguments = ["--root", tree, "--layout", "deepfashion_lowres", "--output", tree / "s.png"]
    assert run_script(check_data.main, *arguments) == 0
    assert f"1 images without the flat border of this layout: {NAMES[2]}" in capsys.readouterr().out
