"""The mean power spectrum of a set of images: texture that is missing, and checkerboards that are too much of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from images.pixels import Size

NUM_BANDS = 32
HIGHEST = 0.5**0.5  # cycles a pixel of the finest checkerboard, alternating in both directions
_LUMA = (0.299, 0.587, 0.114)
# Rounding to 8 bits adds an error of this variance, in squared grey levels: less power than that tells nothing.
_ROUNDING = 1 / 12


class Spectrum:
    """Sums over images of the power in each of `NUM_BANDS` rings of equal width, from 0 to `HIGHEST` cycles a pixel."""

    def __init__(self) -> None:
        self.count, self.total = 0, np.zeros(NUM_BANDS)

    def add(self, images: Tensor) -> None:
        """Take in (B, 3, H, W) uint8 images.

        Brightness less its mean goes through a Hann window, whose edges are 0: a border would be a sharp line.
        """
        window, rings = _tables((images.shape[-2], images.shape[-1]), images.device)
        luma = (images.float() * torch.tensor(_LUMA, device=images.device).view(3, 1, 1)).sum(dim=1)
        power = torch.fft.rfft2((luma - luma.mean(dim=(1, 2), keepdim=True)) * window).abs().square()
        self.total += (power.flatten(1) @ rings).double().sum(dim=0).cpu().numpy()
        self.count += len(images)

    def merge(self, other: Spectrum) -> None:
        """Take in the images of another one."""
        self.count, self.total = self.count + other.count, self.total + other.total

    def levels(self) -> NDArray[np.float64]:
        """(NUM_BANDS,) mean power of one frequency in each ring, in dB over the error of rounding to 8 bits."""
        return 10 * np.log10(np.maximum(self.total / max(self.count, 1), 1))


def frequencies() -> NDArray[np.float64]:
    """(NUM_BANDS,) middle of each ring, in cycles a pixel."""
    return (np.arange(NUM_BANDS) + 0.5) * HIGHEST / NUM_BANDS


def spectral_distance(a: Spectrum, b: Spectrum) -> float:
    """Mean over the rings of the absolute difference of levels, in dB."""
    return float(np.abs(a.levels() - b.levels()).mean())


@lru_cache(maxsize=4)
def _tables(size: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """The (H, W) window, and the (H * (W // 2 + 1), NUM_BANDS) weights of each frequency in its ring's mean level."""
    height, width = size
    window = np.outer(np.hanning(height), np.hanning(width))
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    radius = np.hypot(rows[:, None], columns[None, :]).ravel()
    # the transform of real images has half the columns; all but the first and a middle one stand for two
    twice = np.where((columns == 0) | (columns == 0.5), 1.0, 2.0)
    weights = np.tile(twice, height)
    ring = np.minimum((radius / HIGHEST * NUM_BANDS).astype(int), NUM_BANDS - 1)
    counts = np.bincount(ring, weights, NUM_BANDS)
    table = np.zeros((radius.size, NUM_BANDS))
    table[np.arange(radius.size), ring] = weights / np.maximum(counts, 1)[ring] / (np.square(window).sum() * _ROUNDING)
    return tuple(torch.from_numpy(values).float().to(device) for values in (window, table))  # type: ignore[return-value]
