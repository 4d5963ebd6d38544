"""Files that are there whole or not at all, images among them: the one way in which this project writes an image."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2

from images.pixels import Pixels


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A hidden name beside `path`: what is written to it takes the place of `path` once the block ends well.

    Otherwise an earlier file stays as it was. The folder is made where it is missing.

    Raises:
        ValueError: a full disk, a folder that may not be written to; names the file.
    """
    path = Path(path)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be written ({reason}); free the disk or name another place") from None
    finally:
        with suppress(OSError):
            part.unlink()


def check_place(path: Path) -> None:
    """Raise ValueError where no file can be written at `path`, so that long work need not find out; makes nothing."""
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        reason = "may not be written to" if place.is_dir() else "is no folder"
        raise ValueError(f"{path} cannot be written ({place} {reason}); name another place")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; raises ValueError like `replacing`."""
    with replacing(path) as part:
        part.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all; raises ValueError like `replacing`."""
    write_bytes(path, text.encode())


def write_image(path: str | Path, image: Pixels) -> None:
    """Write an (H, W, 3) uint8 image in the format of its name's suffix; raises ValueError like `replacing`."""
    write_bytes(path, encode_image(image, Path(path).suffix))


def encode_image(image: Pixels, suffix: str = ".png", jpeg_quality: int = 95) -> bytes:
    """An (H, W, 3) uint8 image as the bytes of a file with this suffix; PNG and WebP keep every pixel."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if suffix.lower() in (".jpg", ".jpeg") else []
    # OpenCV's PNGs take a third of Pillow's time, and free the interpreter meanwhile
    return cv2.imencode(suffix.lower(), image[..., ::-1], options)[1].tobytes()
