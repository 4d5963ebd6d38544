"""Discriminators: realness, and which step an image belongs to, asked or told."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from config.section import Kind, Widths
from models.layers import (
    ConvLayer,
    DiscriminatorOutput,
    EqualLinear,
    StepHead,
    StepProjection,
    maybe_spectral_norm,
)


class DiscriminatorConfig(Kind):
    """Options of a discriminator."""

    step: Literal["head", "projection", "none"] = Field(
        "head",
        description="head: it is asked which step an image belongs to (ACGAN); projection: it is told, and judges the "
        "image as one of that step (Miyato & Koyama); none: neither",
    )

    @property
    def smallest_side(self) -> int:
        """The least height and width of its images, in pixels."""
        raise NotImplementedError

    def check_image_size(self, height: int, width: int) -> None:
        """Raise ValueError where a side is too short."""
        if min(height, width) < self.smallest_side:
            least = self.smallest_side
            raise ValueError(
                f"data.image_size is [{height}, {width}]: the discriminator needs sides of {least} or more"
            )


class Discriminator(nn.Module):
    """A network from images (B, 3, H, W) and their steps (B,) to a verdict, made from (config, image_size, num_steps).

    With `num_steps` over 1 it is asked for the step or told it, as `config.step` says. No dropout and no batch norm, as
    in a generator.
    """

    Config: ClassVar[type[DiscriminatorConfig]]
    step_head: StepHead | None
    step_projection: StepProjection | None

    def add_step_part(self, config: DiscriminatorConfig, features: tuple[int, ...], num_steps: int) -> None:
        """Make what reads the step from features of this shape without B, channels first, or adds it to the score."""
        kind = config.step if num_steps > 1 else "none"
        self.step_head = StepHead(math.prod(features), num_steps) if kind == "head" else None
        self.step_projection = StepProjection(features[0], num_steps) if kind == "projection" else None

    def verdict(self, score: Tensor, features: Tensor, step: Tensor) -> DiscriminatorOutput:
        """The score in float32, which a projection moves by the step, and what a head says of the step."""
        score = score.float()
        if self.step_projection:
            score = score + self.step_projection(features, step).view(-1, *[1] * (score.dim() - 1))
        return DiscriminatorOutput(score, self.step_head(features) if self.step_head else None)


class ResidualConfig(DiscriminatorConfig):
    """Residual patch discriminator with spectral norm (DPTN)."""

    kind: Literal["residual"] = "residual"
    ndf: int = Field(32, ge=1, description="channels of the first block; doubled each block")
    img_f: int = Field(128, ge=1, description="the most channels")
    num_levels: int = Field(4, ge=1, le=8, description="stride-2 blocks")

    @property
    def smallest_side(self) -> int:
        """Two for each block."""
        return 2**self.num_levels


class StyleGAN2Config(DiscriminatorConfig):
    """StyleGAN2's residual discriminator (NTED). The list runs from the coarsest level up."""

    kind: Literal["stylegan2"] = "stylegan2"
    channels: Widths = Field((512, 512, 512, 512, 512, 256, 128), description="channels of each level")

    @property
    def smallest_side(self) -> int:
        """Two for each level but the finest."""
        return 2 ** (len(self.channels) - 1)


class ResidualBlock(nn.Module):
    """[act,] conv 3x3, act, conv 4x4 stride 2; shortcut of average pooling and a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, first: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [] if first else [nn.LeakyReLU(0.1)]
        layers += [_conv(c_in, c_in if not first else c_out, 3, 1, 1), nn.LeakyReLU(0.1, inplace=True)]
        layers += [_conv(c_in if not first else c_out, c_out, 4, 2, 1)]
        self.model = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), _conv(c_in, c_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) + self.shortcut(x)


class ResidualDiscriminator(Discriminator):
    """Patch discriminator of DPTN: spectral norm everywhere, no norm layers.

    Args:
        config: widths and number of stride-2 blocks.
        image_size: (H, W) in pixels; the step head's width follows from it.
        num_steps: S; nothing about steps where it is 1.
    """

    Config = ResidualConfig

    def __init__(self, config: ResidualConfig, image_size: tuple[int, int], num_steps: int) -> None:
        super().__init__()
        widths = [min(config.ndf * 2**level, config.img_f) for level in range(config.num_levels)]
        self.blocks = nn.Sequential()
        self.blocks.add_module("block0", ResidualBlock(3, widths[0], first=True))
        for index, pair in enumerate(itertools.pairwise(widths)):
            self.blocks.add_module(f"encoder{index}", ResidualBlock(*pair, first=False))
        self.conv = _conv(widths[-1], 1, 1)
        height, width = (side // 2**config.num_levels for side in image_size)
        self.add_step_part(config, (widths[-1], height, width), num_steps)

    def forward(self, images: Tensor, step: Tensor) -> DiscriminatorOutput:
        """Images (B, 3, H, W) to a score map (B, 1, h, w) and step log-probabilities (B, S)."""
        features = self.blocks(images)
        return self.verdict(self.conv(F.leaky_relu(features, 0.1)), features, step)


class StyleGAN2Block(nn.Module):
    """Conv 3x3 and downsampling conv 3x3, plus a downsampling 1x1 skip, each over sqrt(2)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(c_in, c_in, 3)
        self.conv2 = ConvLayer(c_in, c_out, 3, downsample=True, gain=math.sqrt(0.5))
        self.skip = ConvLayer(c_in, c_out, 1, downsample=True, activate=False, gain=math.sqrt(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + self.skip(x)


class StyleGAN2Discriminator(Discriminator):
    """The discriminator of NTED: StyleGAN2's residual one, with the step head on its last features.

    Args: as `ResidualDiscriminator`; `config.channels` runs from the coarsest level up.
    """

    Config = StyleGAN2Config

    def __init__(self, config: StyleGAN2Config, image_size: tuple[int, int], num_steps: int) -> None:
        super().__init__()
        widths = config.channels[::-1]
        blocks = (StyleGAN2Block(*pair) for pair in itertools.pairwise(widths))
        self.convs = nn.Sequential(ConvLayer(3, widths[0], 1), *blocks)
        self.final_conv = ConvLayer(widths[-1] + 1, widths[-1], 3)
        height, width = (side // 2 ** (len(widths) - 1) for side in image_size)
        self.final_linear = nn.Sequential(
            EqualLinear(widths[-1] * height * width, widths[-1], activate=True), EqualLinear(widths[-1], 1)
        )
        self.add_step_part(config, (widths[-1] + 1, height, width), num_steps)

    def forward(self, images: Tensor, step: Tensor) -> DiscriminatorOutput:
        """Images (B, 3, H, W) to a score (B, 1) and step log-probabilities (B, S)."""
        features = append_minibatch_std(self.convs(images))
        return self.verdict(self.final_linear(self.final_conv(features).flatten(1)), features, step)


def append_minibatch_std(features: Tensor) -> Tensor:
    """Append one channel: the mean over (C, h, w) of the standard deviation within a sample's group.

    Groups have 4 samples where the batch allows, else the largest divisor of the batch not over 4; sample i of B
    belongs to group i mod (B / group). Statistics in fp32.

    Args:
        features: (B, C, h, w). Returns (B, C + 1, h, w).
    """
    batch, _, height, width = features.shape
    group = next(size for size in (4, 3, 2, 1) if batch % size == 0)
    grouped = features.float().reshape(group, batch // group, *features.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.repeat(group).view(batch, 1, 1, 1).expand(batch, 1, height, width)
    return torch.cat((features, channel.to(features.dtype)), dim=1)


def _conv(c_in: int, c_out: int, kernel_size: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return maybe_spectral_norm(nn.Conv2d(c_in, c_out, kernel_size, stride, padding), True)
