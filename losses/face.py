"""Face crops: the same box as the published losses, cut in one batched product."""

from __future__ import annotations

import torch
from torch import Tensor


def face_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """Square crops around the eyes, resized bilinearly (aligned corners) to side H // 32 * 8.

    The side of a crop is min(W, max(32, int(2.5 * (x15 - x14)))) rounded down to an even number; it is centred between
    the eyes and shifted to stay inside. Cropping and resizing are linear and separable, so a sample is one row and
    one column matrix.

    Args:
        images: (B, 3, H, W). boxes: (B, 4), the eyes (x14, y14, x15, y15) in pixels, four -1 where missing.

    Returns:
        (B, 3, side, side); zeros where the eyes are missing.
    """
    height, width = images.shape[2:]
    out = height // 32 * 8
    x_left, y_left, x_right, y_right = boxes.float().unbind(1)
    half = (((x_right - x_left) * 2.5).trunc().clamp(min=32).clamp(max=min(width, height)) / 2).floor()
    found = (boxes >= 0).all(dim=1)
    rows = _crop_matrix((y_left + y_right) / 2, half, height, out)
    columns = _crop_matrix((x_left + x_right) / 2, half, width, out)
    with torch.autocast(images.device.type, enabled=False):
        crops = rows[:, None] @ images.float() @ columns[:, None].mT
    return crops * found.view(-1, 1, 1, 1)


def _crop_matrix(centre: Tensor, half: Tensor, size: int, out: int) -> Tensor:
    """(B, out, size) matrices that interpolate `out` points of the `2 * half` pixels around a centre."""
    start = (centre.floor() - half).clamp(min=0).minimum(size - 2 * half)
    steps = torch.linspace(0, 1, out, device=centre.device)
    position = start[:, None] + steps * (2 * half - 1)[:, None]
    pixels = torch.arange(size, device=centre.device)
    return (1 - (position[..., None] - pixels).abs()).clamp(min=0)
