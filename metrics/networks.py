"""Networks that metrics look through: their weights files, how they are found, and what a missing one is called.

Weights live where torchvision, lpips and torch-fidelity keep them: `torch.hub.get_dir()/checkpoints` (under
`~/.cache/torch`, or `TORCH_HOME`). A file that is not there is fetched; where that fails, `MissingWeights` says which
file, from where, and where to put it. Nothing is ever put in its place.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import tempfile
import urllib.request
import warnings
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from features import lite0

CONNECT_TIMEOUT_SECONDS = 10
BLOCK_BYTES = 1 << 20

WEIGHTS_URLS = {
    "lpips_alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "lpips_vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "inception_imagenet": "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
    "inception_tensorflow": (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    ),
    "alexnet": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "keypoint_rcnn": "https://download.pytorch.org/models/keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
}


class MissingWeights(Exception):
    """A network's weights are not on this machine and could not be fetched; the message says how to get them."""


def weights_path(name: str) -> Path:
    """Where the weights of a network (a key of `WEIGHTS_URLS`, or lite0) are kept."""
    if name == "lite0":
        return lite0.weights_path()
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS_URLS[name].rsplit("/", 1)[1]


def ensure_weights(name: str) -> Path:
    """The weights file of a network, fetched where it is not there; raises MissingWeights."""
    path, url = weights_path(name), WEIGHTS_URLS[name]
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise MissingWeights(f"{path.name} is missing ({reason}); get it from {url} and put it at {path}") from None
    return path


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a weights file; raises ValueError for a damaged one or one that holds code."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"weights file {path} is damaged ({first_line}); delete it to have it fetched again") from None
    return state


def weights_hash(name: str) -> str:
    """SHA-256 of a network's weights file, in hex."""
    with weights_path(name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def feature_network(name: str, antialias: bool = False) -> nn.Module:
    """The network of that name, (B, 3, H, W) uint8 -> (B, D) pooled features; raises MissingWeights.

    `antialias` is for the way of ImageNet's Inception to its 299 pixels.
    """
    if name == "inception_imagenet":
        return InceptionImageNet(antialias)
    if name == "lite0":
        return _lite0()
    return {"inception_tensorflow": InceptionTensorFlow, "alexnet": AlexNetFeatures}[name]()


class InceptionImageNet(nn.Module):
    """Pool features of torchvision's ImageNet InceptionV3, as NTED and DPTN are scored.

    Pixels in 0..1 go through torchvision's `transform_input` as they are, after bilinear resizing to 299: plain, or
    antialiased.
    """

    def __init__(self, antialias: bool = False) -> None:
        from torchvision.models import inception_v3

        super().__init__()
        state = read_state(ensure_weights("inception_imagenet"))
        self.antialias = antialias
        self.net = inception_v3(weights=None, transform_input=True, aux_logits=True, init_weights=False)
        _load(self.net, state, weights_path("inception_imagenet"))
        self.net.fc = nn.Identity()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, 2048) float."""
        pixels = images.float() / 255
        resized = functional.interpolate(
            pixels, size=(299, 299), mode="bilinear", align_corners=False, antialias=self.antialias
        )
        return self.net(resized)


class InceptionTensorFlow(nn.Module):
    """Pool features of the TensorFlow InceptionV3 ported by torch-fidelity, as the wider field scores FID."""

    def __init__(self) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        path = ensure_weights("inception_tensorflow")
        read_state(path)  # torch-fidelity unpickles without restriction: a file with code must stop here
        self.net = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, 2048) float."""
        return self.net(images)[0]


class AlexNetFeatures(nn.Module):
    """The last convolution of torchvision's ImageNet AlexNet, averaged over the image, at the images' own size."""

    def __init__(self) -> None:
        from torchvision.models import alexnet

        super().__init__()
        state = read_state(ensure_weights("alexnet"))
        self.net = alexnet(weights=None)
        _load(self.net, state, weights_path("alexnet"))
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", 255 * torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", 255 * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, 256) float."""
        return self.net.features[:-1]((images.float() - self.mean) / self.deviation).mean(dim=(2, 3))


class Lpips(nn.Module):
    """Learned perceptual distance, version 0.1 (Zhang et al., CVPR 2018), at the images' own size.

    `backbone` is `alex` or `vgg`. Its inputs belong in [-1, 1]; `unit_range` leaves them in [0, 1], a common mistake
    whose numbers are about half as large.
    """

    def __init__(self, backbone: str = "alex", unit_range: bool = False) -> None:
        import lpips

        super().__init__()
        read_state(ensure_weights(f"lpips_{backbone}"))
        with warnings.catch_warnings():  # lpips still calls torchvision with `pretrained=`
            warnings.simplefilter("ignore")
            self.net = lpips.LPIPS(net=backbone, version="0.1", verbose=False)
        self.scale, self.shift = (255.0, 0.0) if unit_range else (127.5, -1.0)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Two (B, 3, H, W) batches in 0..255 -> (B,) distances."""
        return self.net(*(batch.float() / self.scale + self.shift for batch in (images, targets))).flatten()


class KeypointDetector(nn.Module):
    """torchvision's Keypoint R-CNN (He et al., ICCV 2017), trained on COCO."""

    MIN_SCORE = 0.5

    def __init__(self) -> None:
        from torchvision.models.detection import keypointrcnn_resnet50_fpn

        super().__init__()
        state = read_state(ensure_weights("keypoint_rcnn"))
        self.net = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        _load(self.net, state, weights_path("keypoint_rcnn"))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor | None]:
        """(B, 3, H, W) uint8 -> for each image the (17, 2) COCO keypoints of its surest person, None where none is."""
        found = self.net(list(images.float() / 255))
        return [
            one["keypoints"][0, :, :2] if len(one["scores"]) and one["scores"][0] >= self.MIN_SCORE else None
            for one in found
        ]


def _lite0() -> nn.Module:
    try:
        return lite0.EfficientNetLite0()
    except ModuleNotFoundError as error:
        raise MissingWeights(str(error)) from None


def _load(network: nn.Module, state: dict[str, Any], path: Path) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise ValueError(f"weights file {path} is of another network; delete it to have it fetched again") from None


def _download(url: str, path: Path) -> None:
    """Fetch a file whose name carries the start of its SHA-256; it appears under `path` whole or not at all."""
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _copy(url, file)
        expected = re.search(r"-([0-9a-f]{8,})\.", path.name)
        if expected and not digest.startswith(expected[1]):
            raise ValueError(f"{url} sent a file with another checksum")
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def _copy(url: str, file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_SECONDS) as response:
        while block := response.read(BLOCK_BYTES):
            file.write(block)
            digest.update(block)
    return digest.hexdigest()
