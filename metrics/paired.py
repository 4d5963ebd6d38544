"""Scores of one image against its ground truth: SSIM, PSNR, L1 and the normalised absolute error.

Images are `(H, W, C)` arrays, uint8 in 0..255 or float in [0, 1]. Everything is computed in float64.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8] | Array

GAUSSIAN_TRUNCATE = 3.5  # standard deviations kept on each side, as in scikit-image


@dataclass(frozen=True)
class SsimWindow:
    """The weighting of SSIM: `size` pixels of equal weight, or a Gaussian of `sigma` pixels (then `size` is unused).

    `sample_covariance` divides by N - 1 in place of N; `data_range` is a number, or None for the prediction's
    own max - min.
    """

    size: int = 11
    sigma: float | None = None
    sample_covariance: bool = True
    data_range: float | None = 1.0

    @property
    def radius(self) -> int:
        """Pixels on each side of the centre."""
        return self.size // 2 if self.sigma is None else int(GAUSSIAN_TRUNCATE * self.sigma + 0.5)


def ssim(prediction: Image, target: Image, window: SsimWindow) -> float:
    """Structural similarity, the mean over channels and over all pixels whose whole window lies inside the image.

    Wang et al., *Image quality assessment: from error visibility to structural similarity*, 2004, eq. 13 with
    K1 = 0.01 and K2 = 0.03. The local moments come from separable filters (running sums for the uniform window).
    Raises ValueError where the images differ in size or the window does not fit.
    """
    x, y = _as_float_pair(prediction, target)
    _check_window(x.shape, window)
    data_range = _data_range(x, window.data_range)
    mean_x, mean_y = _local_mean(x, window), _local_mean(y, window)
    count = (2 * window.radius + 1) ** 2
    scale = count / (count - 1) if window.sample_covariance else 1.0
    product, power = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = scale * (_local_mean(x * y, window) - product)
    variances = scale * (_local_mean(x * x + y * y, window) - power)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return float(((2 * product + c1) * (2 * covariance + c2) / ((power + c1) * (variances + c2))).mean())


def psnr(prediction: Image, target: Image) -> float:
    """Peak signal-to-noise ratio in dB for a data range of 1; infinite where the images are equal."""
    x, y = _as_float_pair(prediction, target)
    error = float(np.square(x - y).mean())
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def l1(prediction: Image, target: Image) -> float:
    """Mean absolute difference, in 0..1."""
    x, y = _as_float_pair(prediction, target)
    return float(np.abs(x - y).mean())


def mae(prediction: Image, target: Image) -> float:
    """Sum of absolute differences over the sum of both images, in 0..1; 0 for two black images."""
    x, y = _as_float_pair(prediction, target)
    return float(np.abs(x - y).sum() / max(float((x + y).sum()), np.finfo(np.float64).tiny))


def pad_to_canvas(image: Image, size: tuple[int, int]) -> Image:
    """The image pasted in the middle of a white canvas of `size` (H, W); 176 columns of 256 land on 40..215."""
    height, width = image.shape[:2]
    if height > size[0] or width > size[1]:
        raise ValueError(
            f"an image of {height}x{width} does not fit the canvas {size[0]}x{size[1]}; use a larger canvas"
        )
    white = 255 if image.dtype == np.uint8 else 1
    canvas = np.full((*size, *image.shape[2:]), white, dtype=image.dtype)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


def fit_window(window: SsimWindow, size: tuple[int, int]) -> SsimWindow:
    """The same uniform window, shrunk to the largest odd size that fits an image of `size` (H, W)."""
    largest = min(size) - 1 + min(size) % 2
    if window.sigma is not None or window.size <= largest:
        return window
    return SsimWindow(largest, None, window.sample_covariance, window.data_range)


def _local_mean(image: Array, window: SsimWindow) -> Array:
    """Windowed means of an (H, W, C) image, without the border where the window leaves it."""
    radius, (height, width) = window.radius, image.shape[:2]
    if window.sigma is None:
        mean = cv2.boxFilter(image, cv2.CV_64F, (window.size, window.size), normalize=True)
    else:
        taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / window.sigma))
        mean = cv2.sepFilter2D(image, cv2.CV_64F, taps / taps.sum(), taps / taps.sum())
    whole: Array = np.asarray(mean, np.float64).reshape(image.shape)
    return whole[radius : height - radius, radius : width - radius]


def _data_range(prediction: Array, data_range: float | None) -> float:
    if data_range is not None:
        return data_range
    spread = float(prediction.max() - prediction.min())
    return spread or 1.0  # a flat prediction has no range of its own: the constants would vanish and SSIM be 0/0


def _as_float_pair(prediction: Image, target: Image) -> tuple[Array, Array]:
    if prediction.shape != target.shape or prediction.ndim != 3:
        raise ValueError(
            f"images of shapes {prediction.shape} and {target.shape} cannot be compared; give two (H, W, C) of one size"
        )
    return _as_float(prediction), _as_float(target)


def _as_float(image: Image) -> Array:
    values: Array = image.astype(np.float64)
    values *= 1 / 255 if image.dtype == np.uint8 else 1
    return values


def _check_window(shape: tuple[int, ...], window: SsimWindow) -> None:
    side = 2 * window.radius + 1
    if window.sigma is None and window.size % 2 == 0:
        raise ValueError(f"an SSIM window of {window.size} pixels has no centre; use an odd size")
    if side > min(shape[:2]):
        raise ValueError(
            f"an SSIM window of {side} pixels does not fit an image of {shape[0]}x{shape[1]}; use a smaller one"
        )
