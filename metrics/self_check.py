"""Whether the metrics on this machine compute what they say, on generated images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from images.pixels import Pixels
from metrics import paired
from metrics.distribution import Moments, frechet_distance, frechet_distance_of
from metrics.scorer import Scorer, degraded, to_arrays

CHECK_SIZE = (256, 176)
NUM_IMAGES = 4


@dataclass(frozen=True)
class Check:
    """One check: `outcome` is ok, FAILED or skipped."""

    name: str
    outcome: str
    detail: str


def self_check(scorer: Scorer, degrades: Mapping[str, Callable[[Tensor], Tensor]]) -> list[Check]:
    """All checks. What needs a network that is missing is skipped, and says so."""
    truths = [_picture(seed) for seed in range(NUM_IMAGES)]
    random = np.random.default_rng(0)
    fakes = [np.clip(image + random.normal(0, 25, image.shape), 0, 255).astype(np.uint8) for image in truths]
    return [
        *_identity(truths, scorer),
        _padding(fakes[0], truths[0]),
        *_against_scikit_image(fakes[0], truths[0]),
        _closed_form(),
        _self_distance(),
        *_networks(truths, fakes, scorer),
        *(_degraded(name, degrade, truths, fakes, scorer) for name, degrade in degrades.items()),
    ]


def _identity(truths: list[Pixels], scorer: Scorer) -> list[Check]:
    with ThreadPoolExecutor(1) as pool:
        columns = scorer.pixel_scores(truths, truths, pool)
    worst = min(columns[name].min() for name in scorer.protocol.ssim)
    return [
        _near("SSIM of an image with itself is 1", worst, 1, 1e-9),
        _near("L1 of an image with itself is 0", columns["l1"].max(), 0, 0),
    ]


def _padding(fake: Pixels, truth: Pixels) -> Check:
    padded = [paired.pad_to_canvas(image, (256, 256)) for image in (fake, truth)]
    gain = paired.psnr(padded[0], padded[1]) - paired.psnr(fake, truth)
    return _near("a white canvas of 256 columns adds 10 log10(256/176) dB", gain, 10 * np.log10(256 / 176), 1e-9)


def _against_scikit_image(fake: Pixels, truth: Pixels) -> list[Check]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    x, y = fake / 255.0, truth / 255.0
    uniform = structural_similarity(x, y, win_size=51, channel_axis=2, data_range=1)
    gaussian = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2, data_range=1
    )
    windows = {"window 51": (paired.SsimWindow(51), uniform)}
    windows["sigma 1.5"] = (paired.SsimWindow(sigma=1.5, sample_covariance=False), gaussian)
    checks = [
        _near(f"SSIM, {name}, equals scikit-image", paired.ssim(fake, truth, window), theirs, 1e-9)
        for name, (window, theirs) in windows.items()
    ]
    psnr = peak_signal_noise_ratio(truth, fake)
    return [*checks, _near("PSNR equals scikit-image", paired.psnr(fake, truth), psnr, 1e-9)]


def _closed_form() -> Check:
    """Axis-aligned Gaussians: the distance is that of the means plus that of the standard deviations."""
    random = np.random.default_rng(1)
    means, deviations = random.standard_normal((2, 64)), random.uniform(0.1, 2, (2, 64))
    moments = [Moments(101, mean, 100 * np.diag(scale**2)) for mean, scale in zip(means, deviations, strict=True)]
    expected = float(np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum())
    return _near("FID of Gaussian features equals its closed form", frechet_distance_of(*moments), expected, 1e-9)


def _self_distance() -> Check:
    features = np.random.default_rng(2).standard_normal((200, 512))
    return _near("FID of singular features with themselves is 0", frechet_distance(features, features), 0, 1e-4)


def _networks(truths: list[Pixels], fakes: list[Pixels], scorer: Scorer) -> list[Check]:
    checks = [Check(", ".join(m.metrics).upper(), "skipped", m.reason) for m in scorer.missing]
    ours, theirs = scorer.to_device(fakes), scorer.to_device(truths)
    if scorer.lpips is not None:
        same, other = (scorer.lpips_scores(images, theirs)["lpips"] for images in (theirs, ours))
        checks.append(_near("LPIPS of an image with itself is 0", same.max(), 0, 1e-7))
        checks.append(_true("LPIPS of a noisy image is above 0", other.min() > 0, "all pairs"))
    for network in scorer.networks:
        name, features = network.frechet.upper(), network.embed(theirs)
        checks.append(_near(f"{name} of images with themselves is 0", frechet_distance(features, features), 0, 1e-4))
        distance = frechet_distance(features, network.embed(ours))
        checks.append(_true(f"{name} of noisy images is above 0", distance > 0, f"{distance:.4g}"))
    return checks


def _degraded(
    name: str, degrade: Callable[[Tensor], Tensor], truths: list[Pixels], fakes: list[Pixels], scorer: Scorer
) -> Check:
    """Reals degraded to a level score perfectly against themselves, and fakes degraded alike do not."""
    goal, ours = (to_arrays(degraded(scorer.to_device(images), degrade)) for images in (truths, fakes))
    with ThreadPoolExecutor(1) as pool:
        own, other = (scorer.pixel_scores(images, goal, pool)["l1"] for images in (goal, ours))
    perfect, apart = own.max() == 0, other.min()
    return _true(
        f"degraded reals score 0 against themselves, fakes do not ({name})", perfect and apart > 0, f"L1 {apart:.4f}"
    )


def _picture(seed: int) -> Pixels:
    """A smooth coloured picture with an edge, away from 0 and 255."""
    random = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.linspace(0, 1, side) for side in CHECK_SIZE), indexing="ij")
    waves = [np.sin(2 * np.pi * (random.uniform(1, 5) * rows + random.uniform(1, 5) * columns)) for _ in range(3)]
    image = 128 + 60 * np.stack(waves, axis=-1)
    image[(rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.04] += 40
    return image.astype(np.uint8)


def _near(name: str, value: float, expected: float, tolerance: float) -> Check:
    good = abs(value - expected) <= tolerance
    return _true(name, good, f"{value:.10g}, expected {float(expected):.10g} (tolerance {tolerance:.0e})")


def _true(name: str, good: bool, detail: str) -> Check:
    return Check(name, "ok" if good else "FAILED", detail)
