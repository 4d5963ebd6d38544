"""Stores: published ones, ours, and broken ones."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from data.openpose import DEEPFASHION_FRAME
from data.store import ImageStore, StoreMeta, StoreWriter, encode_image, store_path


def picture(seed: int, size: tuple[int, int] = (16, 12)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def published_store(path: Path, images: dict[str, bytes]) -> Path:
    """What the published script writes: PNG under names, and `length`."""
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key, value in images.items():
            transaction.put(key.encode(), value)
        transaction.put(b"length", str(len(images)).encode())
    return path


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_published_stores_are_read(tmp_path: Path) -> None:
    store = ImageStore(
        published_store(tmp_path / "16-12", {"b.png": png(picture(1)), "a.png": png(picture(0))}), (16, 12)
    )
    np.testing.assert_array_equal(store.read("a.png"), picture(0))
    assert store.keys() == ["a.png", "b.png"] and len(store) == 2
    assert "a.png" in store and "c.png" not in store
    assert store.meta is None


def test_a_store_survives_pickling_and_a_second_reader(tmp_path: Path) -> None:
    store = ImageStore(published_store(tmp_path / "s", {"a.png": png(picture(0))}))
    store.read("a.png")
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.read("a.png"), store.read("a.png"))


def test_each_process_reads_in_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ImageStore(published_store(tmp_path / "s", {"a.png": png(picture(0))}))
    begun, original = [], store._environment
    monkeypatch.setattr(store, "_environment", lambda: begun.append(1) or original())
    for _ in range(3):
        store.read("a.png")
    assert len(begun) == 1
    child = os.fork()
    if child == 0:
        for _ in range(3):
            store.read("a.png")
        os._exit(len(begun))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


@pytest.mark.parametrize("image_format", ["png", "raw"])
def test_written_images_and_keypoints_are_read_back(tmp_path: Path, image_format: str) -> None:
    writer = StoreWriter(tmp_path / "16-12", StoreMeta((16, 12), image_format, DEEPFASHION_FRAME))
    joints = np.arange(36.0).reshape(18, 2)
    writer.put({"x/a.png": encode_image(picture(0), image_format), "x/a.txt": joints.astype("<f8").tobytes()})
    writer.finish()
    store = ImageStore(tmp_path / "16-12", (16, 12))
    np.testing.assert_array_equal(store.read("x/a.png"), picture(0))
    np.testing.assert_array_equal(store.read_keypoints("x/a.png"), joints)
    assert store.keys() == ["x/a.png"] and len(store) == 1
    assert store.meta == StoreMeta((16, 12), image_format, DEEPFASHION_FRAME)


def test_an_unfinished_store_does_not_look_whole_and_is_taken_up_again(tmp_path: Path) -> None:
    meta = StoreMeta((16, 12))
    first = StoreWriter(tmp_path / "16-12", meta)
    first.put({"a.png": encode_image(picture(0), "png")})
    first.close()
    with pytest.raises(ValueError, match="does not exist"):
        ImageStore(tmp_path / "16-12").keys()
    second = StoreWriter(tmp_path / "16-12", meta)
    assert second.written == {"a.png"}
    second.put({"b.png": encode_image(picture(1), "png")})
    second.finish()
    assert ImageStore(tmp_path / "16-12").keys() == ["a.png", "b.png"]
    assert not second.partial.exists()


@pytest.mark.parametrize(("meta", "origin"), [(StoreMeta((16, 12), "raw"), "here"), (StoreMeta((16, 12)), "there")])
def test_leftovers_of_another_kind_or_origin_are_dropped(tmp_path: Path, meta: StoreMeta, origin: str) -> None:
    first = StoreWriter(tmp_path / "s", StoreMeta((16, 12)), "here")
    first.put({"a.png": b"x"})
    first.close()
    second = StoreWriter(tmp_path / "s", meta, origin)
    assert second.written == set()
    second.close()


def test_a_finished_store_does_not_say_where_its_images_lay(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s", StoreMeta((16, 12)), "/home/somebody")
    writer.put({"a.png": encode_image(picture(0), "png")})
    writer.finish()
    assert "origin" not in ImageStore(tmp_path / "s")


def test_the_map_grows(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s", StoreMeta((64, 64), "raw"), map_size=1 << 16)
    for index in range(20):
        writer.put({f"{index}.png": picture(index, (64, 64)).tobytes()})
    writer.finish()
    np.testing.assert_array_equal(ImageStore(tmp_path / "s").read("7.png"), picture(7, (64, 64)))


# a limit on the size of files stands for a full disk
FULL_DISK = """
import resource, sys
from data.store import StoreMeta, StoreWriter
writer = StoreWriter(sys.argv[1], StoreMeta((16, 12), "raw"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    writer.put({"a.png": bytes(1_000_000)})
except OSError as error:
    sys.stdout.write(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "s")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.startswith(f"OSError: cannot write store {tmp_path / 's.partial'} (") and "\n" not in said
    assert "free disk space" in said and "run the same command again" in said


def fails(*arguments: object, **options: object) -> None:
    raise lmdb.Error("Read-only file system")


@pytest.mark.parametrize("method", ["put", "finish", "close"])
def test_errors_of_writing_are_one_line(tmp_path: Path, method: str) -> None:
    class Env:
        begin = sync = staticmethod(fails)
        close = staticmethod(lambda: None)

    writer = StoreWriter(tmp_path / "s", StoreMeta((16, 12)))
    writer._env.close()
    writer._env = Env()  # type: ignore[assignment]
    with pytest.raises(OSError, match=r"cannot write store .*s\.partial \(Read-only file system\): free disk space or"):
        getattr(writer, method)(*[{"a.png": b"x"}] * (method == "put"))
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb, "open", fails)
    with pytest.raises(OSError, match=r"cannot write store .*s\.partial \(Read-only file system\)"):
        StoreWriter(tmp_path / "s", StoreMeta((16, 12)))
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        (tmp_path / "file").write_bytes(b"")
        StoreWriter(tmp_path / "file" / "s", StoreMeta((16, 12)))


def test_leftovers_that_are_no_lmdb_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "s.partial").mkdir()
    (tmp_path / "s.partial" / "data.mdb").write_bytes(b"hello" * 5000)
    writer = StoreWriter(tmp_path / "s", StoreMeta((16, 12)))
    assert writer.written == set()
    writer.close()


def test_a_missing_store_says_what_to_run_and_what_is_there(tmp_path: Path) -> None:
    published_store(store_path(tmp_path, (256, 176)), {})
    with pytest.raises(ValueError, match=r"512-352 does not exist \(beside it: 256-176.*prepare_data .*--size 512-352"):
        ImageStore(store_path(tmp_path, (512, 352))).keys()


def test_missing_keys_and_damaged_or_wrongly_sized_images_are_named(tmp_path: Path) -> None:
    whole = png(picture(0))
    images = {"whole.png": whole, "cut.png": whole[:40], "empty.png": b"", "noise.png": b"\0" * 99}
    path = published_store(tmp_path / "s", images)
    for key in ("cut.png", "empty.png", "noise.png"):
        with pytest.raises(ValueError, match=rf"{key} in store .*s is damaged"):
            ImageStore(path).read(key)
    with pytest.raises(ValueError, match=r"has no image other\.png"):
        ImageStore(path).read("other.png")
    with pytest.raises(ValueError, match=r"whole.png in store .* is 16x12 .* expected 32x24 .*--size 32-24"):
        ImageStore(path, (32, 24)).read("whole.png")


@pytest.mark.parametrize("keep", [0, 100, 5000, 9000])
def test_a_store_cut_short_is_an_error_and_no_crash(tmp_path: Path, keep: int) -> None:
    path = published_store(tmp_path / "s", {f"{i}.png": png(picture(i)) for i in range(30)})
    data = path / "data.mdb"
    data.write_bytes(data.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"cut short|damaged"):
        ImageStore(path).read("7.png")


def test_a_bomb_in_a_store_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = bytearray(png(picture(0)))
    bomb[16:24] = (60_000).to_bytes(4) * 2
    path = published_store(tmp_path / "s", {"bomb.png": bytes(bomb)})
    with pytest.raises(ValueError, match=r"bomb\.png .* is 60000x60000 .*expected 16x12"):
        ImageStore(path, (16, 12)).read("bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png .* is damaged"):
        ImageStore(path).read("bomb.png")


def test_too_few_file_handles_are_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published_store(tmp_path / "16-12", {"a.png": png(picture(0))})

    def full(*arguments: object, **options: object) -> None:
        raise lmdb.Error(f"{tmp_path}: Too many open files")

    monkeypatch.setattr(lmdb, "open", full)
    with pytest.raises(ValueError, match=r"16-12 cannot be read \(.*Too many open files\); raise .*ulimit -n 4096"):
        ImageStore(tmp_path / "16-12").keys()


def test_a_missing_store_asks_for_the_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scripts\.prepare_data .*--layout LAYOUT --size 128-64"):
        ImageStore(tmp_path / "128-64").keys()
