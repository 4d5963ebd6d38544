"""Appearance control: one person drawn with the texture of two sources, wholly or by region.

A generator takes in its source's texture in a few places, its `TextureSite`s: NTED after each texture distribution,
DPTN after the cross-attention of each texture transfer block. `Blended` runs both sources side by side as the halves of
a batch and, in each of these places, replaces what both halves got by a weighted sum. All else that the halves hold is
equal from there on, so with weight 0 everywhere the result is the first source's, with 1 the second's.

In NTED this is an interpolation of the textures themselves, as what a position gets is linear in them (Ren et al., CVPR
2022, section 3.3); in DPTN one of the source features that were attended to (Zhang et al., CVPR 2022, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import GeneratorOutput, TextureSite
from models.rollout import Pair, join_pairs

Size = tuple[int, int]


class Blended(nn.Module):
    """A generator with the forward of its own kind, for batches whose second half is the other source.

    Args:
        generator: any with texture sites.
        weight: (B, 1, H, W) in [0, 1]: the share of the second source at each position of the target.

    Raises:
        ValueError: the generator has none.
    """

    def __init__(self, generator: nn.Module, weight: Tensor) -> None:
        super().__init__()
        self.generator, self.weight = generator, weight
        self.sites = [module for module in generator.modules() if isinstance(module, TextureSite)]
        if not self.sites:
            raise ValueError(f"a {type(generator).__name__} cannot blend two sources; take a generator with textures")

    def forward(
        self,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor,
        canvas: Tensor,
        step: Tensor,
        reconstruct: bool = False,
    ) -> GeneratorOutput:
        """As the generator's; the two halves of the image are equal."""
        # start canvases show the sources; later ones are equal already
        canvas = self._blend(canvas)
        with self._hooks():
            return self.generator(source_image, source_pose, target_pose, canvas, step, reconstruct)

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        hooks = [site.register_forward_hook(lambda site, inputs, texture: self._mix(texture)) for site in self.sites]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _mix(self, texture: Tensor) -> Tensor:
        return self._blend(texture) if texture.ndim == 4 else self._blend_tokens(texture)

    def _blend(self, x: Tensor) -> Tensor:
        """(2B, C, h, w) to the same with both halves their weighted sum."""
        first, second = x.chunk(2)
        weight = F.interpolate(self.weight, (x.shape[2], x.shape[3]), mode="area").to(x.dtype)
        return torch.lerp(first, second, weight).repeat(2, 1, 1, 1)

    def _blend_tokens(self, tokens: Tensor) -> Tensor:
        size = token_grid(tokens.shape[1], (self.weight.shape[2], self.weight.shape[3]))
        return self._blend(tokens.mT.unflatten(2, size)).flatten(2).mT


def token_grid(num_tokens: int, size: Size) -> Size:
    """(h, w) of the tokens of an (H, W) image: the sides of it, divided by one power of two."""
    height, width = size
    while height * width > num_tokens:
        height, width = height // 2, width // 2
    assert height * width == num_tokens, "tokens keep the image's ratio"
    return height, width


def blend_inputs(first: Pair, second: Pair, noise: Tensor) -> tuple[Pair, Tensor]:
    """The batch of both sources that `Blended` takes, and its noise."""
    assert torch.equal(first.target_pose, second.target_pose), "two sources are blended in one pose"
    return join_pairs([first, second]), noise.repeat(2, 1, 1, 1)


def first_half(images: Iterator[Tensor]) -> Iterator[Tensor]:
    """The images of a blended rollout, once."""
    for image in images:
        yield image[: len(image) // 2]
