"""Images to score: where one comes from, and how a protocol brings it to the size of the generated ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from images.pixels import Pixels, Size, digest, resize
from images.reading import read_pixels
from metrics.protocols import FRAME, Protocol

MAX_ASPECT_CHANGE = 0.06  # DeepFashion's 1101x750 to 256x176 changes it by 1 %, a 256x256 image by 31 %


@dataclass(frozen=True)
class ImageFile:
    """A named image: `read` gives its (H, W, 3) uint8 pixels, `digest` a hash of its content."""

    name: str
    read: Callable[[], Pixels]
    digest: Callable[[], str]


def image_file(path: Path, name: str | None = None) -> ImageFile:
    """An image on disk; reading raises ValueError where it is damaged."""
    return ImageFile(name or path.name, lambda: read_pixels(path), lambda: digest(path.read_bytes()))


def array_image(name: str, read: Callable[[], Pixels]) -> ImageFile:
    """An image that something else decodes, such as a store."""
    return ImageFile(name, read, lambda: digest(read().tobytes()))


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
    return resize(image, size, protocol.resize_filter)


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
    if protocol.squares == "frame":
        return _crop(pixels, protocol, image.name)
    return resize(pixels, size, protocol.resize_filter)


def _crop(image: Pixels, protocol: Protocol, name: str) -> Pixels:
    assert protocol.crop_columns is not None
    first, last = protocol.crop_columns
    if image.shape[:2] != FRAME:
        raise ValueError(
            f"{name} is {image.shape[0]}x{image.shape[1]}; protocol {protocol.name} takes columns {first}..{last} of "
            "256x256 low-resolution images, or images of the generated ones' size"
        )
    return image[:, first : last + 1]
