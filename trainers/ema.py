"""The moving average of the generator, which inference uses."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def ema_decay(num_images: int, half_life: float) -> float:
    """Decay of one step that generates `num_images` target images: the average halves every `half_life` of them."""
    return 0.5 ** (num_images / half_life)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * network; buffers (spectral norm's vectors) are copied."""
    averages: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(averages, list(network.parameters()), 1 - decay)
    for copy, buffer in zip(average.buffers(), network.buffers(), strict=True):
        copy.copy_(buffer)
