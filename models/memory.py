"""One source drawn in many poses: what depends on the source alone is computed once a step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers import GeneratorOutput
from models.nted import NTED, Texture


class OneSource(nn.Module):
    """NTED for a single source image: its textures at each step are kept, and the results are the same.

    The source encoder sees the source and the step image, never the pose or the canvas. So a batch of poses, and every
    later call, share one extraction a step. A new source needs a new `OneSource`.

    Args:
        generator: an NTED.

    Raises:
        ValueError: it is not.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        if not isinstance(generator, NTED):
            raise ValueError("only an NTED generator keeps its source apart from the pose and the canvas")
        self.generator = generator
        self._textures: dict[int, list[tuple[Texture, Texture] | None]] = {}

    def forward(
        self,
        source_image: Tensor,
        source_pose: Tensor | None,
        target_pose: Tensor,
        canvas: Tensor,
        step: Tensor,
        reconstruct: bool = False,
    ) -> GeneratorOutput:
        """As `NTED.forward`; the whole batch has one source and one step."""
        number = int(step[0])
        if number not in self._textures:
            self._textures[number] = self.generator.extract(source_image[:1], step[:1])
        count = target_pose.shape[0]
        textures = [None if level is None else _repeated(level, count) for level in self._textures[number]]
        return self.generator.render(textures, target_pose, canvas, step)


def _repeated(level: tuple[Texture, Texture], count: int) -> tuple[Texture, Texture]:
    first, second = ((_expand(values, count), _expand(extraction, count)) for values, extraction in level)
    return first, second


def _expand(x: Tensor, count: int) -> Tensor:
    return torch.broadcast_to(x, (count, *x.shape[1:]))
