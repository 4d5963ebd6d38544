"""Pixels in memory: their size, their hash, and the ways between 8-bit arrays and tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # height, width


def resize(image: Image.Image | Pixels, size: Size, resample: str = "bicubic") -> Pixels:
    """An image at `size` (H, W) by a filter of Pillow (`bicubic`, `bilinear`, `lanczos`, `box`), without a crop."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling[resample.upper()])
    return np.array(picture)


def digest(data: bytes | memoryview) -> str:
    """A 128-bit hash in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def to_tensor(images: Sequence[Pixels]) -> Tensor:
    """(B, 3, H, W) uint8 from (H, W, 3) arrays."""
    # processes that only read and resize images start without PyTorch in a quarter of the time
    import torch

    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def to_signed(images: Tensor) -> Tensor:
    """8-bit values to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_grey_levels(images: Tensor) -> Tensor:
    """Values in [-1, 1], clipped to it, to uint8, rounded as an image file rounds them."""
    return ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte()


def to_uint8(images: Tensor) -> Pixels:
    """(..., 3, H, W) in [-1, 1] to (..., H, W, 3) uint8, rounded."""
    return to_grey_levels(images).movedim(-3, -1).cpu().numpy()
