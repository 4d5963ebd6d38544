"""Mean power spectra."""

import numpy as np
import pytest
import torch

from metrics.spectra import HIGHEST, NUM_BANDS, Spectrum, frequencies, spectral_distance

SIZE = (64, 48)


def spectrum_of(images):
    found = Spectrum()
    found.add(torch.from_numpy(np.stack(images)))
    return found


def grey(values):
    return np.repeat(np.rint(values).astype(np.uint8)[None], 3, axis=0)


def test_white_noise_has_its_variance_at_every_frequency():
    """White noise of variance v has power v everywhere: 10 log10(v / (1 / 12)) dB over the rounding of 8 bits."""
    random = np.random.default_rng(0)
    levels = spectrum_of([grey(128 + random.normal(0, 10, SIZE)) for _ in range(400)]).levels()
    np.testing.assert_allclose(levels[1:], 10 * np.log10((100 + 1 / 12) * 12), atol=0.6)


def test_a_checkerboard_is_seen_at_the_highest_frequency_and_a_stripe_at_its_own():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    board = spectrum_of([grey(128 + 20 * (-1.0) ** (rows + columns))]).levels()
    assert int(board.argmax()) == NUM_BANDS - 1
    stripes = spectrum_of([grey(128 + 100 * np.sin(2 * np.pi * columns / 6))]).levels()
    assert frequencies()[stripes.argmax()] == pytest.approx(1 / 6, abs=HIGHEST / NUM_BANDS)


def test_missing_texture_is_a_distance_and_a_flat_image_has_no_power():
    random = np.random.default_rng(0)
    sharp = [grey(128 + random.normal(0, 20, SIZE)) for _ in range(50)]
    faint = [grey(128 + (image[0].astype(float) - 128) / 10) for image in sharp]
    assert spectral_distance(spectrum_of(sharp), spectrum_of(sharp)) == 0
    # a tenth of the contrast is 20 dB less, but for the rounding of the faint one
    assert spectral_distance(spectrum_of(sharp), spectrum_of(faint)) == pytest.approx(20, abs=0.5)
    assert not spectrum_of([grey(np.full(SIZE, 90.0))]).levels().any()


def test_spectra_are_merged():
    random = np.random.default_rng(0)
    images = [grey(128 + random.normal(0, 20, SIZE)) for _ in range(6)]
    merged = spectrum_of(images[:2])
    merged.merge(spectrum_of(images[2:]))
    np.testing.assert_allclose(merged.levels(), spectrum_of(images).levels(), rtol=1e-6)
