"""A protocol with its networks: what is computed on a batch of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from images.pixels import Pixels, Size, digest, to_grey_levels, to_signed, to_tensor
from metrics import networks, paired
from metrics.networks import MissingWeights
from metrics.own import OwnNetwork, own_hash
from metrics.pose import Joints, openpose_from_coco, pckh
from metrics.protocols import Protocol

Degrade = Callable[[Tensor], Tensor]
FaceCrop = Callable[[Tensor, Tensor], Tensor]
Columns = dict[str, NDArray[np.float64]]  # a score of each image; NaN where it cannot be had
CPU_IMAGES = 4  # at once: larger feature maps are given back to the system and asked for anew, three times the work
MIN_FACE_SIDE = 32  # pixels; AlexNet leaves nothing of smaller ones


@dataclass(frozen=True)
class Missing:
    """Metrics that could not be computed, and the way to get what they need."""

    metrics: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class FeatureNetwork:
    """A network (B, 3, H, W) uint8 -> (B, D), the hash of its weights, and what its two distances are called."""

    name: str
    module: nn.Module
    weights: str
    frechet: str
    kernel: str

    def embed(self, images: Tensor) -> NDArray[np.float32]:
        """(N, D) features of images on the network's device."""
        size = len(images) if images.is_cuda else CPU_IMAGES
        with torch.inference_mode():
            return torch.cat([self.module(part).float() for part in images.split(size)]).cpu().numpy()


@dataclass
class Scorer:
    """A protocol with its networks; one that was not to be had is named in `missing`."""

    protocol: Protocol
    device: torch.device
    lpips: nn.Module | None = None
    networks: list[FeatureNetwork] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    face_crop: FaceCrop | None = None
    detector: nn.Module | None = None

    @property
    def identity(self) -> FeatureNetwork | None:
        """The network by which persons are told apart."""
        name = f"fd_{self.protocol.embedding}"
        return next((network for network in self.networks if network.frechet == name), None)

    def to_device(self, images: Sequence[Pixels]) -> Tensor:
        """(B, 3, H, W) uint8 on the device."""
        return to_tensor(images).to(self.device)

    def pixel_scores(self, generated: Sequence[Pixels], targets: Sequence[Pixels], pool: ThreadPoolExecutor) -> Columns:
        """SSIM variants, PSNR, L1 and MAE of each pair."""
        rows = list(pool.map(partial(pixel_scores, self.protocol), generated, targets))
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def lpips_scores(self, generated: Tensor, targets: Tensor) -> Columns:
        """LPIPS of each pair of (B, 3, H, W) batches in 0..255; empty where the network is missing."""
        return {} if self.lpips is None else {"lpips": self._lpips(generated, targets)}

    def face_scores(self, generated: Tensor, targets: Tensor, boxes: NDArray[np.floating]) -> Columns:
        """SSIM and LPIPS of the face crops, NaN where the eyes (x14, y14, x15, y15) are not both found."""
        found = torch.from_numpy(np.asarray(boxes, np.float32))
        seen = (found >= 0).all(dim=1).numpy()
        if self.face_crop is None or not seen.any():
            return {}
        ours, theirs = (self.face_crop(batch.cpu().float(), found) for batch in (generated, targets))
        window = paired.fit_window(paired.SsimWindow(7), (int(ours.shape[-2]), int(ours.shape[-1])))
        columns = {"face_ssim": np.full(len(boxes), np.nan)}
        for index in seen.nonzero()[0]:
            a, b = (batch[index].permute(1, 2, 0).numpy() / 255.0 for batch in (ours, theirs))
            columns["face_ssim"][index] = paired.ssim(a, b, window)
        if self.lpips is not None and ours.shape[-1] >= MIN_FACE_SIDE:
            columns["face_lpips"] = np.where(seen, self._lpips(ours, theirs), np.nan)
        return columns

    def pose_scores(self, generated: Tensor, truths: Sequence[Joints | None]) -> Columns:
        """PCKh of the persons that the detector sees, NaN where a pair's joints are not known; empty without one."""
        if self.detector is None:
            return {}
        with torch.inference_mode():
            found = self.detector(generated)
        seen = [None if one is None else openpose_from_coco(one.cpu().numpy()) for one in found]
        scores = [None if truth is None else pckh(one, truth) for one, truth in zip(seen, truths, strict=True)]
        return {"pckh": np.array([np.nan if score is None else score for score in scores])}

    def _lpips(self, a: Tensor, b: Tensor) -> NDArray[np.float64]:
        assert self.lpips is not None
        with torch.inference_mode():
            return self.lpips(a.to(self.device), b.to(self.device)).double().cpu().numpy()


def load_scorer(
    protocol: Protocol, device: torch.device, face_crop: FaceCrop | None = None, with_pose: bool = False
) -> Scorer:
    """A protocol's networks on a device; those whose weights cannot be had are listed, not replaced."""
    scorer = Scorer(protocol, device, face_crop=face_crop)
    if protocol.lpips_network is not None:
        backbone, is_unit = protocol.lpips_network, protocol.lpips_range == "unit"
        scorer.lpips = _try(("lpips",), scorer, lambda: networks.Lpips(backbone, is_unit))
    if protocol.inception is not None:
        _add_network(scorer, protocol.inception, "fid", "kid")
    if protocol.embedding is not None:
        _add_network(scorer, protocol.embedding, f"fd_{protocol.embedding}", f"kd_{protocol.embedding}")
    if with_pose:
        scorer.detector = _try(("pckh",), scorer, networks.KeypointDetector)
    return scorer


def pixel_scores(protocol: Protocol, generated: Pixels, target: Pixels) -> dict[str, float]:
    """SSIM variants, PSNR, L1 and MAE of one pair; a uniform SSIM window shrinks to fit a small image."""
    if protocol.canvas is not None:
        generated, target = (_on_canvas(image, protocol.canvas) for image in (generated, target))
    size = (target.shape[0], target.shape[1])
    scores = {
        name: paired.ssim(generated, target, paired.fit_window(variant.settings(), size))
        for name, variant in protocol.ssim.items()
    }
    metrics = {"psnr": paired.psnr, "l1": paired.l1, "mae": paired.mae}
    return scores | {name: function(generated, target) for name, function in metrics.items()}


def degraded(images: Tensor, degrade: Degrade | None) -> Tensor:
    """(B, 3, H, W) uint8 degraded on its device, rounded to 8 bits as the files that it is compared with are."""
    return images if degrade is None else to_grey_levels(degrade(to_signed(images)))


def to_arrays(images: Tensor) -> list[Pixels]:
    """(H, W, 3) arrays from (B, 3, H, W) uint8."""
    return list(images.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def degrade_fingerprint(degrade: Degrade | None, size: Size, device: torch.device) -> str:
    """What a degradation does to a fixed image, hashed: equal exactly where it treats images equally."""
    if degrade is None:
        return "clean"
    probe = np.random.default_rng(0).integers(0, 256, (1, 3, *size), dtype=np.uint8)
    return digest(degraded(torch.from_numpy(probe).to(device), degrade).cpu().numpy().tobytes())


def _on_canvas(image: Pixels, size: Size) -> Pixels:
    return paired.pad_to_canvas(image, size).astype(np.uint8, copy=False)


def _add_network(scorer: Scorer, name: str, frechet: str, kernel: str) -> None:
    antialias = scorer.protocol.inception_resize == "antialiased"
    own = scorer.protocol.own if name == "own" else None
    build = partial(OwnNetwork, own) if own else partial(networks.feature_network, name, antialias)
    module = _try((frechet, kernel), scorer, build)
    if module is not None:
        weights = own_hash(own) if own else networks.weights_hash(name)
        scorer.networks.append(FeatureNetwork(name, module, weights, frechet, kernel))


def _try(metrics: tuple[str, ...], scorer: Scorer, build: Callable[[], nn.Module]) -> nn.Module | None:
    try:
        return build().to(scorer.device)
    except MissingWeights as error:
        scorer.missing.append(Missing(metrics, str(error)))
        return None
