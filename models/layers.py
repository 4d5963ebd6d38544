"""Layers shared by the networks: StyleGAN2's equalised ones (Karras et al., CVPR 2020), spectral norm, step images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization


@dataclass
class TexturePair:
    """How one texture distribution reads the source. K textures, h x w positions.

    extraction: (B, K, N*h*w), each row sums to 1 over the positions of all N sources.
    distribution: (B, K, h*w), each column sums to 1 over the textures.
    size: (h, w).
    """

    extraction: Tensor
    distribution: Tensor
    size: tuple[int, int]


@dataclass
class GeneratorOutput:
    """What a generator gives: the image of the next level and what its losses need.

    target_image: (B, 3, H, W). source_image: (B, 3, H, W), the source redrawn, where that is asked for and the
    generator `reconstructs`.
    textures: pairs, coarse to fine, of a generator that `has_textures`.
    """

    target_image: Tensor
    source_image: Tensor | None = None
    textures: tuple[TexturePair, ...] = ()


@dataclass
class DiscriminatorOutput:
    """score: realness, any shape led by B. step_log_probs: (B, S), None without a step head."""

    score: Tensor
    step_log_probs: Tensor | None


def laid_out_as(pattern: Tensor, x: Tensor) -> Tensor:
    """(B, C, h, w) in the memory layout of another: channels last or contiguous."""
    last = pattern.is_contiguous(memory_format=torch.channels_last)
    return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


class TextureSite(nn.Identity):
    """Marks where a generator takes in the source's texture: (B, C, h, w), or tokens (B, h*w, C) of the image's ratio.

    All else that its steps compute from the target pose and the canvas is free of the source, so two sources are
    blended by hooks on these places alone.
    """


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each channel of each sample of (B, C, ...) normalised over its positions, affine."""
    if x.device.type != "cpu":
        return F.instance_norm(x, weight=weight, bias=bias)
    # the same with one channel a group, through kernels that are up to 3 times as fast on a CPU
    return F.group_norm(x.contiguous(), x.shape[1], weight, bias)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that gives back the memory layout it got: PyTorch's own leaves channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return laid_out_as(x, instance_norm(x, self.weight, self.bias))


class EqualConv2d(nn.Module):
    """Convolution with weights N(0, 1), scaled at run time by gain/sqrt(fan_in)."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        self.scale = gain / math.sqrt(c_in * kernel_size**2)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Features to features; `bias` (c_out,) in place of its own."""
        bias = self.bias if bias is None else bias
        return F.conv2d(x, self.weight * self.scale, bias, self.stride, self.padding)


class EqualUpConv2d(nn.Module):
    """Transposed convolution 3x3 of stride 2 without padding: (h, w) to (2h + 1, 2w + 1); equalised, no bias."""

    def __init__(self, c_in: int, c_out: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, 3, 3))
        self.scale = gain / math.sqrt(c_in * 9)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, (self.weight * self.scale).transpose(0, 1), stride=2)


class EqualLinear(nn.Module):
    """Linear layer with weights N(0, 1), scaled at run time by 1/sqrt(fan_in); optionally activated as StyleGAN2's."""

    def __init__(self, c_in: int, c_out: int, activate: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.activate, self.gain = activate, math.sqrt(2) if activate else 1.0
        self.scale = self.gain / math.sqrt(c_in)

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.scale, self.bias * self.gain)
        return F.leaky_relu_(x, 0.2) if self.activate else x


class BiasActivation(nn.Module):
    """StyleGAN2's activation: a bias a channel, LeakyReLU(0.2), times sqrt(2) to keep the variance of a normal input.

    LeakyReLU scales with its input, so the layer before can multiply by GAIN and add bias times GAIN in its own pass
    over the features. What is left is an activation in place.
    """

    GAIN = math.sqrt(2)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu_(x, 0.2)


class _Filter(torch.autograd.Function):
    """One filter (k, k) for every channel, with `output_padding` transposed; linear, so its gradient is its transpose.

    PyTorch's second derivative, which R1 takes, is a convolution for each channel.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, kernel: Tensor, stride: int, padding: int, output_padding: Sequence[int] | None
    ) -> Tensor:
        context.save_for_backward(kernel)
        context.stride, context.padding, context.transposed = stride, padding, output_padding is not None
        context.size, context.dtype = x.shape[2:], x.dtype
        weight = kernel.to(x.dtype).expand(x.shape[1], 1, *kernel.shape)
        if output_padding is None:
            return F.conv2d(x, weight, None, stride, padding, groups=x.shape[1])
        return F.conv_transpose2d(x, weight, None, stride, padding, list(output_padding), groups=x.shape[1])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (kernel,), stride, padding = context.saved_tensors, context.stride, context.padding
        left = None
        if not context.transposed:
            pairs = zip(context.size, gradient.shape[2:], kernel.shape, strict=True)
            left = [size - ((out - 1) * stride - 2 * padding + side) for size, out, side in pairs]
        # autocast may have rounded what came in
        return _Filter.apply(gradient, kernel, stride, padding, left).to(context.dtype), None, None, None, None


class Blur(nn.Module):
    """Low-pass filter [1, 3, 3, 1] in both directions, normalised to sum `gain`, over zero padding."""

    def __init__(self, padding: int, gain: float = 1.0, stride: int = 1) -> None:
        super().__init__()
        self.kernel: Tensor
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(taps, taps) * (gain / 64), persistent=False)
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1 and x.device.type == "cpu" and x.dtype is torch.bfloat16:
            # in bf16 the gradient of strided depthwise convolutions is 4 times as slow there as in fp32
            with torch.autocast("cpu", enabled=False):
                return self._filter(x.float()).to(x.dtype)
        return self._filter(x)

    def _filter(self, x: Tensor) -> Tensor:
        return _Filter.apply(x, self.kernel, self.stride, self.padding, None)


class Upsample(nn.Module):
    """Zero insertion x2 and blur: (h, w) to (2h, 2w)."""

    def __init__(self) -> None:
        super().__init__()
        # the transposed filter over stride 2 is zero insertion and blur with padding (2, 1), in one pass
        self.blur = Blur(0, gain=4)

    def forward(self, x: Tensor) -> Tensor:
        return _Filter.apply(x, self.blur.kernel, 2, 1, (0, 0))


class ConvLayer(nn.Module):
    """StyleGAN2's convolution layer: [blur, stride 2] convolution, bias and activation; the result times `gain`.

    A 1x1 convolution has its stride in the blur: that skips what it would not read.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel_size: int,
        downsample: bool = False,
        activate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        strides = ((2, 1) if kernel_size == 1 else (1, 2)) if downsample else (1, 1)
        padding = 0 if downsample else kernel_size // 2
        self.blur = Blur((kernel_size + 1) // 2, stride=strides[0]) if downsample else nn.Identity()
        self.gain = gain * BiasActivation.GAIN if activate else gain
        self.conv = EqualConv2d(c_in, c_out, kernel_size, strides[1], padding, bias=False, gain=self.gain)
        self.activate = BiasActivation(c_out) if activate else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.blur(x)
        if self.activate is None:
            return self.conv(x)
        return self.activate(self.conv(x, self.activate.bias * self.gain))


class StepHead(nn.Sequential):
    """ACGAN's auxiliary classifier (Odena et al., ICML 2017): flattened features to log-probabilities over S steps."""

    def __init__(self, num_features: int, num_steps: int) -> None:
        super().__init__(nn.Linear(num_features, 256), nn.ReLU(), nn.Linear(256, num_steps))

    def forward(self, features: Tensor) -> Tensor:
        return F.log_softmax(super().forward(features.flatten(1)).float(), dim=1)


class StepProjection(nn.Module):
    """Which step was asked for, told to the score: a learned vector of the step times the mean feature.

    Source: Miyato & Koyama, *cGANs with Projection Discriminator*, ICLR 2018.
    """

    def __init__(self, channels: int, num_steps: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(num_steps, channels)
        self.scale = 1 / math.sqrt(channels)

    def forward(self, features: Tensor, step: Tensor) -> Tensor:
        """Features (B, C) or (B, C, h, w) and steps (B,) to what is added to each score, (B,) float32."""
        pooled = features.float().reshape(*features.shape[:2], -1).mean(dim=2)
        return self.scale * (self.vectors(step) * pooled).sum(dim=1)


class SpectralNorm(nn.Module):
    """A weight divided by its largest singular value (Miyato et al., ICLR 2018), as a parametrisation.

    PyTorch's own iterates at every call in training, so that its vectors would depend on how often a network is
    called: on the number of steps and of micro-batches. Here they move when `advance_spectral_norm` is called, once an
    optimizer step.

    Args:
        weight: the initial weight. dim: its output dimension.
    """

    def __init__(self, weight: Tensor, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.held: Tensor | None = None  # the result while `weights_once` holds it
        matrix = self._matrix(weight.detach())
        self._u: Tensor
        self._v: Tensor
        self.register_buffer("_u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("_v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        self.advance(weight, num_iterations=15)

    def forward(self, weight: Tensor) -> Tensor:
        if self.held is not None:
            return self.held
        # clones: the vectors move in place between a forward and a later backward
        # sums, not products of matrices: autocast would round those, and with them every layer, to 8 bits
        sigma = ((self._matrix(weight) * self._v.clone()).sum(dim=1) * self._u.clone()).sum()
        return weight / sigma

    @torch.no_grad()
    def advance(self, weight: Tensor, num_iterations: int = 1) -> None:
        """Move the singular vectors towards those of `weight` by power iteration."""
        matrix = self._matrix(weight)
        for _ in range(num_iterations):
            self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=1e-12))
            self._v.copy_(F.normalize(matrix.T @ self._u, dim=0, eps=1e-12))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)


def maybe_spectral_norm(layer: nn.Conv2d | nn.ConvTranspose2d, enabled: bool) -> nn.Module:
    """The convolution, with spectral norm on its weight where enabled."""
    if enabled:
        dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim))
    return layer


def advance_spectral_norm(network: nn.Module, num_iterations: int = 1) -> None:
    """Power iterations for every spectral norm of a network."""
    for norm, weight in _spectral_norms(network):
        norm.advance(weight, num_iterations)


@contextmanager
def weights_once(network: nn.Module) -> Iterator[None]:
    """Every spectral norm of a network evaluated once for all of its calls inside; their backward belongs inside too.

    What is recomputed in backward then finds the same weights as its forward did.
    """
    norms = list(_spectral_norms(network))
    try:
        for norm, weight in norms:
            norm.held = norm(weight)
        yield
    finally:
        for norm, _ in norms:
            norm.held = None


def _spectral_norms(network: nn.Module) -> Iterator[tuple[SpectralNorm, Tensor]]:
    """Each with the weight that it divides."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            parametrization: Any = module.parametrizations
            yield parametrization.weight[0], parametrization.weight.original


def nted_step_image(step: Tensor, size: tuple[int, int]) -> Tensor:
    """The step number (B,) as (B, 1, H, W): cos then sin of k * exp(-ln(1000) i / (L/2)), L = H*W (NTED form)."""
    half = size[0] * size[1] // 2
    frequency = torch.exp(torch.arange(half, device=step.device) * (-math.log(1000) / half))
    angle = step[:, None].float() * frequency
    return torch.cat((angle.cos(), angle.sin()), dim=1).view(-1, 1, *size)


def step_plane(step: Tensor, size: tuple[int, int], num_steps: int) -> Tensor:
    """The step number (B,) in 0..S-1 as (B, 1, H, W) of one value each, from -1 to 1."""
    return (2 * step.float() / (num_steps - 1) - 1).view(-1, 1, 1, 1).expand(-1, 1, *size)


def dptn_step_image(row: Tensor, size: tuple[int, int]) -> Tensor:
    """The number (B,) as (B, 1, H, W): sin and cos of t * exp(-ln(10000) 2i / L) by turns, L = H*W (DPTN form)."""
    length = size[0] * size[1]
    frequency = torch.exp(torch.arange(0, length, 2, device=row.device) * (-math.log(10000) / length))
    angle = row[:, None].float() * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=2).view(-1, 1, *size)
