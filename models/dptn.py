"""DPTN: dual-task Pose Transformer Network (Zhang et al., CVPR 2022), one-step and step by step."""

from __future__ import annotations

import itertools
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from models.attention import Attention, PoseAttention, near_maps, tokens
from models.generator import Generator, GeneratorConfig, canvas_channels
from models.layers import (
    GeneratorOutput,
    InstanceNorm,
    TextureSite,
    dptn_step_image,
    instance_norm,
    maybe_spectral_norm,
    step_plane,
)
from models.sources import flat_sources, for_each, num_sources

# context and source tokens (B, N*h*w, C); where both branches see it, also the source image and its pose; for pose
# attention, also what lies near those tokens
Encoded = tuple[Tensor, Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]


class DPTNConfig(GeneratorConfig):
    """Dual-task Pose Transformer Network (Zhang et al., CVPR 2022)."""

    kind: Literal["dptn"] = "dptn"
    ngf: int = Field(64, ge=1, description="channels of the first level; doubled each level")
    img_f: int = Field(512, ge=1, description="the most channels")
    num_levels: int = Field(3, ge=1, le=8, description="stride-2 blocks in an encoder")
    num_blocks: int = Field(3, ge=0, le=32, description="residual blocks of the content encoder")
    nhead: int = Field(2, ge=1, description="attention heads; divides the token width")
    num_CABs: int = Field(2, ge=0, le=32, description="context augment blocks")
    num_TTBs: int = Field(2, ge=1, le=32, description="texture transfer blocks")
    source_to_both: bool = Field(
        False, description="with several steps too, the transformation branch sees the source image and its pose"
    )
    pose_attention: bool = Field(
        False, description="texture transfer begins by looking where the same keypoints are (not in the paper)"
    )
    spectral_norm: bool = Field(True, description="spectral norm on every convolution")
    init: Literal["xavier", "orthogonal"] = Field("xavier", description="initialisation of convolutions")
    init_gain: float = Field(
        0.02, gt=0, description="gain of that; without spectral norm, 1 lets short trainings find the source's colours"
    )

    def check_pose(self, form: str) -> None:
        """Pose attention compares maps that are 0 away from what they show: raises ValueError for distances."""
        if self.pose_attention and form == "skeleton":
            raise ValueError(
                "generator.pose_attention needs maps that are 0 away from what they show: set data.pose=joints_limbs"
            )

    @property
    def canvas_is_last(self) -> bool:
        """Where both branches see the source."""
        return self.source_to_both

    @property
    def widths(self) -> list[int]:
        """Channels of each level, from the finest."""
        return [min(self.ngf * 2**level, self.img_f) for level in range(self.num_levels)]

    @property
    def size_multiple(self) -> int:
        """Two for each level."""
        return 2**self.num_levels

    @model_validator(mode="after")
    def _heads_divide(self) -> DPTNConfig:
        if self.widths[-1] % self.nhead:
            raise ValueError(f"nhead is {self.nhead}: it must divide the token width {self.widths[-1]}")
        return self


def _norm_act(channels: int) -> list[nn.Module]:
    return [InstanceNorm(channels, affine=True), nn.LeakyReLU(0.1, inplace=True)]


class _Blocks:
    """Makes the blocks of section 3 of the paper; convolutions are initialised with `gain`."""

    def __init__(self, spectral_norm: bool, init: str, gain: float) -> None:
        self.spectral_norm, self.gain = spectral_norm, gain
        self.initialise = nn.init.xavier_normal_ if init == "xavier" else nn.init.orthogonal_

    def conv(self, c_in: int, c_out: int, kernel_size: int, stride: int = 1, padding: int = 0) -> nn.Module:
        return self._finish(nn.Conv2d(c_in, c_out, kernel_size, stride, padding))

    def up_conv(self, c_in: int, c_out: int) -> nn.Module:
        return self._finish(nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1))

    def _finish(self, layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
        self.initialise(layer.weight, gain=self.gain)
        return maybe_spectral_norm(layer, self.spectral_norm)

    def first(self, c_in: int, c_out: int) -> nn.Module:
        return Block(self.conv(c_in, c_out, 4, 2, 1), *_norm_act(c_out), self.conv(c_out, c_out, 3, 1, 1))

    def encoder(self, c_in: int, c_out: int) -> nn.Module:
        down = self.conv(c_in, c_out, 4, 2, 1)
        return Block(*_norm_act(c_in), down, *_norm_act(c_out), self.conv(c_out, c_out, 3, 1, 1))

    def encoders(self, c_in: int, widths: list[int]) -> nn.Sequential:
        blocks = nn.Sequential()
        blocks.add_module("block0", self.first(c_in, widths[0]))
        for index, pair in enumerate(itertools.pairwise(widths)):
            blocks.add_module(f"encoder{index}", self.encoder(*pair))
        return blocks

    def residual(self, channels: int) -> nn.Module:
        layers = [*_norm_act(channels), self.conv(channels, channels, 3, 1, 1)]
        layers += [*_norm_act(channels), self.conv(channels, channels, 3, 1, 1)]
        return Block(*layers, shortcut=self.conv(channels, channels, 1))

    def decoder(self, c_in: int, c_out: int) -> nn.Module:
        hidden = min(c_in, c_out)
        layers = [*_norm_act(c_in), self.conv(c_in, hidden, 3, 1, 1), *_norm_act(hidden), self.up_conv(hidden, c_out)]
        return DecoderBlock(*layers, shortcut=self.up_conv(c_in, c_out))

    def output(self, c_in: int) -> nn.Module:
        return Block(nn.LeakyReLU(0.1, inplace=True), nn.ReflectionPad2d(1), self.conv(c_in, 3, 3), nn.Tanh())


class Block(nn.Module):
    """Layers in a row, plus a shortcut where there is one."""

    def __init__(self, *layers: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.shortcut is None else self.model(x) + self.shortcut(x)


class DecoderBlock(Block):
    """A block whose last layer and shortcut are transposed convolutions: their sum is one, over the joined channels."""

    def forward(self, x: Tensor) -> Tensor:
        *layers, last = self.model
        hidden, main, shortcut = x, cast(nn.ConvTranspose2d, last), cast(nn.ConvTranspose2d, self.shortcut)
        for layer in layers:
            hidden = layer(hidden)
        weight, bias = torch.cat((main.weight, shortcut.weight)), main.bias + shortcut.bias  # type: ignore[operator]
        joined = torch.cat((hidden, x), dim=1)
        return F.conv_transpose2d(joined, weight, bias, stride=2, padding=1, output_padding=1)


class TokenNorm(nn.InstanceNorm1d):
    """Instance norm of (B, tokens, C) over the tokens, affine."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(x.mT, self.weight, self.bias).mT.contiguous()


class FeedForward(nn.Sequential):
    """Two linear layers of the same width."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width), nn.LeakyReLU(0.1, inplace=True), nn.Linear(width, width))


class ContextAugmentBlock(nn.Module):
    """Self-attention over the self-reconstruction feature (section 3.3 of the paper)."""

    def __init__(self, width: int, nhead: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, nhead)
        self.feed_forward = FeedForward(width)
        self.norm1, self.norm2 = TokenNorm(width), TokenNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, h*w, C) to tokens."""
        x = self.norm1(x + self.self_attn(x, x, x))
        return self.norm2(x + self.feed_forward(x))


class TextureTransferBlock(nn.Module):
    """Cross-attention from the transformation feature to the source feature, by the context (section 3.3)."""

    def __init__(self, width: int, nhead: int, pose_attention: bool = False) -> None:
        super().__init__()
        self.self_attn = Attention(width, nhead)
        self.cross_attn = (PoseAttention if pose_attention else Attention)(width, nhead)
        self.feed_forward = FeedForward(width)
        self.norm1, self.norm2, self.norm3 = TokenNorm(width), TokenNorm(width), TokenNorm(width)
        self.site = TextureSite()

    def forward(self, y: Tensor, context: Tensor, source: Tensor, likeness: Tensor | None = None) -> Tensor:
        """Tokens (B, h*w, C) each; likeness (B, queries, keys) of their poses, for pose attention."""
        y = self.norm1(y + self.self_attn(y, y, y))
        y = self.norm2(y + self.site(self.cross_attn(y, context, source, likeness)))
        return self.norm3(y + self.feed_forward(y))


class PoseTransformerModule(nn.Module):
    """Correlates the two tasks: context augment blocks, then texture transfer blocks (section 3.3)."""

    def __init__(self, width: int, config: DPTNConfig) -> None:
        super().__init__()
        nhead, pose_attention = config.nhead, config.pose_attention
        self.CABs = nn.ModuleList(ContextAugmentBlock(width, nhead) for _ in range(config.num_CABs))
        self.TTBs = nn.ModuleList(TextureTransferBlock(width, nhead, pose_attention) for _ in range(config.num_TTBs))
        self.norm = TokenNorm(width)
        # with S = 1 the transformation branch sees the source too; with S > 1 it is free of it
        self.site = TextureSite()

    def context(self, reconstruction: Tensor) -> Tensor:
        """The reconstruction feature (B, C, h, w) to context tokens (B, h*w, C)."""
        context = tokens(reconstruction)
        for augment in self.CABs:
            context = augment(context)
        return context

    def forward(self, transformation: Tensor, context: Tensor, source: Tensor, likeness: Tensor | None) -> Tensor:
        """The transformation feature (B, C, h, w) with the texture of source tokens (B, h*w, C), by their context."""
        y = tokens(self.site(transformation))
        for transfer in self.TTBs:
            y = transfer(y, context, source, likeness)
        return self.norm(y).mT.reshape_as(transformation)


class DPTN(Generator):
    """The generator.

    Args:
        config: widths and numbers of blocks.
        pose_channels: channels of the pose maps.
        num_steps: S; with S = 1 it is the published generator: both branches see the source image, its pose and
            their own pose, and there is no canvas and no step image.
    """

    Config = DPTNConfig
    needs_source_pose = True
    reconstructs = True
    takes_several = True

    def __init__(self, config: DPTNConfig, pose_channels: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps, self.stepwise, self.step_input = num_steps, num_steps > 1, config.step_input
        self.source_to_both = config.source_to_both or not self.stepwise
        make = _Blocks(config.spectral_norm, config.init, config.init_gain)
        widths = config.widths
        content_channels = pose_channels + canvas_channels(config, num_steps)
        content_channels += 3 + pose_channels if self.source_to_both else 0
        self.content_encoder = make.encoders(content_channels, widths)
        for index in range(config.num_blocks):
            self.content_encoder.add_module(f"mblock{index}", make.residual(widths[-1]))
        self.source_encoder = make.encoders(3, widths)
        self.PTM = PoseTransformerModule(widths[-1], config)
        self.pose_attention, self.stride = config.pose_attention, config.size_multiple
        self.decoder = nn.Sequential()
        for index, pair in enumerate(itertools.pairwise([*widths[::-1], widths[0]])):
            self.decoder.add_module(f"decoder{index}", make.decoder(*pair))
        self.decoder.add_module("outconv", make.output(widths[0]))

    def encode_source(self, source_image: Tensor, source_pose: Tensor, step: Tensor | None) -> Encoded:
        """What depends on the source alone; arguments as in `forward`."""
        source = self._numbered(source_image, step)
        context = self.PTM.context(self.content_encoder(self._own(source, source_pose)))
        texture, count = tokens(self.source_encoder(flat_sources(source))), num_sources(source)
        seen = (source, source_pose) if self.source_to_both else ()
        return _all_tokens(context, count), _all_tokens(texture, count), seen, self._nearby(source_pose)

    def draw(
        self, encoded: Encoded, target_pose: Tensor, canvas: Tensor | None, step: Tensor | None
    ) -> GeneratorOutput:
        """Draw what `encode_source` gave in poses (B, P, H, W), over canvases (B, 3, H, W)."""
        context, texture, source, nearby = encoded
        other = self._mean(self.content_encoder(self._other(source, target_pose, canvas, step)), source)
        feature = self.PTM(other, context, texture, self._likeness(target_pose, nearby))
        return GeneratorOutput(self.decoder(feature).float())

    def forward(
        self,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor,
        canvas: Tensor | None = None,
        step: Tensor | None = None,
        reconstruct: bool = False,
    ) -> GeneratorOutput:
        """As every generator's; with the (first) source asked for, both tasks run as one batch."""
        if not reconstruct:
            return self.draw(self.encode_source(source_image, source_pose, step), target_pose, canvas, step)
        # both tasks share the content encoder and the decoder, so each runs once on the joined batch
        source = self._numbered(source_image, step)
        own, other = self._own(source, source_pose), self._other((source, source_pose), target_pose, canvas, step)
        reconstruction, transformation = self.content_encoder(torch.cat((own, other))).split([len(own), len(other)])
        texture, count = tokens(self.source_encoder(flat_sources(source))), num_sources(source)
        context = _all_tokens(self.PTM.context(reconstruction), count)
        likeness = self._likeness(target_pose, self._nearby(source_pose))
        feature = self.PTM(self._mean(transformation, (source,)), context, _all_tokens(texture, count), likeness)
        return GeneratorOutput(*self.decoder(torch.cat((feature, reconstruction[::count]))).float().chunk(2))

    def _own(self, source: Tensor, source_pose: Tensor) -> Tensor:
        """What the content encoder sees for the self-reconstruction of each source: itself in place of the canvas."""
        source, source_pose = flat_sources(source), flat_sources(source_pose)
        over = [source] if self.stepwise else []
        if self.stepwise and self.step_input == "channel":
            over.append(torch.zeros_like(source[:, :1]))
        return self._seen((source, source_pose), source_pose, over)

    def _other(
        self, source: tuple[Tensor, ...], target_pose: Tensor, canvas: Tensor | None, step: Tensor | None
    ) -> Tensor:
        """What the content encoder sees for the transformation: the canvas, each source and its pose, or both."""
        if not self.stepwise:
            return self._seen(source, target_pose, [])
        assert canvas is not None and step is not None, "a step needs a canvas and its number"
        size = (canvas.shape[2], canvas.shape[3])
        if self.step_input == "channel":
            return self._seen(source, target_pose, [canvas, step_plane(step, size, self.num_steps)])
        return self._seen(source, target_pose, [canvas + dptn_step_image(step + 1, size)])

    def _seen(self, source: tuple[Tensor, ...], pose: Tensor, over: list[Tensor]) -> Tensor:
        """In the published orders; all that is over those comes last, so that a one-step network can grow into it."""
        if not self.source_to_both:
            return torch.cat([*over, pose], dim=1)
        count = num_sources(source[0])
        return torch.cat((*map(flat_sources, source), *(for_each(part, count) for part in (pose, *over))), dim=1)

    def _mean(self, transformation: Tensor, source: tuple[Tensor, ...]) -> Tensor:
        """(B, C, h, w): the mean over the sources of a sample, where the transformation branch sees them."""
        count = num_sources(source[0]) if self.source_to_both else 1
        return transformation if count == 1 else transformation.unflatten(0, (-1, count)).mean(dim=1)

    def _nearby(self, source_pose: Tensor) -> tuple[Tensor, ...]:
        """For pose attention: what lies near each token of all sources of a sample, (B, N*h*w, P + 1)."""
        if not self.pose_attention:
            return ()
        return (_all_tokens(near_maps(flat_sources(source_pose), self.stride), num_sources(source_pose)),)

    def _likeness(self, target_pose: Tensor, nearby: tuple[Tensor, ...]) -> Tensor | None:
        """For pose attention: how alike the poses are at each token of the target and of the sources."""
        return near_maps(target_pose, self.stride) @ nearby[0].mT if nearby else None

    def _numbered(self, source: Tensor, step: Tensor | None) -> Tensor:
        """The source image as the networks see it, with the step's pattern where that is added to it."""
        if not self.stepwise or self.step_input == "channel":
            return source
        assert step is not None, "a step needs its number"
        pattern = dptn_step_image(step + 2, (source.shape[-2], source.shape[-1]))
        return source + (pattern if source.ndim == 4 else pattern.unsqueeze(1))


def _all_tokens(tokens: Tensor, count: int) -> Tensor:
    """(B*N, h*w, C) to (B, N*h*w, C): the tokens of all sources of a sample in a row."""
    return tokens if count == 1 else tokens.unflatten(0, (-1, count)).flatten(1, 2)
