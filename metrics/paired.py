"""Scores of one image against its ground truth: SSIM, PSNR, L1 and the normalised absolute error.

Images are `(H, W, C)` arrays, uint8 in 0..255 or float in [0, 1]. Everything is computed in float64.
"""

import math
import threading
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
    _check_pair(prediction, target)
    _check_window(prediction.shape, window)
    data_range = window.data_range or _spread(prediction)
    channels = range(prediction.shape[2])
    planes = ((prediction[..., channel], target[..., channel]) for channel in channels)
    return float(np.mean([_ssim_of_plane(x, y, window, data_range) for x, y in planes]))


def psnr(prediction: Image, target: Image) -> float:
    """Peak signal-to-noise ratio in dB for a data range of 1; infinite where the images are equal."""
    _check_pair(prediction, target)
    error = cv2.norm(prediction, target, cv2.NORM_L2SQR) / (prediction.size * _white(target) ** 2)
    return float("inf") if error == 0 else 10 * math.log10(1 / error)


def l1(prediction: Image, target: Image) -> float:
    """Mean absolute difference, in 0..1."""
    _check_pair(prediction, target)
    return cv2.norm(prediction, target, cv2.NORM_L1) / (prediction.size * _white(target))


def mae(prediction: Image, target: Image) -> float:
    """Sum of absolute differences over the sum of both images, in 0..1; 0 for two black images."""
    _check_pair(prediction, target)
    total = cv2.norm(prediction, cv2.NORM_L1) + cv2.norm(target, cv2.NORM_L1)
    return cv2.norm(prediction, target, cv2.NORM_L1) / total if total else 0.0


def pad_to_canvas(image: Image, size: tuple[int, int]) -> Image:
    """The image pasted in the middle of a white canvas of `size` (H, W); 176 columns of 256 land on 40..215."""
    height, width = image.shape[:2]
    if height > size[0] or width > size[1]:
        raise ValueError(
            f"an image of {height}x{width} does not fit the canvas {size[0]}x{size[1]}; use a larger canvas"
        )
    canvas = np.full((*size, *image.shape[2:]), _white(image), dtype=image.dtype)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


def fit_window(window: SsimWindow, size: tuple[int, int]) -> SsimWindow:
    """The same uniform window, shrunk to the largest odd size that fits an image of `size` (H, W)."""
    largest = min(size) - 1 + min(size) % 2
    if window.sigma is not None or window.size <= largest:
        return window
    return SsimWindow(largest, None, window.sample_covariance, window.data_range)


class _Workspace(threading.local):
    """Planes that every call on a thread writes into: fresh memory for them would take longer than the arithmetic."""

    NUM_PLANES = 7
    planes: Array = np.empty((NUM_PLANES, 0, 0))

    def of_size(self, shape: tuple[int, ...]) -> Array:
        """(7, H, W) of whatever values."""
        if self.planes.shape[1:] != shape:
            self.planes = np.empty((self.NUM_PLANES, *shape))
        return self.planes


_WORKSPACE = _Workspace()


def _ssim_of_plane(prediction: Image, target: Image, window: SsimWindow, data_range: float) -> float:
    """SSIM of two (H, W) planes."""
    x, y, product, *means = _WORKSPACE.of_size(prediction.shape)
    np.divide(prediction, _white(prediction), out=x)
    np.divide(target, _white(target), out=y)
    np.multiply(x, y, out=product)
    for plane, mean in zip((x, y, product), means, strict=False):
        _local_mean(plane, window, mean)
    x *= x
    y *= y
    x += y
    _local_mean(x, window, means[3])
    inner = tuple(slice(window.radius, side - window.radius) for side in x.shape)
    return _ssim_of_moments([mean[inner] for mean in means], product[inner], window, data_range)


def _ssim_of_moments(means: list[Array], product: Array, window: SsimWindow, data_range: float) -> float:
    """SSIM from local means of x, y, xy and x^2 + y^2. All arrays are overwritten, `product` holds nothing yet."""
    mean_x, mean_y, mean_xy, mean_squares = means
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    count = (2 * window.radius + 1) ** 2
    scale = count / (count - 1) if window.sample_covariance else 1.0
    np.multiply(mean_x, mean_y, out=product)
    mean_x *= mean_x
    mean_y *= mean_y
    power = np.add(mean_x, mean_y, out=mean_x)
    covariance = np.subtract(mean_xy, product, out=mean_xy)
    variances = np.subtract(mean_squares, power, out=mean_squares)
    for term, factor, constant in (
        (product, 2, c1),
        (covariance, 2 * scale, c2),
        (power, 1, c1),
        (variances, scale, c2),
    ):
        term *= factor
        term += constant
    product *= covariance
    power *= variances
    product /= power
    return float(product.mean())


def _local_mean(plane: Array, window: SsimWindow, out: Array) -> None:
    """Write windowed means of an (H, W) plane; at the border, where the window leaves the plane, they mean nothing."""
    if window.sigma is None:
        cv2.boxFilter(plane, cv2.CV_64F, (window.size, window.size), dst=out, normalize=True)
    else:
        taps = np.exp(-0.5 * np.square(np.arange(-window.radius, window.radius + 1) / window.sigma))
        cv2.sepFilter2D(plane, cv2.CV_64F, taps / taps.sum(), taps / taps.sum(), dst=out)


def _spread(image: Image) -> float:
    """An image's own max - min, in 0..1; 1 for a flat one, where the constants would vanish and SSIM be 0/0."""
    return (float(image.max()) - float(image.min())) / _white(image) or 1.0


def _check_pair(prediction: Image, target: Image) -> None:
    if prediction.shape != target.shape or prediction.ndim != 3 or prediction.dtype != target.dtype:
        raise ValueError(
            f"images of {prediction.shape} {prediction.dtype} and {target.shape} {target.dtype} cannot be compared; "
            "give two (H, W, C) of one size and type"
        )


def _white(image: Image) -> int:
    return 255 if image.dtype == np.uint8 else 1


def _check_window(shape: tuple[int, ...], window: SsimWindow) -> None:
    side = 2 * window.radius + 1
    if window.sigma is None and window.size % 2 == 0:
        raise ValueError(f"an SSIM window of {window.size} pixels has no centre; use an odd size")
    if side > min(shape[:2]):
        raise ValueError(
            f"an SSIM window of {side} pixels does not fit an image of {shape[0]}x{shape[1]}; use a smaller one"
        )
