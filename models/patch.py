"""The 70x70 patch discriminator of pix2pix (Isola et al., CVPR 2017, appendix 6.1.2)."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from config.section import Widths
from models.discriminators import Discriminator, DiscriminatorConfig
from models.layers import DiscriminatorOutput


class PatchConfig(DiscriminatorConfig):
    """Patch discriminator. The list runs from the finest level down; all but the last halve the size."""

    kind: Literal["patch"] = "patch"
    channels: Widths = Field((64, 128, 256, 512), description="channels of each convolution")

    @property
    def smallest_side(self) -> int:
        """Two for each halving, and the two unpadded pixels that the last convolutions take away."""
        return 2 ** (len(self.channels) + 1)


class PatchDiscriminator(Discriminator):
    """Convolutions 4x4 with instance norm but on the first; what is about steps sees the mean of the last features.

    Args: as `models.discriminators.ResidualDiscriminator`.
    """

    Config = PatchConfig

    def __init__(self, config: PatchConfig, image_size: tuple[int, int], num_steps: int) -> None:
        super().__init__()
        widths, last = config.channels, len(config.channels) - 1
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for index, (c_in, c_out) in enumerate(itertools.pairwise(widths), 1):
            conv = nn.Conv2d(c_in, c_out, 4, 1 if index == last else 2, 1, bias=False)
            layers += [conv, nn.InstanceNorm2d(c_out), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.score = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.add_step_part(config, (widths[-1],), num_steps)

    def forward(self, images: Tensor, step: Tensor) -> DiscriminatorOutput:
        """Images (B, 3, H, W) to a score map (B, 1, h, w) and step log-probabilities (B, S)."""
        features = self.features(images)
        return self.verdict(self.score(features), features.mean(dim=(2, 3)), step)
