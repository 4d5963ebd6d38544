"""NTED: neural texture extraction and distribution (Ren et al., CVPR 2022), one-step and step by step."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from config.section import Widths
from models.generator import Generator, GeneratorConfig, canvas_channels
from models.layers import (
    BiasActivation,
    Blur,
    ConvLayer,
    EqualConv2d,
    EqualUpConv2d,
    GeneratorOutput,
    TexturePair,
    TextureSite,
    Upsample,
    nted_step_image,
    step_plane,
)
from models.sources import apart, flat_sources, for_each, num_sources, side_by_side

Texture = tuple[Tensor, Tensor]  # values (B, C, K), extraction (B, K, N*h*w)
Textures = tuple[Texture, Texture] | tuple[()]  # of a level
Encoded = tuple[Textures, ...]  # of each level, from the coarsest up
Logits = tuple[Tensor, Tensor] | tuple[None, None]  # (B, K, h, w) of a level's two textures


class NTEDConfig(GeneratorConfig):
    """Neural Texture Extraction and Distribution (Ren et al., CVPR 2022). Lists run from the coarsest level up."""

    kind: Literal["nted"] = "nted"
    channels: Widths = Field((512, 512, 512, 256, 128), description="channels of each level")
    num_textures: tuple[Annotated[int, Field(ge=0, le=1024)], ...] = Field(
        (16, 32, 64, 64, 0), description="textures K of each level; 0: none"
    )
    kernel_sizes: tuple[Literal[1, 3], ...] = Field((1, 3, 3, 3, 3), description="extraction and distribution kernels")
    source_pose: bool = Field(
        False,
        description="the source's own pose is seen too, and textures begin as body parts (ours); needs pose maps "
        "that are 0 away from what they show",
    )

    @model_validator(mode="after")
    def _same_length(self) -> NTEDConfig:
        if not len(self.channels) == len(self.num_textures) == len(self.kernel_sizes):
            raise ValueError("channels, num_textures and kernel_sizes need one entry a level each")
        if self.num_textures[-1]:
            raise ValueError("num_textures must end in 0: the encoder has no feature at the finest level")
        return self

    @property
    def size_multiple(self) -> int:
        """Two for each level but the finest."""
        return 2 ** (len(self.channels) - 1)

    def check_pose(self, form: str) -> None:
        """With `source_pose`, maps must be 0 away from what they show, which NTED's distances are not."""
        if self.source_pose and form == "skeleton":
            raise ValueError(
                "generator.source_pose needs maps that are 0 away from the body: set data.pose=joints_limbs, with wide "
                "data.pose_strokes as in config/demo_nted.yaml"
            )


class TextureExtraction(nn.Module):
    """K semantic filters, each gathering one texture from the whole feature map (section 3.2 of the paper)."""

    def __init__(self, channels: int, num_textures: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        # times a vector of length 1, which is a standardised one over sqrt(C)
        self.semantic_filter = EqualConv2d(
            channels, num_textures, kernel_size, padding=padding, bias=False, gain=1 / math.sqrt(channels)
        )
        self.kernel_size = kernel_size
        # else the sums of the moved weights take longer than the convolution
        self.pool_first = kernel_size == 1 or 4 * num_textures <= channels
        stride, padding = (kernel_size, 0) if self.pool_first else (1, padding)
        self.value_conv = EqualConv2d(channels, channels, kernel_size, stride, padding)

    def forward(self, x: Tensor, standardised: Tensor, count: int = 1, logits: Tensor | None = None) -> Texture:
        """Source features to textures (B, C, K) and their places (B, K, N*h*w).

        Args:
            x: (B*N, C, h, w). standardised: the same standardised. count: N, the sources of a sample.
            logits: (B*N, K, h, w) that are added to the semantic filters'.
        """
        found = _sum(self.semantic_filter(standardised), logits)
        extraction = side_by_side(found.flatten(2), count).softmax(dim=2)
        if self.pool_first:
            sums = self._pooled(x, apart(extraction, count))
            sums = sums if count == 1 else sums.unflatten(0, (-1, count)).sum(dim=1)
            return self.value_conv(sums).squeeze(3), extraction
        values = side_by_side(self.value_conv(x).flatten(2), count)
        return values @ extraction.mT.to(values.dtype), extraction

    def _pooled(self, x: Tensor, extraction: Tensor) -> Tensor:
        """What the value convolution's kernel sees, summed by each texture's weights: tiles (B, C, K*k, k).

        The convolution is linear and the weights sum to 1, so it can follow the sum: K tiles instead of h*w places.
        Summing x moved by an offset is summing x by weights moved the other way, which have fewer channels.
        """
        size, (height, width) = self.kernel_size, x.shape[2:]
        weights = extraction.to(x.dtype).unflatten(2, (height, width))
        weights = F.pad(weights, (size // 2,) * 4)
        moved = [
            weights[:, :, row : row + height, column : column + width]
            for row in reversed(range(size))
            for column in reversed(range(size))
        ]
        sums = x.flatten(2) @ torch.stack(moved, dim=2).flatten(1, 2).flatten(2).mT
        return sums.unflatten(2, (-1, size)).contiguous()


class TextureDistribution(nn.Module):
    """Give every position its mix of the K textures (section 3.3)."""

    def __init__(self, channels: int, num_textures: int, kernel_size: int) -> None:
        super().__init__()
        self.semantic_filter = EqualConv2d(channels, num_textures, kernel_size, padding=kernel_size // 2)
        self.site = TextureSite()

    def forward(self, x: Tensor, values: Tensor, logits: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Feature (B, C, h, w) and textures (B, C, K) to sqrt(2) times the filled one, and the weights (B, K, h*w).

        `logits` (B, K, h, w) are added to the semantic filters'.
        """
        distribution = _sum(self.semantic_filter(x), logits).flatten(2).softmax(dim=1)
        weights = distribution.to(values.dtype)
        # a product of the other order where channels come last: the sum is slow over two layouts
        last = x.is_contiguous(memory_format=torch.channels_last)
        filled = (weights.mT @ values.mT).mT if last else values @ weights
        return self.site(x + filled.view_as(x)), distribution


class PoseFilters(nn.Module):
    """Filters on pose maps, the same for source and target, so that a texture means one part of the body to both.

    They begin as the maps themselves: texture 0 with what no map shows, the next with a map each, from the last map on:
    maps without a texture are left out at first, and textures without a map begin everywhere alike. Published filters
    see features alone and begin almost flat: they must find one part from both sides at once, and a small network stays
    long with one texture for the whole person.
    """

    GAIN = 12.0  # a texture then begins where its map is above others, with weights sharp enough to keep colours apart

    def __init__(self, num_maps: int, num_textures: int) -> None:
        super().__init__()
        filters = torch.zeros(num_textures, num_maps + 1)
        filters.diagonal().fill_(1)
        self.weight = nn.Parameter(filters.flip(1).repeat(2, 1))

    def forward(self, pose: Tensor, scale: int) -> Logits:
        """Maps (B, P, H, W) in [0, 1] to logits (B, K, H/scale, W/scale) for both textures of a level."""
        maps = F.avg_pool2d(pose, scale)
        maps = torch.cat((maps, 1 - maps.amax(dim=1, keepdim=True)), dim=1)
        first, second = F.conv2d(maps, self.GAIN * self.weight[..., None, None]).chunk(2, dim=1)
        return first, second


class Encoder(nn.Module):
    """A 1x1 layer and downsampling layers to the coarsest level; `channels` runs from the coarsest up."""

    def __init__(self, c_in: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        widths = channels[::-1]
        self.first = ConvLayer(c_in, widths[0], 1)
        self.convs = nn.ModuleList(ConvLayer(*pair, 3, downsample=True) for pair in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (B, c_in, H, W) to the features of every level but the finest, from the finest down."""
        x, features = self.first(x), []
        for conv in self.convs:
            x = conv(x)
            features.append(x)
        return features


class RenderLayer(nn.Module):
    """[Upsampling] conv 3x3, texture distribution where the level has textures, activation."""

    def __init__(self, c_in: int, c_out: int, num_textures: int, kernel_size: int, upsample: bool) -> None:
        super().__init__()
        # a distribution gives sqrt(2) times its feature
        gain = 1 if num_textures else BiasActivation.GAIN
        self.conv = (
            EqualUpConv2d(c_in, c_out, gain)
            if upsample
            else EqualConv2d(c_in, c_out, 3, padding=1, bias=False, gain=gain)
        )
        self.blur = Blur(1, gain=4) if upsample else None
        self.distribution = TextureDistribution(c_out, num_textures, kernel_size) if num_textures else None
        self.activate = BiasActivation(c_out)

    def forward(
        self, x: Tensor, texture: Texture | None, logits: Tensor | None = None
    ) -> tuple[Tensor, TexturePair | None]:
        bias = self.activate.bias * BiasActivation.GAIN
        if self.distribution is None or texture is None:
            return self.activate(self._convolved(x, bias)), None
        x, (values, extraction) = self._convolved(x, None), texture
        # the weights of a position sum to 1: what all textures have more, it has more
        x, distribution = self.distribution(x, values + bias.view(-1, 1).to(values.dtype), logits)
        return self.activate(x), TexturePair(extraction, distribution, (x.shape[2], x.shape[3]))

    def _convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.blur is None:
            return self.conv(x, bias)
        # not the blur's bias: for its gradient CPUs would compute that of the filter too
        x = self.blur(self.conv(x))
        return x if bias is None else x + bias.view(-1, 1, 1).to(x.dtype)


class RenderLevel(nn.Module):
    """Two layers, the first upsampling, and a convolution to RGB that refines the image of the level before."""

    def __init__(self, c_in: int, c_out: int, num_textures: int, kernel_size: int, upsample: bool) -> None:
        super().__init__()
        self.conv0 = RenderLayer(c_in, c_out, num_textures, kernel_size, upsample)
        self.conv1 = RenderLayer(c_out, c_out, num_textures, kernel_size, upsample=False)
        self.to_rgb = EqualConv2d(c_out, 3, 3, padding=1)
        self.upsample = Upsample() if upsample else None

    def forward(
        self, x: Tensor, rgb: Tensor | None, textures: Textures, logits: Logits
    ) -> tuple[Tensor, Tensor, list[TexturePair]]:
        first, second = textures or (None, None)
        # the published pairing: the second extraction feeds the first layer
        x, pair0 = self.conv0(x, second, logits[1])
        x, pair1 = self.conv1(x, first, logits[0])
        image = self.to_rgb(x)
        if self.upsample is not None and rgb is not None:
            image = image + self.upsample(rgb)
        return x, image, [pair for pair in (pair0, pair1) if pair is not None]


class NTED(Generator):
    """The generator.

    Args:
        config: channels, textures and kernels of each level.
        pose_channels: channels of the pose maps.
        num_steps: S; with S = 1 it is the published generator, with no canvas and no step image.
    """

    Config = NTEDConfig
    has_textures = True
    takes_several = True

    def __init__(self, config: NTEDConfig, pose_channels: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps, self.stepwise, self.step_input = num_steps, num_steps > 1, config.step_input
        levels = list(zip(config.channels, config.num_textures, config.kernel_sizes, strict=True))
        self.needs_source_pose = config.source_pose
        self.pose_filters = nn.ModuleDict(
            {str(halved): PoseFilters(pose_channels, k) for halved, k in enumerate(config.num_textures[::-1]) if k}
            if config.source_pose
            else {}
        )
        self.reference_encoder = Encoder(3 + pose_channels * config.source_pose, config.channels)
        self.extractions = nn.ModuleList(
            nn.ModuleList(TextureExtraction(*level) for _ in range(2 if level[1] else 0)) for level in levels[-2::-1]
        )
        self.skeleton_encoder = Encoder(pose_channels + canvas_channels(config, num_steps), config.channels)
        inputs = (config.channels[0], *config.channels)
        self.renderer = nn.ModuleList(
            RenderLevel(c_in, *level, upsample=index > 0)
            for index, (c_in, level) in enumerate(zip(inputs, levels, strict=False))
        )

    def encode_source(self, source_image: Tensor, source_pose: Tensor | None, step: Tensor | None) -> Encoded:
        """What depends on the source alone; arguments as in `forward`."""
        count, source = num_sources(source_image), flat_sources(source_image)
        if self.step_input == "added":
            source = self._with_step(source, None if step is None else for_each(step, count))
        pose = None
        if self.needs_source_pose:
            assert source_pose is not None, "this network sees the source's pose"
            pose = flat_sources(source_pose)
            source = torch.cat((source, pose), dim=1)
        textures: list[Textures] = [()]  # the finest level has none
        for operations, feature in zip(self.extractions, self.reference_encoder(source), strict=True):
            logits = self._pose_logits(len(textures), pose)
            textures.append(_extract(operations, feature, count, logits) if len(operations) else ())  # type: ignore[arg-type]
        return tuple(textures[::-1])

    def draw(
        self, encoded: Encoded, target_pose: Tensor, canvas: Tensor | None, step: Tensor | None
    ) -> GeneratorOutput:
        """Draw what `encode_source` gave in poses (B, P, H, W), over canvases (B, 3, H, W)."""
        pose = target_pose
        if self.stepwise:
            assert canvas is not None, "a step needs a canvas"
            over = self._with_step(canvas, step)
            # as published; beside the canvas all that is new comes last, so that a one-step network can grow into it
            parts = (target_pose, over) if self.step_input == "channel" else (over, target_pose)
            target_pose = torch.cat(parts, dim=1)
        x, rgb, pairs = self.skeleton_encoder(target_pose)[-1], None, []
        halvings = reversed(range(len(self.renderer)))
        for level, textures, halved in zip(self.renderer, encoded, halvings, strict=True):
            x, rgb, level_pairs = level(x, rgb, textures, self._pose_logits(halved, pose))
            pairs += level_pairs
        assert rgb is not None
        return GeneratorOutput(rgb.float(), textures=tuple(pairs))

    def _pose_logits(self, halved: int, pose: Tensor | None) -> Logits:
        """What the poses (B, P, H, W) alone say of both textures of the level that is `halved` times smaller."""
        if pose is None or str(halved) not in self.pose_filters:
            return None, None
        return self.pose_filters[str(halved)](pose, 2**halved)  # type: ignore[no-any-return]

    def _with_step(self, image: Tensor, step: Tensor | None) -> Tensor:
        if not self.stepwise:
            return image
        assert step is not None, "a step needs its number"
        size = (image.shape[2], image.shape[3])
        if self.step_input == "channel":
            return torch.cat((image, step_plane(step, size, self.num_steps)), dim=1)
        return image + nted_step_image(step, size)


def _extract(operations: nn.ModuleList, feature: Tensor, count: int, logits: Logits) -> tuple[Texture, Texture]:
    """Both extractions of a level; they filter the same standardised feature."""
    standardised = _standardise(feature)
    first, second = (
        operation(feature, standardised, count, added) for operation, added in zip(operations, logits, strict=True)
    )
    return first, second


def _sum(found: Tensor, added: Tensor | None) -> Tensor:
    return found if added is None else found + added


def _standardise(x: Tensor) -> Tensor:
    """Subtract the channel mean and divide by the channel deviation, at every position; statistics in fp32."""
    channels = x.shape[1]
    # no autocast: it would give fp32 back. The guard is 1e-8 beside the L2 norm, sqrt(C) times the deviation
    with torch.autocast(x.device.type, enabled=False):
        return F.layer_norm(x.permute(0, 2, 3, 1), (channels,), eps=1e-16 / channels).permute(0, 3, 1, 2)
