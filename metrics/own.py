"""An embedding of one's own, for faces or persons, as a program that needs no code of its maker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from metrics.networks import MissingWeights
from metrics.protocols import OwnEmbedding


class OwnNetwork(nn.Module):
    """Crops, scales and normalises as the protocol says, then runs the program on the CPU, an image at a time.

    Programs may be exported for one image alone, and the numbers of an image then depend on no other.

    Raises:
        MissingWeights: the file is not there, or ONNX's runtime is not installed.
    """

    def __init__(self, settings: OwnEmbedding) -> None:
        super().__init__()
        self.settings, path = settings, Path(settings.file)
        if not path.is_file():
            raise MissingWeights(f"the embedding {path} does not exist; correct `own.file` of the protocol")
        self._program = _onnx(path) if path.suffix == ".onnx" else _exported(path)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, D) float."""
        height, width = images.shape[-2:]
        top, left, bottom, right = self.settings.crop
        rows, columns = (slice(round(a * n), round(b * n)) for a, b, n in ((top, bottom, height), (left, right, width)))
        part = images[..., rows, columns].cpu().float() / 255
        part = functional.interpolate(part, self.settings.size, mode="bilinear", align_corners=False, antialias=True)
        mean, deviation = (torch.tensor(x).view(3, 1, 1) for x in (self.settings.mean, self.settings.deviation))
        part = (part - mean) / deviation
        part = part.flip(1) if self.settings.channels == "bgr" else part
        return torch.cat([self._program(image[None]).flatten(1).float() for image in part])


def own_hash(settings: OwnEmbedding) -> str:
    """A hash of the file and of all that is done to an image before it."""
    hashed = hashlib.sha256(Path(settings.file).read_bytes())
    hashed.update(json.dumps(settings.model_dump(exclude={"file"}), sort_keys=True).encode())
    return hashed.hexdigest()


def _exported(path: Path) -> Callable[[Tensor], Tensor]:
    return torch.export.load(path).module()


def _onnx(path: Path) -> Callable[[Tensor], Tensor]:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingWeights("onnxruntime is not installed; pip install -r requirements-onnx.txt") from None
    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda image: torch.from_numpy(session.run(None, {name: image.numpy()})[0])
