"""Coarse-to-fine schedules: level 0 is the coarsest, level S the clean image (step k turns level k into k + 1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.layers import laid_out_as


class Schedule(nn.Module):
    """What a step starts from and aims at. Images are (B, 3, H, W) in [-1, 1]."""

    def __init__(self, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        """The images at a level in 0..S, one number for all or a (B,) LongTensor; same shape and dtype."""
        raise NotImplementedError

    def start_canvas(self, source_image: Tensor, noise: Tensor) -> Tensor:
        """The canvas of step 0, from the source image and standard normal noise of its shape."""
        raise NotImplementedError

    def _levels(self, image: Tensor, level: int | Tensor) -> Tensor:
        if isinstance(level, int):
            if not 0 <= level <= self.num_steps:
                raise ValueError(f"level {level} is outside 0..{self.num_steps}")
            return torch.full((image.shape[0],), level, device=image.device)
        return level.to(image.device)


class Quantize(Schedule):
    """Grey levels rounded down to multiples of a divisor that shrinks (DPTN form).

    In grey levels x = (image + 1) * 127.5, level j < S keeps floor(x / d_j) * d_j with d_j = 255 - (255 // S) * j.
    Level 0 is black; a rollout starts from noise instead.
    """

    # images come from 8 bits: the float round trip must not push an exact multiple under its own value
    GUARD = 1e-3

    def __init__(self, num_steps: int) -> None:
        super().__init__(num_steps)
        divisors = [255 - (255 // num_steps) * level for level in range(num_steps)]
        self.divisors: Tensor
        self.register_buffer("divisors", torch.tensor([*divisors, 1], dtype=torch.float32), persistent=False)

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        levels = self._levels(image, level)
        divisor = self.divisors[levels].view(-1, 1, 1, 1)
        grey = (image.float() + 1) * 127.5
        kept = torch.floor((grey + self.GUARD) / divisor) * divisor / 127.5 - 1
        clean = (levels == self.num_steps).view(-1, 1, 1, 1)
        return torch.where(clean, image, kept.to(image.dtype))

    def start_canvas(self, source_image: Tensor, noise: Tensor) -> Tensor:
        return noise


class Resize(Schedule):
    """Resolution growing from `min_size` to the image size (NTED form).

    Degrading is bilinear, down to the level's size and back up, both with aligned corners. That is linear and
    separable, so a level is one (H, H) and one (W, W) matrix and a batch of mixed levels two batched products.
    """

    def __init__(self, num_steps: int, image_size: tuple[int, int], min_size: tuple[int, int], spacing: str) -> None:
        super().__init__(num_steps)
        self.sizes = list(
            zip(
                *(_spaced(low, full, num_steps, spacing) for low, full in zip(min_size, image_size, strict=True)),
                strict=True,
            )
        )
        self.rows: Tensor
        self.columns: Tensor
        for name, axis in (("rows", 0), ("columns", 1)):
            matrices = [_down_and_up(image_size[axis], size[axis]) for size in self.sizes]
            self.register_buffer(name, torch.from_numpy(np.stack(matrices)).float(), persistent=False)

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        levels = self._levels(image, level)
        with torch.autocast(image.device.type, enabled=False):
            rows, columns = self.rows[levels].unsqueeze(1), self.columns[levels].unsqueeze(1)
            return laid_out_as(image, rows @ image.float() @ columns.mT).to(image.dtype)

    def start_canvas(self, source_image: Tensor, noise: Tensor) -> Tensor:
        return self.degrade(source_image, 0) + noise


def _spaced(low: int, full: int, num_steps: int, spacing: str) -> list[int]:
    """S + 1 whole numbers of pixels from `low` to `full`."""
    space = np.linspace if spacing == "linear" else np.geomspace
    return [int(size) for size in np.round(space(low, full, num_steps + 1))]


def _interpolation(size_in: int, size_out: int) -> np.ndarray:
    """The (size_out, size_in) matrix of linear interpolation with aligned corners."""
    position = np.linspace(0, size_in - 1, size_out) if size_out > 1 else np.zeros(1)
    left = np.minimum(position.astype(int), max(size_in - 2, 0))
    matrix = np.zeros((size_out, size_in))
    matrix[np.arange(size_out), left] = 1 - (position - left)
    if size_in > 1:
        matrix[np.arange(size_out), left + 1] = position - left
    return matrix


def _down_and_up(full: int, size: int) -> np.ndarray:
    return np.eye(full) if size == full else _interpolation(size, full) @ _interpolation(full, size)
