"""One source drawn in many poses: what depends on the source alone is computed once a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.layers import GeneratorOutput


class OneSource(nn.Module):
    """A generator for a single source image: what it reads of it at each step is kept; the results are the same.

    `encode_source` sees neither the target pose nor the canvas. So a batch of poses, and every later call, share one
    encoding a step. A new source needs a new `OneSource`.

    Args:
        generator: any `models.generator.Generator`.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator: Any = generator
        self._encoded: dict[int, Any] = {}

    def forward(
        self,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor,
        canvas: Tensor,
        step: Tensor,
        reconstruct: bool = False,
    ) -> GeneratorOutput:
        """As the generator's, without the reconstruction; the whole batch has one source and one step."""
        number = int(step[0])
        if number not in self._encoded:
            self._encoded[number] = self.generator.encode_source(source_image[:1], source_pose[:1], step[:1])
        return self.generator.draw(_repeated(self._encoded[number], len(target_pose)), target_pose, canvas, step)


def _repeated(encoded: Any, count: int) -> Any:
    """Tensors of batch 1, nested in tuples, to the same of batch `count`."""
    if isinstance(encoded, Tensor):
        return torch.broadcast_to(encoded, (count, *encoded.shape[1:]))
    return tuple(_repeated(part, count) for part in encoded)
