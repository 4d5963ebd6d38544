"""Random numbers as a function of keys, the same on every device and for every batch: the one source of noise.

A key begins with its purpose, so that no number serves two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


class Purpose(IntEnum):
    """What random numbers are for: canvases of training, of drawing, where WGAN's penalty looks, shuffled labels."""

    TRAINING = 1
    DRAWING = 2
    MIX = 3
    LABEL = 4


def noise_key(purpose: Purpose, *counters: int) -> int:
    """A 64-bit key (signed) for a purpose and counters such as (seed, epoch, index, direction)."""
    key = 0
    for counter in (purpose, *counters):
        key = _mix_number(key + counter + 1)
    return _signed(key)


def normal_noise(keys: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal noise that depends on each key alone.

    A counter-based generator (SplitMix64 of Steele et al., OOPSLA 2014, on key + position) and Box-Muller: unlike
    `torch.randn` it needs no state, gives the GPU the CPU's numbers up to rounding, and never crosses the bus.

    Args:
        keys: int64, any shape, on the device that the noise should be on.
        shape: of the noise of one key.

    Returns:
        (*keys.shape, *shape) float32.
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    position = torch.arange(1, half + 1, device=keys.device) * _signed(_GOLDEN)
    bits = _mix(keys.unsqueeze(-1) + position)
    # 24 bits are what a float32 holds; the half keeps the logarithm's argument above 0
    high = ((bits >> 40) & 0xFFFFFF).float().add_(0.5).mul_(2.0**-24)
    low = ((bits >> 8) & 0xFFFFFF).float().mul_(2 * math.pi * 2.0**-24)
    radius = high.log_().mul_(-2).sqrt_()
    pair = torch.cat([radius * low.cos(), radius * low.sin()], dim=-1)
    return pair[..., :count].reshape(*keys.shape, *shape)


def uniform_noise(keys: Tensor, purpose: Purpose) -> Tensor:
    """A number uniform in [0, 1) for each key, of the keys' shape, unrelated to their normal noise; float32."""
    return (_mix(keys + _signed(_mix_number(purpose))) >> 40 & 0xFFFFFF).float() * 2.0**-24


def _mix(bits: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 (products wrap around; shifts are made logical)."""
    bits = (bits ^ _shift(bits, 30)) * _signed(_FIRST)
    bits = (bits ^ _shift(bits, 27)) * _signed(_SECOND)
    return bits ^ _shift(bits, 31)


def _mix_number(bits: int) -> int:
    """`_mix` of one unsigned number."""
    bits &= _MASK
    bits = (bits ^ bits >> 30) * _FIRST & _MASK
    bits = (bits ^ bits >> 27) * _SECOND & _MASK
    return bits ^ bits >> 31


def _shift(bits: Tensor, count: int) -> Tensor:
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value
