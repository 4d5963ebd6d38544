"""`scripts.prepare_data` end to end."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.openpose import write_keypoints
from data.pairs import PairLine, store_key, write_pairs
from data.store import ImageStore
from scripts import prepare_data
from tests.data.conftest import NAMES, run_script
from tests.tiny import pair_dataset

MAIN = prepare_data.main


def test_images_are_resized_bicubically_without_loss(root: Path) -> None:
    store = ImageStore(root / "64-48", (64, 48))
    assert store.keys() == sorted(map(store_key, NAMES)) and len(store) == len(NAMES)
    plain = Image.open(root / NAMES[4]).convert("RGB").resize((48, 64), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(store.read(store_key(NAMES[4])), np.asarray(plain))


def test_many_sizes_processes_and_the_raw_format_hold_the_same(tree: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--size", "64-48", "32-24", "--format", "raw", "--workers", 2, "--chunksize", 2]
    assert run_script(MAIN, "--root", tree, "--output", out, *options) == 0
    raw, png = ImageStore(out / "64-48", (64, 48)), ImageStore(root / "64-48")
    for key in list(png.keys()):
        np.testing.assert_array_equal(raw.read(key), png.read(key))
        np.testing.assert_array_equal(raw.read_keypoints(key), png.read_keypoints(key))
    assert len(ImageStore(out / "32-24")) == len(NAMES)
    assert (out / "train_pairs.txt").read_bytes() == (tree / "train_pairs.txt").read_bytes()


def test_pixels_are_stored_raw_unless_png_is_asked_for(tree: Path, tmp_path: Path) -> None:
    arguments = ["--root", tree, "--size", "64-48", "--workers", 1]
    assert run_script(MAIN, *arguments, "--output", tmp_path / "a") == 0
    assert run_script(MAIN, *arguments, "--output", tmp_path / "b", "--format", "png") == 0
    raw, png = ImageStore(tmp_path / "a" / "64-48"), ImageStore(tmp_path / "b" / "64-48")
    assert raw.meta and raw.meta.format == "raw" and png.meta and png.meta.format == "png"
    for key in list(raw.keys()):
        assert len(raw.read_bytes(key)) == 64 * 48 * 3 and png.read_bytes(key)[:4] == b"\x89PNG"
        np.testing.assert_array_equal(raw.read(key), png.read(key))


def test_a_disk_too_small_is_said_before_the_work(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 9 images of 64 x 48 x 3 = 9216 bytes: 3 pages of 4096, and one for the rest
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(200_000, 100_000, 9 * 16384 - 1))
    arguments = ["--root", tree, "--output", tmp_path / "out", "--size", "64-48", "--workers", 1]
    with pytest.raises(ValueError, match=r"need 0.0 GB, and .*out has 0.0 GB free; .*--format png"):
        run_script(MAIN, *arguments)
    assert run_script(MAIN, *arguments, "--format", "png") == 0


def test_images_are_committed_by_their_bytes() -> None:
    def outcome(name: str, num_bytes: int) -> prepare_data.Outcome:
        return prepare_data.Outcome(name, values=({name: b"x" * num_bytes},))

    outcomes = [outcome("a", 60), outcome("b", 60), prepare_data.Outcome("c", error="bad"), outcome("d", 30)]
    batches = [[one.name for one in batch] for batch in prepare_data._batched(outcomes, 100)]
    assert batches == [["a", "b"], ["c", "d"]]


def test_a_bad_image_is_named_and_the_store_waits_for_it(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = (tree / NAMES[2]).read_bytes()
    (tree / NAMES[2]).write_bytes(good[:500])
    arguments = ["--root", tree, "--output", tree, "--size", "64-48", "--workers", 1]
    assert run_script(MAIN, *arguments) == 1
    assert f"bad: image {tree / NAMES[2]} is damaged" in capsys.readouterr().err
    assert not (tree / "64-48").exists()
    (tree / NAMES[2]).write_bytes(good)
    calls = []
    original = prepare_data.read_image
    prepare_data.read_image = lambda path: calls.append(path) or original(path)
    try:
        assert run_script(MAIN, *arguments) == 0
    finally:
        prepare_data.read_image = original
    assert calls == [tree / NAMES[2]]
    assert len(ImageStore(tree / "64-48")) == len(NAMES)


def test_a_missing_keypoint_file_of_a_pair_is_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree / "pose/WOMEN/Dresses/id_00000002/01_2_side.txt"
    path.unlink()
    assert run_script(MAIN, "--root", tree, "--output", tree, "--size", "64-48", "--workers", 1) == 1
    assert f"{path} does not exist" in capsys.readouterr().err
    assert run_script(MAIN, "--root", tree, "--output", tree, "--size", "64-48", "--workers", 1) == 1
    assert f"{path} does not exist" in capsys.readouterr().err, "a second attempt looks again"


def test_verify_finds_damage(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import lmdb

    arguments = ["--root", tree, "--output", tree, "--size", "64-48", "--workers", 1]
    assert run_script(MAIN, *arguments) == 0
    assert run_script(MAIN, *arguments, "--verify") == 0
    with lmdb.open(str(tree / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        transaction.put(store_key(NAMES[1]).encode(), b"damage")
        transaction.put(b"length", b"12")
    assert run_script(MAIN, *arguments, "--verify") == 1
    complaints = capsys.readouterr().err
    assert f"{store_key(NAMES[1])} in store" in complaints and "says 12 images and holds 9" in complaints


def test_without_lists_all_images_are_taken(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    Image.new("RGB", (20, 30), "red").save(tmp_path / "img" / "me.png")
    assert run_script(MAIN, "--root", tmp_path, "--output", tmp_path / "o", "--size", "16-12", "--workers", 1) == 0
    assert ImageStore(tmp_path / "o" / "16-12").keys() == ["img/me.png"]
    with pytest.raises(ValueError, match="holds no images and no lists"):
        run_script(MAIN, "--root", tmp_path / "o" / "16-12", "--output", tmp_path, "--workers", 1)


def test_low_resolution_images_lose_their_border(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "img").mkdir()
    wide = np.full((256, 256, 3), 255, np.uint8)
    wide[:, 40:216] = np.arange(176, dtype=np.uint8)[:, None]
    Image.fromarray(wide).save(tmp_path / "img" / "a.png")
    arguments = ["--root", tmp_path, "--output", tmp_path, "--workers", 1, "--layout", "deepfashion_lowres"]
    assert run_script(MAIN, *arguments, "--size", "256-176") == 0
    np.testing.assert_array_equal(ImageStore(tmp_path / "256-176").read("img/a.png"), wide[:, 40:216])
    Image.new("RGB", (750, 1101)).save(tmp_path / "img" / "b.png")
    assert run_script(MAIN, *arguments, "--size", "32-24") == 1
    assert "img/b.png is 1101x750, this layout has 256x256" in capsys.readouterr().err


def test_market_joints_are_pixels_of_its_images(tmp_path: Path) -> None:
    for name, value in (("0002_c1.jpg", 9.0), ("0002_c2.jpg", 60.0)):
        for folder in ("img", "pose"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (64, 128)).save(tmp_path / "img" / name)
        write_keypoints((tmp_path / "pose" / name).with_suffix(".txt"), np.full((18, 2), value))
    write_pairs(tmp_path / "test_pairs.txt", [PairLine("img/0002_c1.jpg", ("img/0002_c2.jpg",))])
    options = ["--size", "128-64", "--workers", 1, "--layout", "market"]
    assert run_script(MAIN, "--root", tmp_path, "--output", tmp_path / "o", *options) == 0
    sample = pair_dataset(tmp_path / "o", "test", (128, 64), "joints")[0]
    assert sample["source_face"].tolist() == [60] * 4 and sample["target_face"].tolist() == [9] * 4
