"""Attention between tokens, and attention that begins where the poses are alike (not in the papers)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.device import fused_attention_is_slow

# length of the pose maps' means around a token from which on something is near: a lone joint's, with the published
# strokes, is twice that where it lies
_NEAR = 0.05


class Attention(nn.MultiheadAttention):
    """Multi-head attention on (B, tokens, C) that returns the features alone, by PyTorch's faster kernels."""

    def __init__(self, width: int, nhead: int) -> None:
        super().__init__(width, nhead, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, likeness: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Tokens to tokens; likeness (B, queries, keys) of their poses, for those that look at it."""
        # asked for its weights PyTorch multiplies matrices one after the other
        plain = fused_attention_is_slow(query.device)
        mask = self._added(likeness)
        return super().forward(query, key, value, need_weights=plain, attn_mask=mask, average_attn_weights=False)[0]

    def weights(self, query: Tensor, key: Tensor, value: Tensor, likeness: Tensor | None = None) -> Tensor:
        """(B, queries, keys): how much each query takes from each key, the mean over the heads."""
        mask = self._added(likeness)
        return cast(Tensor, super().forward(query, key, value, need_weights=True, attn_mask=mask)[1])

    def _added(self, likeness: Tensor | None) -> Tensor | None:
        """What is added to the logits, (B * heads, queries, keys)."""
        return None


class PoseAttention(Attention):
    """Cross-attention whose heads begin by looking where the same keypoints are, each as strongly as it learns to.

    `GAIN`: what a perfect likeness adds to a logit at first.
    """

    GAIN = 8.0

    def __init__(self, width: int, nhead: int) -> None:
        super().__init__(width, nhead)
        self.pose_gain = nn.Parameter(torch.full((nhead,), self.GAIN))

    def _added(self, likeness: Tensor | None) -> Tensor:
        assert likeness is not None, "pose attention needs the likeness of the poses"
        return (self.pose_gain.view(-1, 1, 1) * likeness.unsqueeze(1)).flatten(0, 1)


def near_maps(pose: Tensor, stride: int) -> Tensor:
    """Which pose maps (B, P, H, W) are near each token, (B, h*w, P + 1) of length 1; the last one stands for none."""
    near = tokens(F.avg_pool2d(F.avg_pool2d(pose, stride), 3, stride=1, padding=1))
    nothing = (_NEAR - near.norm(dim=2, keepdim=True)).clamp(min=0)
    return F.normalize(torch.cat((near, nothing), dim=2), dim=2)


def tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h*w, C)."""
    return x.flatten(2).mT
