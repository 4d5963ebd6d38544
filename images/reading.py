"""Image files of any kind to 8-bit RGB: the one way in which this project opens an image."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from images.pixels import Pixels, Size

Result = TypeVar("Result")

# a 100-megapixel photograph; a bomb of a few kilobytes can claim far more
MAX_PIXELS = 100_000_000
# no others: some of Pillow's formats start programs or hold code
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
# EXIF orientations that turn an image on its side
_ON_ITS_SIDE = (5, 6, 7, 8)
# what Pillow raises for damaged files of these
_DECODER_ERRORS = (
    OSError, SyntaxError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError,
    RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS, formats: Sequence[str] = FORMATS) -> Image.Image:
    """Read an image file as 8-bit RGB, upright by its EXIF tag, transparency on white, 16 bits scaled to 8.

    Raises:
        ValueError: missing, empty, not an image of `formats`, damaged, or more than `max_pixels`; names the file.
    """

    def decode(image: Image.Image) -> Image.Image | None:
        return _to_rgb(ImageOps.exif_transpose(image)) if image.width * image.height <= max_pixels else None

    image = _open(Path(path), decode, formats)
    if image is None:
        height, width = image_size(path, formats)
        raise ValueError(f"image {path} claims {width}x{height} pixels, over {max_pixels} in all; shrink it")
    return image


def read_pixels(path: str | Path) -> Pixels:
    """(H, W, 3) uint8 of an image file; raises ValueError like `read_image`."""
    return np.array(read_image(path))


def read_channels(path: str | Path) -> np.ndarray:
    """(H, W) or (H, W, C) values of an image file as they are, a palette's as its numbers; raises like `read_image`."""

    def decode(image: Image.Image) -> np.ndarray | None:
        return np.array(image) if image.width * image.height <= MAX_PIXELS else None

    values = _open(Path(path), decode, FORMATS)
    if values is None:
        raise ValueError(f"image {path} has over {MAX_PIXELS} pixels; shrink it")
    return values


def image_size(path: str | Path, formats: Sequence[str] = FORMATS) -> Size:
    """(H, W) that `read_image` would give, from the file's head alone; raises ValueError where it is no image."""

    def upright(image: Image.Image) -> Size:
        is_turned = image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
        return (image.width, image.height) if is_turned else (image.height, image.width)

    return _open(Path(path), upright, formats)


def _open(path: Path, use: Callable[[Image.Image], Result], formats: Sequence[str]) -> Result:
    """What `use` makes of an opened image file; every error of it becomes one line that names the file."""
    if not path.is_file():
        raise ValueError(f"image {path} does not exist")
    if path.stat().st_size == 0:
        raise ValueError(f"image {path} is empty (0 bytes); copy it anew")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=tuple(formats)) as image:
                return use(image)
    except _DECODER_ERRORS as error:
        raise ValueError(f"image {path} is damaged or no image ({' '.join(str(error).split())})") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """16-bit grey by its high byte; floats are taken as 0..1, or as 0..255 where they exceed 1."""
    if values.dtype.kind == "f":
        values = np.nan_to_num(values)
        return np.clip(np.rint(values * (255 if values.max(initial=0) <= 1 else 1)), 0, 255).astype(np.uint8)
    return (np.clip(values, 0, 65535) >> 8).astype(np.uint8)
