"""Condition maps of an image (DensePose, parsing, depth): from files by its name, and as a store holds them."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from pathlib import Path

import numpy as np

from data.layouts import Layout
from images.pixels import Size, resize
from images.reading import read_channels

MAPS_SUFFIX = ".map"
FILE_SUFFIXES = (".npy", ".npz", ".png")
MAX_CHANNELS = 256
_READER_ERRORS = (
    OSError, ValueError, EOFError, KeyError, SyntaxError, MemoryError, TypeError, NotImplementedError, RuntimeError,
    zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def maps_key(key: str) -> str:
    """Where a store holds the maps of image `key`."""
    return posixpath.splitext(key)[0] + MAPS_SUFFIX


def maps_file(root: Path, name: str) -> Path:
    """The file of an image's maps: `maps/a/b.npy`, `.npz` or `.png` for `img/a/b.jpg`; where none is there, `.npy`."""
    stem = Path("maps", name.removeprefix("img/"))
    files = [stem.with_suffix(suffix) for suffix in FILE_SUFFIXES]
    return next((file for file in files if (root / file).is_file()), files[0])


def read_maps(path: Path, num_channels: int) -> np.ndarray:
    """(H, W, C) uint8 maps of a file, 255 for 1.

    It holds (H, W, C) or (C, H, W) numbers: bool, 8 or 16 bits, or floats in 0..1; or, where C > 1, one (H, W) image
    of labels 0 to C - 1, which becomes a map a label.

    Raises:
        ValueError: missing, damaged, another number of channels or range.
    """
    values = read_channels(path) if path.suffix == ".png" else _read_numpy(path)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]) and num_channels > 1:
        values = values.squeeze(0 if values.shape[0] == 1 else 2)
    if values.ndim == 2:
        values = _one_hot(values, num_channels, path) if num_channels > 1 else values[..., None]
    if values.ndim == 3 and values.shape[2] != num_channels and values.shape[0] == num_channels:
        values = values.transpose(1, 2, 0)
    if values.ndim != 3 or values.shape[2] != num_channels or not values.size:
        raise ValueError(f"maps {path} are {values.shape}, expected (H, W, {num_channels}); see --map_channels")
    return _to_8_bits(values, path)


def fit_maps(maps: np.ndarray, layout: Layout, size: Size) -> np.ndarray:
    """(H, W, C) uint8 maps of an image file as (H', W', C) of the store's images: the same part, resized linearly."""
    if layout.border and maps.shape[:2] == layout.image_size:
        maps = maps[:, layout.border : -layout.border]
    channels = [resize(np.ascontiguousarray(maps[..., channel]), size, "bilinear") for channel in range(maps.shape[2])]
    return np.stack(channels, axis=-1)


def encode_maps(maps: np.ndarray) -> bytes:
    """Bytes of (H, W, C) uint8 maps as a store holds them: compressed, since most are flat."""
    return zlib.compress(np.ascontiguousarray(maps).tobytes(), 1)


def decode_maps(value: bytes, shape: tuple[int, int, int]) -> np.ndarray | None:
    """What `encode_maps` was given; None where it was something else or is damaged."""
    try:
        data = zlib.decompress(value)
    except zlib.error:
        return None
    return np.frombuffer(bytearray(data), np.uint8).reshape(shape) if len(data) == int(np.prod(shape)) else None


def _read_numpy(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ValueError(f"maps {path} do not exist (nor as {', '.join(FILE_SUFFIXES[1:])})")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            if len(found.files) != 1:
                raise ValueError(f"it holds {len(found.files)} arrays, expected one")
            return found[found.files[0]]
    except _READER_ERRORS as error:
        raise ValueError(f"maps {path} cannot be read ({' '.join(str(error).split())})") from None


def _one_hot(labels: np.ndarray, num_channels: int, path: Path) -> np.ndarray:
    if labels.dtype.kind not in "iub" or labels.min(initial=0) < 0 or labels.max(initial=0) >= num_channels:
        raise ValueError(
            f"maps {path} are one image; as labels they must be whole numbers from 0 to {num_channels - 1}"
        )
    return labels[..., None] == np.arange(num_channels)


def _to_8_bits(values: np.ndarray, path: Path) -> np.ndarray:
    darkest = {"uint8": 1, "uint16": 255}.get(str(values.dtype), 0)
    if darkest and 0 < values.max() <= darkest:
        raise ValueError(
            f"maps {path} are {values.dtype} of 0 to {values.max()}, black; save masks as bool or 0 and 255"
        )
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
        return np.rint(values * 255).astype(np.uint8)
    raise ValueError(f"maps {path} are {values.dtype} beyond 0..1; scale them to floats in 0..1, or to 8 or 16 bits")
