"""Images to score: where one comes from, and how a protocol brings it to the size of the generated ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from metrics.protocols import FRAME, Protocol

Pixels = NDArray[np.uint8]
Size = tuple[int, int]

MAX_ASPECT_CHANGE = 0.06  # DeepFashion's 1101x750 to 256x176 changes it by 1 %, a 256x256 image by 31 %


@dataclass(frozen=True)
class ImageFile:
    """A named image: `read` gives its (H, W, 3) uint8 pixels, `digest` a hash of its content."""

    name: str
    read: Callable[[], Pixels]
    digest: Callable[[], str]


def image_file(path: Path, name: str | None = None) -> ImageFile:
    """An image on disk; reading raises ValueError where it is damaged."""
    return ImageFile(name or path.name, lambda: read_pixels(path), lambda: digest_bytes(path.read_bytes()))


def array_image(name: str, read: Callable[[], Pixels]) -> ImageFile:
    """An image that something else decodes, such as a store."""
    return ImageFile(name, read, lambda: digest_bytes(read().tobytes()))


def read_pixels(path: Path) -> Pixels:
    """(H, W, 3) uint8 RGB; raises ValueError naming a file that is no whole image."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise ValueError(f"image {path} does not exist") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"image {path} is damaged or no image ({reason}); make it again or remove it") from None


def prepare(image: Pixels, size: Size, protocol: Protocol, name: str) -> Pixels:
    """Ground truth, source or real brought to `size` (H, W) as the protocol says; the image itself if it has that size.

    Raises ValueError for an image whose shape the protocol does not expect.
    """
    if image.shape[:2] == size:
        return image
    if protocol.crop_columns is not None:
        image = _crop(image, protocol, name)
    height, width = image.shape[:2]
    if abs(height / width * size[1] / size[0] - 1) > MAX_ASPECT_CHANGE:
        raise ValueError(
            f"{name} is {height}x{width}, of another shape than the generated {size[0]}x{size[1]}; give ground "
            "truth of the same shape, or --protocol dptn for 256x256 images with a border"
        )
    return _resize(image, size, protocol)


def read_generated(image: ImageFile, size: Size, protocol: Protocol) -> Pixels:
    """A generated image at the scored `size` (H, W); raises ValueError where it has another size."""
    pixels = image.read()
    found = (pixels.shape[0], pixels.shape[1])
    if protocol.scored_size(found) != size:
        raise ValueError(
            f"generated image {image.name} is {found[0]}x{found[1]}, the others are {size[0]}x{size[1]}; "
            "all must have one size"
        )
    if found == size:
        return pixels
    return _crop(pixels, protocol, image.name) if protocol.squares == "frame" else _resize(pixels, size, protocol)


def digest_bytes(data: bytes) -> str:
    """A 128-bit hash in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _resize(image: Pixels, size: Size, protocol: Protocol) -> Pixels:
    if image.shape[:2] == size:
        return image
    resample = Image.Resampling[protocol.resize_filter.upper()]
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), resample))


def _crop(image: Pixels, protocol: Protocol, name: str) -> Pixels:
    assert protocol.crop_columns is not None
    first, last = protocol.crop_columns
    if image.shape[:2] != FRAME:
        raise ValueError(
            f"{name} is {image.shape[0]}x{image.shape[1]}; protocol {protocol.name} takes columns {first}..{last} of "
            "256x256 low-resolution images, or images of the generated ones' size"
        )
    return image[:, first : last + 1]
