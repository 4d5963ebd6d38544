"""Features of frozen networks and the losses on them (Johnson et al., ECCV 2016; Gatys et al., CVPR 2016)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from config.section import Weight
from features.lite0 import EfficientNetLite0
from losses.objective import ObjectiveConfig

# name of the activation after each convolution, with the number of convolutions in each stage of VGG19
_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
CONTENT_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_LAYERS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

RANDOM_SEED = 0

Features = dict[str, Tensor]


class PerceptualConfig(ObjectiveConfig):
    """What objectives with perceptual losses share."""

    face: Weight = Field(1.0, description="weight of the face crop's feature loss")
    perceptual_net: Literal["vgg19", "lite0", "random"] = Field(
        "vgg19",
        description="network of the perceptual losses: torchvision's VGG19; EfficientNet-Lite0, which needs no "
        "download; VGG19 with random weights (tests)",
    )
    channel_divisor: int = Field(1, ge=1, le=64, description="a random VGG19 is narrower by this factor")

    @model_validator(mode="after")
    def _trained_nets_are_whole(self) -> PerceptualConfig:
        if self.perceptual_net != "random" and self.channel_divisor != 1:
            raise ValueError(
                f"channel_divisor must be 1 with perceptual_net: {self.perceptual_net}; perceptual_net: random can be "
                "narrower"
            )
        return self

    def check_image_size(self, height: int, width: int) -> None:
        """Raise ValueError where the face crop, a quarter of the height, would not survive VGG19's four poolings."""
        if height < 64 or width < 32:
            size = f"[{height}, {width}]"
            raise ValueError(f"data.image_size is {size}: the height must be 64 or more, the width 32 or more")


class PerceptualNet(nn.Module):
    """A frozen network whose features the losses compare.

    content_layers: names of what feature losses compare, from the finest. style_layers: of what Gram losses do in DPTN.
    """

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]

    def forward(self, images: Tensor) -> Features:
        """Images (B, 3, H, W) to the features of each layer by name."""
        raise NotImplementedError

    def normalised(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] to the range that the network was trained on."""
        raise NotImplementedError


class Lite0Features(PerceptualNet):
    """EfficientNet-Lite0's features at each of its five resolutions, half the image's and less."""

    content_layers = ("stem", "block2", "block4", "block10", "block15")
    style_layers = content_layers[:4]

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetLite0()

    def forward(self, images: Tensor) -> Features:
        x = self.net.stem(images)
        found = {"stem": x}
        for index, block in enumerate(self.net.blocks):
            x = block(x)
            if (name := f"block{index}") in self.content_layers:
                found[name] = x
        return found

    def normalised(self, images: Tensor) -> Tensor:
        """Grey levels less 127, over 128."""
        return (images * 127.5 + 0.5) / 128


class VGG19Features(PerceptualNet):
    """The frozen convolutions of torchvision's VGG19, up to the last layer asked for.

    Args:
        layers: names `reluS_N`, S the stage and N the convolution in it, both from 1.
        channel_divisor: narrower by this factor (random weights only).

    State dict names are torchvision's (`features.0.weight` ...).
    """

    content_layers, style_layers = CONTENT_LAYERS, STYLE_LAYERS

    def __init__(self, layers: Sequence[str], channel_divisor: int = 1) -> None:
        super().__init__()
        names, modules, c_in = {}, [], 3
        for stage, (width, num_convs) in enumerate(_STAGES, 1):
            for conv in range(1, num_convs + 1):
                c_out = max(width // channel_divisor, 4)
                modules += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(inplace=True)]
                names[f"relu{stage}_{conv}"], c_in = len(modules) - 1, c_out
            modules.append(nn.MaxPool2d(2))
        self.layers = {names[layer]: layer for layer in layers}
        self.features = nn.Sequential(*modules[: max(self.layers) + 1])
        self.mean: Tensor
        self.deviation: Tensor
        for name, values in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_STD)):
            # held on the device: a tensor made of numbers at every call would wait for it
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        found, x = {}, images
        for index, module in enumerate(self.features):
            x = module(x)
            if index in self.layers:
                found[self.layers[index]] = x
        return found

    def normalised(self, images: Tensor) -> Tensor:
        """To ImageNet's mean and deviation."""
        return ((images + 1) / 2 - self.mean) / self.deviation

    def initialise(self, seed: int) -> None:
        """He-normal weights that are a function of the seed, for runs that ask for random VGG weights by name."""
        random = torch.Generator().manual_seed(seed)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                fan_in = module.in_channels * 9
                module.weight.data = torch.randn(module.weight.shape, generator=random) * math.sqrt(2 / fan_in)
                module.bias.data = torch.randn(module.bias.shape, generator=random) * 0.05  # type: ignore[union-attr]

    def load_torchvision(self, state: Mapping[str, Tensor]) -> None:
        """Take the convolutions that this module has from torchvision's VGG19 state dict."""
        self.load_state_dict({key: state[key] for key in self.state_dict()})


def build_perceptual_net(config: PerceptualConfig, with_style: bool) -> PerceptualNet:
    """The network of the losses, with its style layers where asked; ValueError where its weights cannot be had."""
    if config.perceptual_net == "lite0":
        return Lite0Features()
    vgg = VGG19Features([*CONTENT_LAYERS, *(STYLE_LAYERS if with_style else ())], config.channel_divisor)
    if config.perceptual_net == "random":
        vgg.initialise(RANDOM_SEED)
    else:
        vgg.load_torchvision(imagenet_vgg19_state())
    return vgg


def imagenet_vgg19_state() -> Mapping[str, Tensor]:
    """torchvision's ImageNet weights of VGG19, through its usual cache.

    Raises:
        ValueError: the file is not there and cannot be fetched; the message says which, from where, where to put it.
    """
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        name = weights.url.rsplit("/", 1)[-1]
        raise ValueError(
            f"VGG19 weights {name} are not in {torch.hub.get_dir()}/checkpoints and could not be fetched from "
            f"{weights.url} ({error}): put the file there, or set objective.perceptual_net=lite0, which needs "
            "no download"
        ) from None


class _Gram(torch.autograd.Function):
    """Gram matrices (B, C, C) of features (B, C, h, w), in fp32.

    Of the two equal factors PyTorch would take the gradient twice, and in a layout that slows down all that follows.
    """

    @staticmethod
    def forward(context: Any, features: Tensor) -> Tensor:
        context.save_for_backward(features)
        with torch.autocast(features.device.type, enabled=False):
            flat = features.flatten(2).float()
            return flat @ flat.mT

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (features,) = context.saved_tensors
        flat, both = features.flatten(2).float(), gradient + gradient.mT
        last = features.is_contiguous(memory_format=torch.channels_last)
        return ((flat.mT @ both).mT if last else both @ flat).view_as(features).to(features.dtype)


class _MeanL1(torch.autograd.Function):
    """Mean absolute difference to features without a gradient, added up in fp32.

    PyTorch's own would copy bf16 features to fp32, and its gradient is not channels last where the features are.
    """

    @staticmethod
    def forward(context: Any, generated: Tensor, real: Tensor) -> Tensor:
        difference = generated - real
        context.save_for_backward(difference)
        return difference.abs().mean(dtype=torch.float32)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (difference,) = context.saved_tensors
        return difference.sgn().mul_(gradient / difference.numel()), None


def gram(features: Tensor) -> Tensor:
    """Gram matrices (B, C, C) of features (B, C, h, w), over C * h * w; in fp32."""
    return _Gram.apply(features) / features[0].numel()


def feature_loss(generated: Features, real: Features, layers: Sequence[str]) -> Tensor:
    """Sum over layers of the mean L1 distance of features; real ones get no gradient."""
    return torch.stack([_MeanL1.apply(generated[k], real[k]) for k in layers]).sum()


def gram_loss(generated: Features, real: Features, layers: Sequence[str]) -> Tensor:
    """Sum over layers of the mean L1 distance of Gram matrices."""
    return torch.stack([F.l1_loss(gram(generated[k]), gram(real[k])) for k in layers]).sum()
