"""Face crops: the same box as the published losses, cut in one batched product."""

from __future__ import annotations

import torch
from torch import Tensor


def face_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """Square crops around the eyes, resized bilinearly (aligned corners) to side H // 32 * 8.

    The side of a crop is min(W, max(32, int(2.5 * (x15 - x14)))); it is centred between the eyes and shifted to stay
    inside. Cropping and resizing are linear and separable, so a sample is one row and one column matrix.

    Args:
        images: (B, 3, H, W). boxes: (B, 4), the eyes (x14, y14, x15, y15) in pixels, four -1 where missing.

    Returns:
        (B, 3, side, side); zeros where the eyes are missing.
    """
    height, width = images.shape[2:]
    out = height // 32 * 8
    x_left, y_left, x_right, y_right = boxes.float().unbind(1)
    side = ((x_right - x_left) * 2.5).trunc().clamp(min=32).clamp(max=min(width, height))
    found = (boxes >= 0).all(dim=1)
    rows = _crop_matrix((y_left + y_right) / 2, side, height, out)
    columns = _crop_matrix((x_left + x_right) / 2, side, width, out)
    with torch.autocast(images.device.type, enabled=False):
        crops = rows[:, None] @ images.float() @ columns[:, None].mT
    return crops * found.view(-1, 1, 1, 1)


def _crop_matrix(centre: Tensor, side: Tensor, size: int, out: int) -> Tensor:
    """(B, out, size) matrices that interpolate `out` points of [start, start + side - 1]."""
    start = ((centre.floor() - (side / 2).floor()).clamp(min=0)).minimum(size - side)
    steps = torch.linspace(0, 1, out, device=centre.device)
    position = start[:, None] + steps * (side - 1)[:, None]
    pixels = torch.arange(size, device=centre.device)
    return (1 - (position[..., None] - pixels).abs()).clamp(min=0)
