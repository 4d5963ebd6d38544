"""Schedules against grey levels and sizes worked out by hand, and against PyTorch's own interpolation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.schedules import Quantize, QuantizeConfig, Resize, ResizeConfig


def quantize(num_steps):
    return Quantize(QuantizeConfig(num_steps=num_steps), (8, 8))


def resize_to(size, num_steps, spacing):
    return Resize(ResizeConfig(num_steps=num_steps, spacing=spacing), size)


def grey(values: torch.Tensor) -> torch.Tensor:
    return values.float().view(1, 1, 1, -1).expand(1, 3, 1, -1) / 127.5 - 1


def test_quantize_is_exact_for_every_grey_level():
    schedule, levels = quantize(5), torch.arange(256)
    for level, divisor in ((1, 204), (2, 153), (3, 102), (4, 51)):
        result = ((schedule.degrade(grey(levels), level) + 1) * 127.5).round().long()[0, 0, 0]
        assert torch.equal(result, levels // divisor * divisor)


def test_exact_multiples_survive_the_float_round_trip():
    result = (quantize(5).degrade(grey(torch.tensor([51, 102, 153, 204, 255])), 4) + 1) * 127.5
    torch.testing.assert_close(result[0, 0, 0], torch.tensor([51.0, 102, 153, 204, 255]))


def test_the_last_level_is_the_image_itself():
    image = torch.rand(2, 3, 64, 48) * 2 - 1
    for schedule in (quantize(5), resize_to((64, 48), 20, "linear")):
        assert torch.equal(schedule.degrade(image, schedule.num_steps), image)


def test_resize_sizes_are_evenly_spaced_whole_pixels():
    sizes = resize_to((256, 176), 20, "linear").sizes
    assert sizes[0] == (8, 5)
    assert sizes[1] == (20, 14)  # 8 + 248 / 20 = 20.4, 5 + 171 / 20 = 13.55
    assert sizes[20] == (256, 176)
    assert resize_to((256, 176), 20, "exponential").sizes[10] == (45, 30)  # sqrt(8 * 256), sqrt(5 * 176) = 29.66


@pytest.mark.parametrize("spacing", ["linear", "exponential"])
def test_a_batch_of_mixed_levels_equals_interpolating_one_by_one(spacing):
    torch.manual_seed(0)
    schedule = resize_to((64, 48), 6, spacing)
    images, levels = torch.randn(7, 3, 64, 48), torch.arange(7)
    down_and_up = [
        F.interpolate(
            F.interpolate(i[None], size, mode="bilinear", align_corners=True),
            (64, 48),
            mode="bilinear",
            align_corners=True,
        )
        for i, size in zip(images, schedule.sizes, strict=True)
    ]
    torch.testing.assert_close(schedule.degrade(images, levels), torch.cat(down_and_up), rtol=1e-4, atol=1e-5)


def test_start_canvases():
    source, noise = torch.rand(2, 3, 64, 48), torch.randn(2, 3, 64, 48)
    assert torch.equal(quantize(5).start_canvas(source, noise), noise)
    resize = resize_to((64, 48), 4, "linear")
    torch.testing.assert_close(resize.start_canvas(source, noise) - noise, resize.degrade(source, 0))


def test_a_level_outside_is_refused():
    with pytest.raises(ValueError, match=r"level 6 is outside 0\.\.5"):
        quantize(5).degrade(torch.zeros(1, 3, 8, 8), 6)
