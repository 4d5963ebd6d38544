"""Coarse-to-fine schedules: level 0 is the coarsest, level S the clean image (step k turns level k into k + 1)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from config.section import Kind, Size
from models.layers import laid_out_as


class ScheduleConfig(Kind):
    """Options of a schedule."""

    num_steps: int = Field(1, ge=1, le=1000, description="S, the number of steps; 1 is the one-step baseline")

    @property
    def has_teacher(self) -> bool:
        """Whether a training window may start at a degraded target: not where that is the target itself."""
        return True


class Schedule(nn.Module):
    """What a step starts from and aims at. Images are (B, 3, H, W) in [-1, 1].

    Args:
        config: its options. image_size: (H, W).
    """

    Config: ClassVar[type[ScheduleConfig]]

    def __init__(self, config: ScheduleConfig, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.num_steps = config.num_steps

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


class QuantizeConfig(ScheduleConfig):
    """Grey levels quantised less and less (DPTN form)."""

    kind: Literal["quantize"] = "quantize"
    num_steps: int = Field(5, ge=1, le=255, description="S, the number of steps; 1 is the one-step baseline")


class Quantize(Schedule):
    """Grey levels rounded down to multiples of a divisor that shrinks (DPTN form).

    In grey levels x = (image + 1) * 127.5, level j < S keeps floor(x / d_j) * d_j with d_j = 255 - (255 // S) * j.
    Level 0 is black; a rollout starts from noise instead.
    """

    Config = QuantizeConfig
    # images come from 8 bits: the float round trip must not push an exact multiple under its own value
    GUARD = 1e-3

    def __init__(self, config: QuantizeConfig, image_size: tuple[int, int]) -> None:
        super().__init__(config, image_size)
        divisors = [255 - (255 // self.num_steps) * level for level in range(self.num_steps)]
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


class ResizeConfig(ScheduleConfig):
    """Resolution growing from `min_size` to the image size (NTED form)."""

    kind: Literal["resize"] = "resize"
    num_steps: int = Field(20, ge=1, le=1000, description="S, the number of steps; 1 is the one-step baseline")
    min_size: Size = Field((8, 5), description="height and width of level 0, in pixels")
    spacing: Literal["linear", "exponential"] = Field("linear", description="how the sizes between grow")

    def check_image_size(self, height: int, width: int) -> None:
        """Raise ValueError where level 0 does not fit inside the image."""
        if self.min_size[0] > height or self.min_size[1] > width:
            raise ValueError(f"schedule.min_size is {list(self.min_size)}, larger than the image [{height}, {width}]")


class Resize(Schedule):
    """Resolution growing from `min_size` to the image size (NTED form).

    Degrading is bilinear, down to the level's size and back up, both with aligned corners. That is linear and
    separable, so a level is one (H, H) and one (W, W) matrix and a batch of mixed levels two batched products.
    """

    Config = ResizeConfig

    def __init__(self, config: ResizeConfig, image_size: tuple[int, int]) -> None:
        super().__init__(config, image_size)
        sides = (
            _spaced(low, full, config.num_steps, config.spacing)
            for low, full in zip(config.min_size, image_size, strict=True)
        )
        self.sizes = list(zip(*sides, strict=True))
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


class CleanConfig(ScheduleConfig):
    """Every step aims at the clean image: iteration without coarse to fine, the control of both forms."""

    kind: Literal["clean"] = "clean"
    num_steps: int = Field(5, ge=1, le=1000, description="S, the number of steps; 1 is the one-step baseline")

    @property
    def has_teacher(self) -> bool:
        """Not this one."""
        return False


class Clean(Schedule):
    """No degradation at any level; a rollout starts from noise."""

    Config = CleanConfig

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        self._levels(image, level)
        return image

    def start_canvas(self, source_image: Tensor, noise: Tensor) -> Tensor:
        return noise


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
