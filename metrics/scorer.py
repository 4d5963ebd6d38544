"""What a protocol computes on a batch of images: pixel scores, LPIPS, face scores and Inception features."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from images.pixels import Pixels, digest, to_signed, to_tensor, to_uint8
from metrics import networks, paired
from metrics.distribution import FeatureSample, Moments
from metrics.networks import MissingWeights
from metrics.pose import Joints, openpose_from_coco, pckh
from metrics.protocols import Protocol

Row = dict[str, Any]
FaceCrop = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Missing:
    """Metrics that could not be computed, and the way to get what they need."""

    metrics: tuple[str, ...]
    reason: str


@dataclass
class FeatureStatistics:
    """What is kept of the features of a set: moments for FID, a sample for KID."""

    moments: Moments
    sample: FeatureSample

    @classmethod
    def empty(cls, protocol: Protocol) -> FeatureStatistics:
        """Statistics of no image."""
        return cls(Moments.empty(), FeatureSample(protocol.kid_sample))

    def add(self, names: list[str], features: NDArray[np.floating]) -> None:
        """Take in (N, D) features under their names."""
        self.moments = self.moments.merge(Moments.of(features))
        self.sample.add(names, features)

    def merge(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of both sets together."""
        return FeatureStatistics(self.moments.merge(other.moments), self.sample.merge(other.sample))


@dataclass
class Scorer:
    """A protocol with its networks; a network that is None was not to be had and is named in `missing`."""

    protocol: Protocol
    device: torch.device
    lpips: nn.Module | None = None
    features: nn.Module | None = None
    missing: list[Missing] = field(default_factory=list)
    face_crop: FaceCrop | None = None
    detector: nn.Module | None = None

    def pixel_scores(self, pairs: list[tuple[Pixels, Pixels]], pool: ThreadPoolExecutor) -> list[Row]:
        """SSIM variants, PSNR, L1 and MAE of each (generated, target) pair."""
        return list(pool.map(lambda pair: pixel_scores(pair[0], pair[1], self.protocol), pairs))

    def lpips_scores(self, generated: list[Pixels], targets: list[Pixels]) -> list[float | None]:
        """LPIPS of each pair, None where the network is missing."""
        if self.lpips is None:
            return [None] * len(generated)
        return self._lpips(to_tensor(generated), to_tensor(targets))

    def face_scores(self, generated: list[Pixels], targets: list[Pixels], boxes: NDArray[np.floating]) -> list[Row]:
        """SSIM and LPIPS of the face crops, None where the eyes (x14, y14, x15, y15) are not both found."""
        assert self.face_crop is not None
        found = torch.from_numpy(np.asarray(boxes, np.float32))
        ours, theirs = (self.face_crop(to_tensor(images).float(), found) for images in (generated, targets))
        distances = self._lpips(ours, theirs) if self.lpips is not None and ours.shape[-1] >= 32 else None
        window = paired.fit_window(paired.SsimWindow(7), (int(ours.shape[-2]), int(ours.shape[-1])))
        rows: list[Row] = [{"face_ssim": None, "face_lpips": None} for _ in generated]
        for index in (found >= 0).all(dim=1).nonzero().flatten().tolist():
            a, b = (batch[index].permute(1, 2, 0).numpy() / 255.0 for batch in (ours, theirs))
            rows[index]["face_ssim"] = paired.ssim(a, b, window)
            rows[index]["face_lpips"] = distances[index] if distances else None
        return rows

    def pose_scores(self, generated: list[Pixels], truths: list[Joints | None]) -> list[float | None]:
        """PCKh of the persons that the detector sees, None where a pair's joints are not known."""
        assert self.detector is not None
        with torch.inference_mode():
            found = self.detector(to_tensor(generated).to(self.device))
        seen = [None if one is None else openpose_from_coco(one.cpu().numpy()) for one in found]
        return [None if truth is None else pckh(one, truth) for one, truth in zip(seen, truths, strict=True)]

    def embed(self, images: list[Pixels]) -> NDArray[np.float32]:
        """(N, 2048) Inception features."""
        assert self.features is not None
        with torch.inference_mode():
            return self.features(to_tensor(images).to(self.device)).float().cpu().numpy()

    def _lpips(self, a: Tensor, b: Tensor) -> list[float | None]:
        assert self.lpips is not None
        with torch.inference_mode():
            return self.lpips(a.to(self.device), b.to(self.device)).tolist()


def load_scorer(
    protocol: Protocol, device: torch.device, face_crop: FaceCrop | None = None, with_pose: bool = False
) -> Scorer:
    """A protocol's networks on a device; those whose weights cannot be had are listed, not replaced."""
    scorer = Scorer(protocol, device, face_crop=face_crop)
    scorer.lpips = _try(
        ("lpips",), scorer, lambda: networks.Lpips(protocol.lpips_network, protocol.lpips_range == "unit")
    )
    scorer.features = _try(("fid", "kid"), scorer, lambda: _inception(protocol))
    if with_pose:
        scorer.detector = _try(("pckh",), scorer, networks.KeypointDetector)
    return scorer


def pixel_scores(generated: Pixels, target: Pixels, protocol: Protocol) -> Row:
    """SSIM variants, PSNR, L1 and MAE of one pair; a uniform SSIM window shrinks to fit a small image."""
    if protocol.canvas is not None:
        generated, target = (_on_canvas(image, protocol.canvas) for image in (generated, target))
    size = (target.shape[0], target.shape[1])
    scores: Row = {
        name: paired.ssim(generated, target, paired.fit_window(variant.settings(), size))
        for name, variant in protocol.ssim.items()
    }
    metrics = {"psnr": paired.psnr, "l1": paired.l1, "mae": paired.mae}
    return scores | {name: function(generated, target) for name, function in metrics.items()}


def degrade_pixels(images: list[Pixels], degrade: Callable[[Tensor], Tensor] | None) -> list[Pixels]:
    """8-bit images degraded and rounded back to 8 bits, as the files they are compared with are."""
    if degrade is None:
        return images
    return list(to_uint8(degrade(to_signed(to_tensor(images)))))


def degrade_fingerprint(degrade: Callable[[Tensor], Tensor] | None, size: tuple[int, int]) -> str:
    """What a degradation does to a fixed image, hashed: equal exactly where it treats images equally."""
    if degrade is None:
        return "clean"
    probe = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    return digest(degrade_pixels([probe], degrade)[0].tobytes())


def _on_canvas(image: Pixels, size: tuple[int, int]) -> Pixels:
    return paired.pad_to_canvas(image, size).astype(np.uint8, copy=False)


def _inception(protocol: Protocol) -> nn.Module:
    if protocol.inception == "inception_tensorflow":
        return networks.InceptionTensorFlow()
    return networks.InceptionImageNet(antialias=protocol.inception_resize == "antialiased")


def _try(metrics: tuple[str, ...], scorer: Scorer, build: Callable[[], nn.Module]) -> nn.Module | None:
    try:
        return build().to(scorer.device)
    except MissingWeights as error:
        scorer.missing.append(Missing(metrics, str(error)))
        return None
