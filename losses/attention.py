"""NTED's attention reconstruction loss (Ren et al., CVPR 2022, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class TexturePair(Protocol):
    """extraction: (B, K, N*h*w), over all N sources; distribution: (B, K, h*w); size: (h, w)."""

    extraction: Tensor
    distribution: Tensor
    size: tuple[int, int]


def attention_reconstruction(pairs: Sequence[TexturePair], source_image: Tensor, target_image: Tensor) -> Tensor:
    """Mean L1 over texture pairs between the target and the source warped by extraction and distribution.

    Images (B, 3, H, W) are resized to each pair's size by nearest neighbour; several sources (B, N, 3, H, W) are warped
    as they are read, all together. Raises ValueError without pairs.
    """
    if not pairs:
        raise ValueError("the attention reconstruction loss needs a generator with textures; set objective.attention=0")
    return torch.stack([_warp_loss(pair, source_image, target_image) for pair in pairs]).mean()


def _warp_loss(pair: TexturePair, source_image: Tensor, target_image: Tensor) -> Tensor:
    source, target = _positions(source_image, pair.size), _positions(target_image, pair.size)
    with torch.autocast(source.device.type, enabled=False):
        warped = source.float() @ pair.extraction.float().mT @ pair.distribution.float()
    return F.l1_loss(warped, target.float())


def _positions(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 3, H, W) or (B, N, 3, H, W) to (B, 3, h*w) or (B, 3, N*h*w), by nearest neighbour."""
    if images.ndim == 5:
        return torch.cat([_positions(image, size) for image in images.unbind(1)], dim=2)
    return F.interpolate(images, size).flatten(2)
