"""The moving average of the generator, which inference uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers import advance_spectral_norm


def ema_decay(num_images: int, half_life: float) -> float:
    """Decay of one step that generates `num_images` target images: the average halves every `half_life` of them."""
    return 0.5 ** (num_images / half_life)


def settle_old_average(average: nn.Module, saved_format: int) -> None:
    """Let the singular vectors of an average from a file before format 2 become its own.

    Until then they were the live network's, so that the layers' norms could be far from 1.
    """
    if saved_format < 2:
        advance_spectral_norm(average, num_iterations=100)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * network.

    Spectral norm divides by the average's own singular values: its vectors follow the averaged weights.
    """
    averages: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(averages, list(network.parameters()), 1 - decay)
    advance_spectral_norm(average)
