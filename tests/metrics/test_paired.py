"""SSIM, PSNR, L1 and MAE against scikit-image, hand-worked numbers and the recorded ones."""

from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metrics.paired import SsimWindow, fit_window, l1, mae, pad_to_canvas, psnr, ssim

UNIFORM = SsimWindow(51)
GAUSSIAN = SsimWindow(sigma=1.5, sample_covariance=False, data_range=None)
FIXTURE = Path(__file__).parent.parent / "fixtures" / "metrics_recorded.npz"
# what the published evaluation printed for the two images of the fixture
RECORDED = {"psnr": 23.49464235525543, "ssim": 0.8557271957397461, "ssim_256": 0.5551401972770691}
RECORDED |= {"ssim_256_sigma1.2": 0.5282284617424011, "l1": 0.04851304739713669, "mae": 0.03881919011473656}
RECORDED_PADDED = {"psnr": 25.12191533023243, "ssim": 0.8837676048278809}


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    target = random.integers(0, 256, (80, 64, 3), dtype=np.uint8)
    return np.clip(target + random.normal(0, 40, target.shape), 0, 255).astype(np.uint8), target


@pytest.fixture(scope="module")
def recorded():
    with np.load(FIXTURE) as archive:
        return archive["prediction"], archive["target"]


def test_recorded_numbers_are_reproduced(recorded):
    ours = {
        "psnr": psnr(*recorded),
        "ssim": ssim(*recorded, UNIFORM),
        "ssim_256": ssim(*recorded, GAUSSIAN),
        "ssim_256_sigma1.2": ssim(*recorded, SsimWindow(sigma=1.2, sample_covariance=False, data_range=None)),
        "l1": l1(*recorded),
        "mae": mae(*recorded),
    }
    assert ours == pytest.approx(RECORDED, rel=1e-6)


def test_recorded_numbers_on_the_white_canvas_are_reproduced(recorded):
    padded = [pad_to_canvas(image, (256, 256)) for image in recorded]
    assert {"psnr": psnr(*padded), "ssim": ssim(*padded, UNIFORM)} == pytest.approx(RECORDED_PADDED, rel=1e-6)


@pytest.mark.parametrize("size", [3, 7, 51])
def test_uniform_ssim_equals_scikit_image(images, size):
    theirs = structural_similarity(*(i / 255 for i in images), win_size=size, channel_axis=2, data_range=1)
    assert ssim(*images, SsimWindow(size)) == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("sigma", [0.5, 1.2, 1.5, 3.0])
def test_gaussian_ssim_equals_scikit_image(images, sigma):
    options = {
        "gaussian_weights": True,
        "sigma": sigma,
        "use_sample_covariance": False,
        "channel_axis": 2,
        "data_range": 1,
    }
    theirs = structural_similarity(*(i / 255 for i in images), **options)
    assert ssim(*images, SsimWindow(sigma=sigma, sample_covariance=False)) == pytest.approx(theirs, abs=1e-10)


def test_fast_ssim_equals_the_plain_sum_over_every_window(images):
    x, y = (image[:20, :16].astype(float) / 255 for image in images)
    size, values = 7, []
    for top in range(20 - size + 1):
        for left in range(16 - size + 1):
            a, b = (im[top : top + size, left : left + size].reshape(-1, 3) for im in (x, y))
            for channel in range(3):
                (va, cov), (_, vb) = np.cov(a[:, channel], b[:, channel])
                ma, mb = a[:, channel].mean(), b[:, channel].mean()
                values.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    assert ssim(x, y, SsimWindow(size)) == pytest.approx(np.mean(values), abs=1e-12)


def test_psnr_equals_scikit_image(images):
    assert psnr(*images) == pytest.approx(peak_signal_noise_ratio(images[1], images[0]), abs=1e-10)


def test_scores_of_black_against_white_are_known():
    black, white = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
    assert (psnr(black, white), l1(black, white), mae(black, white)) == pytest.approx((0, 1, 1), abs=1e-12)


def test_scores_of_an_image_with_itself_are_perfect(images):
    image = images[0]
    assert ssim(image, image, UNIFORM) == pytest.approx(1, abs=1e-12)
    assert (psnr(image, image), l1(image, image), mae(image, image)) == (float("inf"), 0, 0)


def test_padding_raises_psnr_by_the_share_of_new_pixels(images):
    padded = [pad_to_canvas(image, (80, 100)) for image in images]
    assert psnr(*padded) - psnr(*images) == pytest.approx(10 * np.log10(100 / 64), abs=1e-9)


def test_padding_puts_176_columns_on_40_to_215():
    canvas = pad_to_canvas(np.zeros((256, 176, 3), np.uint8), (256, 256))
    columns = np.flatnonzero((canvas == 0).all(axis=(0, 2)))
    assert (columns[0], columns[-1], len(columns)) == (40, 215, 176)


def test_a_flat_prediction_has_a_finite_ssim(images):
    assert np.isfinite(ssim(np.full_like(images[1], 128), images[1], GAUSSIAN))


def test_a_window_is_shrunk_to_fit_a_small_image():
    assert [fit_window(UNIFORM, size).size for size in ((256, 176), (64, 44), (51, 60), (50, 60))] == [51, 43, 51, 49]


@pytest.mark.parametrize(
    ("shapes", "window", "said"),
    [
        (((8, 8, 3), (8, 9, 3)), SsimWindow(3), "one size"),
        (((8, 8, 3), (8, 8, 3)), SsimWindow(9), "does not fit"),
        (((8, 8, 3), (8, 8, 3)), SsimWindow(4), "odd"),
    ],
)
def test_what_cannot_be_compared_is_said(shapes, window, said):
    with pytest.raises(ValueError, match=said):
        ssim(*(np.zeros(shape, np.uint8) for shape in shapes), window)
