"""What is there is what was asked for, though inputs change, bits flip, two write at once, or death comes between."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from data.openpose import pose_file, read_keypoints, write_keypoints
from data.pairs import store_key
from data.records import FileState, make_record, parse_record
from data.store import ImageStore, StoreMeta, StoreWriter
from scripts import prepare_data
from tests.data.conftest import NAMES, run_script, standing
from tests.tiny import pair_dataset

KEY = store_key(NAMES[1])


def prepare(root: Path, *options: object, out: Path | None = None) -> int:
    arguments = ["--root", root, "--output", out or root, "--size", "64-48", "--workers", 1, *options]
    return run_script(prepare_data.main, *arguments)


def new_image(tree: Path) -> None:
    Image.new("RGB", (75, 110), "red").save(tree / NAMES[1])


def new_pixels_of_one_length(tree: Path) -> None:
    content = bytearray((tree / NAMES[1]).read_bytes())
    content[-40] ^= 1
    (tree / NAMES[1]).write_bytes(content)


def new_keypoints(tree: Path) -> None:
    write_keypoints(pose_file(tree, NAMES[1]), standing() + 1)


def no_keypoints(tree: Path) -> None:
    for line in ("train_pairs.txt", "test_pairs.txt"):
        (tree / line).unlink()
    pose_file(tree, NAMES[1]).unlink()


CHANGES = [new_image, new_pixels_of_one_length, new_keypoints, no_keypoints]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_files_are_noticed_and_what_is_there_stays(
    tree: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    assert prepare(tree) == 0 and prepare(tree) == 0 and prepare(tree, "--verify") == 0
    before = (tree / "64-48" / "data.mdb").read_bytes()
    change(tree)
    with pytest.raises(ValueError, match=r"64-48 is there, but 1 of its images or keypoints .*--overwrite"):
        prepare(tree)
    assert prepare(tree, "--verify") == 1
    assert f"1 of its images or keypoints have other files now, the first {NAMES[1]}" in capsys.readouterr().err
    assert (tree / "64-48" / "data.mdb").read_bytes() == before
    assert prepare(tree, "--overwrite") == 0 and prepare(tree, "--verify") == 0


def test_a_change_that_hides_its_time_is_noticed_by_verify(tree: Path) -> None:
    assert prepare(tree) == 0
    status = (tree / NAMES[1]).stat()
    new_pixels_of_one_length(tree)
    os.utime(tree / NAMES[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert prepare(tree, "--verify") == 1


def test_other_settings_are_noticed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tree) == 0
    for options, reason in (
        (["--layout", "deepfashion_lowres"], "built with --layout deepfashion, not deepfashion_lowres"),
        (["--format", "png"], "holds raw, not png"),
        (["--frame", "256-256"], r"keypoints are in the frame 256-176\+40, not 256-256\+0"),
    ):
        with pytest.raises(ValueError, match=f"64-48 is there, but .*{reason}"):
            prepare(tree, *options)
        assert prepare(tree, "--verify", *options) == 1
    assert "raw, not png; --overwrite builds it anew" in capsys.readouterr().err


def test_files_that_only_look_newer_and_folders_that_are_gone_are_no_change(tree: Path) -> None:
    assert prepare(tree) == 0
    for path in tree.rglob("*.*"):
        os.utime(path, ns=(0, 12345))
    assert prepare(tree) == 0 and prepare(tree, "--verify") == 0
    shutil.rmtree(tree / "img")
    shutil.rmtree(tree / "pose")
    assert prepare(tree, "--verify") == 0


def test_another_image_file_of_the_same_key_is_noticed(tree: Path) -> None:
    assert prepare(tree) == 0
    Image.new("RGB", (75, 110), "red").save((tree / NAMES[1]).with_suffix(".png"))
    for file in ("train_pairs.txt", "test_pairs.txt"):
        text = (tree / file).read_text()
        (tree / file).write_text(text.replace(NAMES[1], NAMES[1].replace(".jpg", ".png")))
    with pytest.raises(ValueError, match="1 of its images or keypoints have other files now"):
        prepare(tree)


def test_keypoints_that_came_later_are_noticed(tree: Path) -> None:
    (tree / "pose").rename(tree / "later")
    assert prepare(tree) == 0
    (tree / "later").rename(tree / "pose")
    with pytest.raises(ValueError, match="it holds no keypoints, and now there are some"):
        prepare(tree)


def test_an_interrupted_store_does_not_keep_what_has_changed(tree: Path) -> None:
    good = (tree / NAMES[2]).read_bytes()
    (tree / NAMES[2]).write_bytes(b"damaged")
    assert prepare(tree) == 1
    (tree / NAMES[2]).write_bytes(good)
    new_image(tree)
    new_keypoints(tree)
    (tree / "train_pairs.txt").write_text("\n".join((tree / "train_pairs.txt").read_text().splitlines()[3:]) + "\n")
    assert prepare(tree) == 0
    store = ImageStore(tree / "64-48")
    assert store_key(NAMES[0]) not in store, "it is no longer listed"
    shutil.rmtree(tree / "64-48")
    assert prepare(tree) == 0


def test_unlisted_images_of_an_interrupted_store_are_taken_out(tree: Path) -> None:
    writer = StoreWriter(
        tree / "64-48", prepare_data.make_job(tree, arguments_of(tree)).meta((64, 48)), str(tree.resolve())
    )
    writer.put({"img/other.png": b"x", "img/other.txt": b"y"})
    writer.close()
    assert prepare(tree) == 0
    assert "img/other.png" not in ImageStore(tree / "64-48") and "img/other.txt" not in ImageStore(tree / "64-48")


def arguments_of(tree: Path):
    sys.argv = ["prepare_data", "--root", str(tree), "--output", str(tree)]
    return prepare_data.parse()


def flip_in_file(path: Path, value: bytes, place: int) -> None:
    """Flip a bit of a value, in pages that are no longer used too, which may stand before the one that is."""
    changed = bytearray(value)
    changed[place // 8] ^= 1 << place % 8
    path.write_bytes(path.read_bytes().replace(value, changed))


@pytest.mark.parametrize("kind", ["raw", "png"])
def test_any_flipped_bit_of_a_value_is_found(tree: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert prepare(tree, "--format", kind) == 0
    path, rng = tree / "64-48" / "data.mdb", np.random.default_rng(0)
    whole = path.read_bytes()
    with lmdb.open(str(tree / "64-48"), readonly=True, lock=False) as env, env.begin() as transaction:
        values = {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}
    stem = KEY.removesuffix(".png")
    for key in [KEY] * 20 + [f"{stem}.txt"] * 8 + [f"{stem}.sum"] * 8 + ["meta"] * 8:
        place = int(rng.integers(8 * len(values[key])))
        flip_in_file(path, values[key], place)
        try:
            code = prepare(tree, "--verify")
        except ValueError as error:
            code = 2
            assert "damaged" in str(error)
        assert code, f"bit {place} of {key}"
        path.write_bytes(whole)
    assert prepare(tree, "--verify") == 0
    assert KEY in capsys.readouterr().err


def test_every_bit_of_a_record_counts() -> None:
    record = make_record({"a.png": b"pixels"}, [FileState("a.jpg", 1, 2, "3")])
    assert parse_record(record) is not None
    for place in range(8 * len(record)):
        changed = bytearray(record)
        changed[place // 8] ^= 1 << place % 8
        assert parse_record(bytes(changed)) is None, place


def test_how_many_images_are_good_is_said(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert prepare(tree) == 0
    assert f"{tree / '64-48'}: 9 images good" in caplog.text
    assert prepare(tree, "--verify") == 0
    assert "9 of 9 images good, by their checksums" in caplog.text


def test_stores_of_earlier_versions_are_read_and_told_apart(
    tree: Path, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert prepare(tree) == 0
    now = pair_dataset(tree, "test", (64, 48), "skeleton")[0]
    with lmdb.open(str(tree / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        meta = json.loads(transaction.get(b"meta"))
        transaction.put(b"meta", json.dumps({name: meta[name] for name in ("size", "format", "frame")}).encode())
        for key, _ in list(transaction.cursor()):
            if bytes(key).endswith(b".sum") or key == b"origin_digest":
                transaction.delete(bytes(key))
    before = pair_dataset(tree, "test", (64, 48), "skeleton")[0]
    assert all((before[name] == now[name]).all() for name in now)
    assert prepare(tree, "--verify") == 0 and prepare(tree) == 0
    assert "as far as they tell: this store holds no checksums" in caplog.text
    assert "as it is: it does not say from which files" in caplog.text


def test_two_at_once_are_one(tree: Path) -> None:
    first = StoreWriter(tree / "64-48", StoreMeta((64, 48)))
    with pytest.raises(ValueError, match=rf"64-48 is being written by another process \({os.getpid()}\)"):
        prepare(tree)
    first.put({"a.png": b"x"})
    first.close()
    assert prepare(tree) == 0 and not list(tree.glob("*.lock"))


def test_a_killed_writer_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = f"from data.store import *; StoreWriter({str(tmp_path / 's')!r}, StoreMeta((4, 4))); import os; os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (tmp_path / "s.lock").exists()
    StoreWriter(tmp_path / "s", StoreMeta((4, 4))).close()


STEPS = [(os, "replace"), (Path, "rename"), (shutil, "rmtree")]


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
def test_death_at_any_step_of_the_end_leaves_a_whole_store(
    tree: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, when: str, is_new: bool
) -> None:
    if not is_new:
        assert prepare(tree) == 0
        new_image(tree)
    original = getattr(module, name)

    def die(*arguments: object, **options: object) -> None:
        if when == "after":
            original(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # lists are written by renaming too
        patched.setattr(prepare_data, "copy_lists", lambda root, out: None)
        patched.setattr(module, name, die)
        with contextlib.suppress(KeyboardInterrupt):
            prepare(tree, "--overwrite")
        if not is_new:
            store = ImageStore(tree / "64-48")
            keys = store.keys()
            assert len(store) == len(keys) == len(NAMES)
            for key in keys:
                store.check(key)
    converted, convert = [], prepare_data.convert
    monkeypatch.setattr(prepare_data, "convert", lambda job, name: converted.append(name) or convert(job, name))
    assert prepare(tree, *[] if is_new else ["--overwrite"]) == 0
    if is_new:
        assert not converted, "what was finished and lacked its name is taken up"
    else:
        assert ImageStore(tree / "64-48").read(KEY)[30, 20].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert prepare(tree, "--verify") == 0


def test_png_and_raw_stores_are_told_apart_by_their_bytes(tree: Path) -> None:
    assert prepare(tree, "--format", "png") == 0 and prepare(tree) == 0
    value = ImageStore(tree / "64-48").read_bytes(KEY)
    assert Image.open(io.BytesIO(value)).size == (48, 64)
    assert read_keypoints(pose_file(tree, NAMES[1])).shape == (18, 2)


def test_an_empty_folder_of_a_stores_name_is_filled(tree: Path) -> None:
    (tree / "64-48").mkdir()
    assert prepare(tree) == 0 and prepare(tree, "--verify") == 0


def test_verify_tells_lists_that_are_not_those_of_the_root(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prepare(tree, out=out) == 0 and prepare(tree, "--verify", out=out) == 0
    lines = (tree / "train_pairs.txt").read_text().splitlines(keepends=True)
    (tree / "train_pairs.txt").write_text("".join(lines[1:]))
    assert prepare(tree, "--verify", out=out) == 1
    assert f"{out / 'train_pairs.txt'} is not as in {tree}; run the command without --verify" in capsys.readouterr().err
    assert prepare(tree, out=out) == 0 and prepare(tree, "--verify", out=out) == 0


def test_a_store_that_lies_elsewhere_by_a_link_is_built_anew_there(tree: Path, tmp_path: Path) -> None:
    assert prepare(tree) == 0
    (tmp_path / "disk").mkdir()
    (tree / "64-48").rename(tmp_path / "disk" / "64-48")
    (tree / "64-48").symlink_to(tmp_path / "disk" / "64-48")
    new_image(tree)
    # a file is renamed within one disk alone
    with contextlib.closing(StoreWriter(tree / "64-48", StoreMeta((64, 48)))) as writer:
        assert writer.partial == tmp_path / "disk" / "64-48.partial"
    assert prepare(tree, "--overwrite") == 0 and prepare(tree, "--verify") == 0
    assert (tree / "64-48").is_symlink()
