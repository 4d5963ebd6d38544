"""A U-Net with skip connections (Isola et al., *pix2pix*, CVPR 2017): the plain baseline of pose transfer."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from config.section import Widths
from models.generator import Generator, GeneratorConfig, canvas_channels
from models.layers import GeneratorOutput, InstanceNorm, nted_step_image, step_plane

Encoded = tuple[Tensor, Tensor]  # the source image and its pose: nothing is computed of them alone


class UNetConfig(GeneratorConfig):
    """U-Net. The list runs from the finest level down."""

    kind: Literal["unet"] = "unet"
    channels: Widths = Field((64, 128, 256, 512, 512), description="channels of each level")

    @property
    def size_multiple(self) -> int:
        """Two for each level but the finest."""
        return 2 ** (len(self.channels) - 1)


class UNet(Generator):
    """The generator: source image, both poses and the canvas are joined at its input.

    Instance norm in place of batch norm, so that no sample depends on the others; upsampling by repetition and a
    convolution, which leaves no checkerboard.

    Args:
        config: widths. pose_channels: channels of the pose maps. num_steps: S; with S = 1 it sees no canvas.
    """

    Config = UNetConfig
    needs_source_pose = True

    def __init__(self, config: UNetConfig, pose_channels: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps, self.stepwise, self.step_input = num_steps, num_steps > 1, config.step_input
        widths = config.channels
        self.first = nn.Conv2d(3 + 2 * pose_channels + canvas_channels(config, num_steps), widths[0], 3, padding=1)
        self.down = nn.ModuleList(_block(*pair, stride=2) for pair in itertools.pairwise(widths))
        self.up = nn.ModuleList(_block(low + high, high) for high, low in itertools.pairwise(widths))
        self.to_rgb = nn.Conv2d(widths[0], 3, 3, padding=1)

    def encode_source(self, source_image: Tensor, source_pose: Tensor, step: Tensor | None) -> Encoded:
        """As they are; arguments as in `forward`."""
        return source_image, source_pose

    def draw(
        self, encoded: Encoded, target_pose: Tensor, canvas: Tensor | None, step: Tensor | None
    ) -> GeneratorOutput:
        """The image of a step; arguments as in `forward`."""
        inputs = [*encoded, target_pose]
        if self.stepwise:
            assert canvas is not None and step is not None, "a step needs a canvas and its number"
            size = (canvas.shape[2], canvas.shape[3])
            if self.step_input == "channel":
                inputs += [canvas, step_plane(step, size, self.num_steps)]
            else:
                inputs.append(canvas + nted_step_image(step, size))
        x, skips = self.first(torch.cat(inputs, dim=1)), []
        for block in self.down:
            skips.append(x)
            x = block(x)
        for block in reversed(self.up):
            x = block(torch.cat((F.interpolate(x, scale_factor=2), skips.pop()), dim=1))
        return GeneratorOutput(torch.tanh(self.to_rgb(x)).float())


def _block(c_in: int, c_out: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, InstanceNorm(c_out, affine=True), nn.LeakyReLU(0.2, inplace=True))
