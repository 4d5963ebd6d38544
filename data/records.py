"""What a store remembers of each image: a checksum of every value, and the files that they were made from.

A record is a value of its own, under the image's path with `.sum`: its CRC-32 in 8 hex digits, then JSON.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

RECORD_SUFFIX = ".sum"


class FileState(NamedTuple):
    """A file as it was: its name in the dataset, bytes (-1: no file), time of change in ns, BLAKE2b in hex."""

    name: str
    size: int
    changed: int
    digest: str


class Record(NamedTuple):
    """CRC-32 of each value by its suffix, and the files that the values were made from."""

    sums: dict[str, int]
    files: tuple[FileState, ...]


def record_key(key: str) -> str:
    """Where a store holds the record of image `key`."""
    return posixpath.splitext(key)[0] + RECORD_SUFFIX


def make_record(values: Mapping[str, bytes], files: Iterable[FileState]) -> bytes:
    """The record of an image's values, by key, as a store holds it."""
    sums = {posixpath.splitext(key)[1]: zlib.crc32(value) for key, value in values.items()}
    text = json.dumps([sums, list(files)], separators=(",", ":")).encode()
    return _checksum(text) + text


def parse_record(value: bytes) -> Record | None:
    """A record; None where it is damaged."""
    try:
        if value[:8] != _checksum(value[8:]):
            return None
        sums, files = json.loads(value[8:])
        return Record(dict(sums), tuple(FileState(*file) for file in files))
    except (ValueError, TypeError):
        return None


def file_state(root: Path, name: str) -> FileState:
    """A file of a dataset as it is now."""
    path = root / name
    if not path.is_file():  # reading a pipe would wait for ever
        return FileState(name, -1, 0, "")
    status = path.stat()
    return FileState(name, status.st_size, status.st_mtime_ns, _digest(path))


def is_unchanged(root: Path, state: FileState, by_contents: bool = False) -> bool:
    """Whether a file is what it was: by size and time, else `by_contents`, since copies have other times."""
    path = root / state.name
    if not path.is_file():
        return state.size < 0
    status = path.stat()
    if not by_contents and (status.st_size, status.st_mtime_ns) == (state.size, state.changed):
        return True
    return status.st_size == state.size and _digest(path) == state.digest


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
