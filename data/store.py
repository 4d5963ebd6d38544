"""Stores: LMDBs of images of one size, as the published script writes them.

A store is a folder named `{H}-{W}` with an LMDB: the PNG of each image under its path with `.png`, and their number
under `length`. Stores of this project may hold more: a `format` of `raw` (the pixels themselves), keypoints under the
image's path with `.txt`, maps (`.map`), records (`data.records`, `.sum`), and `meta`, which says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
import posixpath
import shutil
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import cv2
import lmdb
import numpy as np

from data.locks import WriterLock
from data.maps import MAPS_SUFFIX, decode_maps, maps_key
from data.meta import StoreMeta, parse_meta
from data.records import RECORD_SUFFIX, Record, parse_record, record_key
from images.joints import NUM_JOINTS
from images.pixels import Size

_LOG = logging.getLogger(__name__)
_PREPARE = "run python -m scripts.prepare_data --root FOLDER --output FOLDER --layout LAYOUT"
_REBUILD = f"{_PREPARE} --overwrite to build it anew"
# what LMDB says where the machine cannot read what may be sound
_NO_DAMAGE = ("Too many open files", "Permission denied", "Cannot allocate memory", "Input/output error")
# threads that open one store at a time: LMDB allows one environment a process
_OPENING = threading.Lock()
_DATA = "data.mdb"
# what may be held of an image: its pixels, keypoints, condition maps and record
_SUFFIXES = (".png", ".txt", MAPS_SUFFIX, RECORD_SUFFIX)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# the first is what prepare_data writes unless it is told otherwise
FORMATS = ("raw", "png")
# the last is a hash: a store shall not say where somebody's images lie
_META, _LENGTH, _ORIGIN = b"meta", b"length", b"origin_digest"
# LMDB refuses a second environment on one path in a process, and a read-only one is safe to share and to fork.
_OPEN: WeakValueDictionary[str, lmdb.Environment] = WeakValueDictionary()


def store_path(root: str | Path, size: tuple[int, int]) -> Path:
    """Folder of the store of (H, W) images."""
    return Path(root) / f"{size[0]}-{size[1]}"


class ImageStore:
    """Read a store. Opened at the first use in each process, and safe to pickle.

    Args:
        path: its folder.
        size: (H, W) that every image must have; None: any.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] | None = None) -> None:
        self.path, self.size = Path(path), size
        self._env: lmdb.Environment | None = None
        self._reader = threading.local()
        self._meta: StoreMeta | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_env": None, "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _reader=threading.local())

    @property
    def meta(self) -> StoreMeta | None:
        """What the store says of itself; None for a published one. Raises ValueError."""
        if self._meta is None and (value := self._get(_META)):
            self._meta = parse_meta(value)
            if self._meta is None:
                raise ValueError(f"store {self.path} has a damaged `meta`; {_REBUILD}")
        return self._meta

    def read(self, key: str) -> np.ndarray:
        """The (H, W, 3) RGB uint8 image under `key`.

        Raises:
            ValueError: the store or the key is missing, the image is damaged or of another size.
        """
        value = self.read_bytes(key)
        if self.meta and self.meta.format == "raw":
            return self._read_raw(key, value)
        size = _png_size(value)
        if size and self.size and size != self.size:
            raise ValueError(
                f"image {key} in store {self.path} is {_text(size)}, expected {_text(self.size)}; "
                f"{_PREPARE} --size {self.size[0]}-{self.size[1]}"
            )
        image = _decode(value) if size else None
        if image is None:
            raise ValueError(f"image {key} in store {self.path} is damaged; {_REBUILD}")
        return image

    def read_bytes(self, key: str) -> bytes:
        """The encoded image under `key`; raises ValueError if there is none."""
        value = self._get(key.encode())
        if value is None:
            raise ValueError(f"store {self.path} has no image {key}; {_REBUILD}")
        return value

    def read_keypoints(self, key: str) -> np.ndarray:
        """(18, 2) keypoints of image `key` in the frame `meta.frame`, NaN where missing; raises ValueError."""
        value = self._get(keypoints_key(key).encode())
        if value is None or len(value) != NUM_JOINTS * 2 * 8:
            raise ValueError(f"store {self.path} has no keypoints {keypoints_key(key)}; {_REBUILD}")
        return np.frombuffer(value, "<f8").reshape(NUM_JOINTS, 2).copy()

    def read_maps(self, key: str, num_channels: int) -> np.ndarray:
        """(H, W, C) uint8 condition maps of image `key`; raises ValueError."""
        value, size = self._get(maps_key(key).encode()), self.meta.size if self.meta else (0, 0)
        maps = decode_maps(value, (*size, num_channels)) if value else None
        if maps is None:
            lacks = f"store {self.path} has no maps of {num_channels} channels of image {key}"
            raise ValueError(f"{lacks}; {_PREPARE} --map_channels {num_channels} --overwrite")
        return maps

    def record(self, key: str) -> Record | None:
        """What is remembered of image `key`; None where nothing is or it is damaged."""
        value = self._get(record_key(key).encode())
        return parse_record(value) if value else None

    def check(self, key: str) -> None:
        """Raises ValueError if a value of image `key` is not what was written, as far as the store can tell."""
        self.read(key)
        record = self.record(key)
        if record is None and self.has_records:
            raise ValueError(f"store {self.path} has no or a damaged record of image {key}; {_REBUILD}")
        for suffix, checksum in record.sums.items() if record else ():
            if zlib.crc32(self._get((posixpath.splitext(key)[0] + suffix).encode()) or b"") != checksum:
                raise ValueError(f"image {key} in store {self.path} is damaged (checksum of {suffix}); {_REBUILD}")

    @property
    def has_records(self) -> bool:
        """Whether it remembers checksums and files; stores of the published script and older ones do not."""
        return bool(self.meta and self.meta.layout)

    def keys(self) -> list[str]:
        """Keys of all images, sorted."""
        try:
            with self._environment().begin(buffers=True) as transaction:
                return [key for key in _names(transaction.cursor()) if key.endswith(".png")]
        except lmdb.Error as error:
            raise _unreadable(self.path, error) from None

    def __len__(self) -> int:
        value = self._get(_LENGTH)
        if value is None or not bytes(value).isdigit():
            raise ValueError(f"store {self.path} does not say how many images it holds; {_PREPARE}")
        return int(bytes(value))

    def __contains__(self, key: str) -> bool:
        return self._get(key.encode()) is not None

    def _get(self, key: bytes) -> bytes | None:
        try:
            value = self._reading().get(key)
            return None if value is None else bytes(value)
        except lmdb.Error as error:
            raise _unreadable(self.path, error) from None

    def _reading(self) -> lmdb.Transaction:
        """One transaction a thread: a store never changes, and a forked process leaks memory with each it begins."""
        reader = self._reader
        if getattr(reader, "process", None) != os.getpid():
            reader.transaction, reader.process = self._environment().begin(), os.getpid()
        return reader.transaction

    def _environment(self) -> lmdb.Environment:
        with _OPENING:
            if self._env is None:
                known = _identity(self.path)
                self._env = _OPEN.get(known) or _open(self.path)
                _OPEN[known] = self._env
            return self._env

    def _read_raw(self, key: str, value: bytes) -> np.ndarray:
        assert self.meta
        height, width = self.meta.size
        if len(value) != height * width * 3:
            raise ValueError(f"image {key} in store {self.path} is damaged; {_REBUILD}")
        if self.size and self.meta.size != self.size:
            held, expected = _text(self.meta.size), _text(self.size)
            sizes = f"--size {self.size[0]}-{self.size[1]}"
            raise ValueError(f"store {self.path} holds {held} images, expected {expected}; {_PREPARE} {sizes}")
        return np.frombuffer(value, np.uint8).reshape(height, width, 3)


class StoreWriter:
    """Write a store, in a folder beside it that becomes the store at `finish`: a crash leaves none that looks whole.

    What an interrupted writer left is taken up again if its `meta` and `origin` are the same; `written` holds those
    keys.

    Args:
        path: folder of the store to be; replaced if it exists, where a link leads: renaming is within one disk.
        meta: what it will say of itself.
        origin: what its images are made from, e.g. a folder.
        map_size: bytes to begin with; grows as needed.

    Raises:
        ValueError: another process is writing this store.
        OSError: here and in every method: the disk is full, the folder is read-only, or what is left is no LMDB.
    """

    def __init__(self, path: str | Path, meta: StoreMeta, origin: str = "", map_size: int = 1 << 28) -> None:
        self.path, self.meta = Path(path).resolve() if Path(path).is_symlink() else Path(path), meta
        self.origin = hashlib.blake2b(origin.encode(), digest_size=16).hexdigest().encode()
        self.partial = self.path.with_name(self.path.name + ".partial")
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(self.path)
        self._closed = False
        try:
            with self._plain_errors():
                self._env = self._reopen(map_size)
                with self._env.begin(buffers=True) as transaction:
                    self.written = {key for key in _names(transaction.cursor()) if key.endswith(".png")}
        except BaseException:
            self._lock.release()
            raise

    def put(self, values: dict[str, bytes]) -> None:
        """Add images and keypoints in one transaction; grows the map when it is full."""
        with self._plain_errors():
            while not self._try_put(values):
                self._env.set_mapsize(self._env.info()["map_size"] * 2)
        self.written.update(key for key in values if key.endswith(".png"))

    def record(self, key: str) -> Record | None:
        """What is remembered of an image that is written; None where nothing is."""
        with self._plain_errors(), self._env.begin() as transaction:
            value = transaction.get(record_key(key).encode())
        return parse_record(value) if value else None

    def remove(self, keys: Iterable[str]) -> None:
        """Take images out, with all that belongs to them."""
        with self._plain_errors(), self._env.begin(write=True) as transaction:
            for key in keys:
                for suffix in _SUFFIXES:
                    transaction.delete((posixpath.splitext(key)[0] + suffix).encode())
                self.written.discard(key)

    def finish(self) -> None:
        """Count the images, flush, and give the store its final name, in one step that leaves the old or the new."""
        meta = self.meta.of(file for key in self.written if (record := self.record(key)) for file in record.files)
        self.put({_LENGTH.decode(): str(len(self.written)).encode(), _META.decode(): meta.encode()})
        self._flush()
        if self.path.is_dir():
            # the folder stays and its one file is exchanged: a folder cannot be renamed over another
            os.replace(self.partial / _DATA, self.path / _DATA)
            shutil.rmtree(self.partial)
        else:
            self.partial.rename(self.path)
        self.close()

    def close(self) -> None:
        """Flush and close, keeping what is written for the next attempt."""
        try:
            self._flush()
        finally:
            self._lock.release()

    def _flush(self) -> None:
        if self._closed:
            return
        self._closed = True
        with self._plain_errors(), closing(self._env):
            self._env.sync(True)

    def _try_put(self, values: dict[str, bytes]) -> bool:
        try:
            with self._env.begin(write=True) as transaction:
                for key, value in values.items():
                    transaction.put(key.encode(), value)
        except lmdb.MapFullError:
            return False
        return True

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            raise OSError(
                f"cannot write store {self.partial} ({error}): free disk space or choose a folder that may be written, "
                "and run the same command again; if that does not help, remove the folder"
            ) from None

    def _reopen(self, map_size: int) -> lmdb.Environment:
        existing = self.partial / _DATA
        if existing.is_file() and not self._is_mine():
            _LOG.warning("%s was left by a command with other images or settings; it begins anew", self.partial)
            shutil.rmtree(self.partial)
        size = max(map_size, existing.stat().st_size if existing.is_file() else 0)
        # without metasync a power cut may cost the last commit, and never the store
        env = lmdb.open(str(self.partial), map_size=size, meminit=False, lock=False, metasync=False)
        with env.begin(write=True) as transaction:
            transaction.put(_META, self.meta.encode())
            transaction.put(_ORIGIN, self.origin)
        return env

    def _is_mine(self) -> bool:
        """Whether what is left would become the same store."""
        try:
            left = ImageStore(self.partial)
            # what is finished and only lacks its name knows its inputs already
            is_alike = left.meta is not None and left.meta.of(()) == self.meta
            return is_alike and left.read_bytes(_ORIGIN.decode()) == self.origin
        except ValueError:
            return False


def encode_image(image: np.ndarray, image_format: str) -> bytes:
    """Bytes of an (H, W, 3) RGB uint8 image as a store holds it, `png` or `raw`; both lossless."""
    if image_format == "raw":
        return image.tobytes()
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def encode_keypoints(keypoints: np.ndarray) -> bytes:
    """Bytes of (18, 2) keypoints as a store holds them: little-endian float64."""
    return keypoints.astype("<f8").tobytes()


def keypoints_key(key: str) -> str:
    """Where a store holds the keypoints of image `key`."""
    return posixpath.splitext(key)[0] + ".txt"


def _png_size(value: bytes) -> tuple[int, int] | None:
    """(H, W) that a PNG claims in its header; None if it has none. Known before a bomb is decoded."""
    if len(value) < 24 or value[:8] != _PNG_SIGNATURE or value[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", value[16:24])
    return height, width


def _decode(value: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


def _open(path: Path) -> lmdb.Environment:
    if not (path / _DATA).is_file():
        raise ValueError(f"store {path} does not exist{_other_stores(path)}; {_PREPARE} --size {path.name}")
    try:
        env = lmdb.open(str(path), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise _unreadable(path, error) from None
    # reading a page that the file lacks would end the process with a bus error
    if (env.info()["last_pgno"] + 1) * env.stat()["psize"] > (path / _DATA).stat().st_size:
        raise ValueError(f"store {path} is cut short; copy it again or {_PREPARE}")
    return env


def _unreadable(path: Path, error: lmdb.Error) -> ValueError:
    """What an error of LMDB means: a damaged store is to be built anew, one that the machine cannot read is not."""
    reason = next((reason for reason in _NO_DAMAGE if reason in str(error)), "")
    if not reason:
        return ValueError(f"store {path} is damaged ({error}); {_REBUILD}")
    more = "raise the limit with ulimit -n 4096" if reason == _NO_DAMAGE[0] else "mend that and try again"
    return ValueError(f"store {path} cannot be read ({error}); {more}")


def _identity(path: Path) -> str:
    """One text for a store's file, whatever the path; another one for the file that replaces it."""
    try:
        status = (path / _DATA).stat()
        return f"{status.st_dev}:{status.st_ino}"
    except OSError:
        return str(path.resolve())


def _other_stores(path: Path) -> str:
    names = sorted(store.parent.name for store in path.parent.glob("*-*/data.mdb") if store.parent.suffix != ".partial")
    return f" (beside it: {', '.join(names)}, see data.image_size)" if names else ""


def _names(cursor: Any) -> Iterator[str]:
    return (bytes(key).decode("utf-8", "replace") for key in cursor.iternext(keys=True, values=False))


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]} (HxW)"
