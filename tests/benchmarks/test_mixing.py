import pytest
import torch

from benchmarks.mixing import shares


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 1, 3, 32, 22, generator=random)
    return first, second


@pytest.mark.parametrize("part", [0.0, 0.25, 1.0])
def test_an_image_between_two_has_its_share_in_colour_and_in_detail(images, part):
    first, second = images
    parts = shares(first + part * (second - first), first, second)
    assert parts[:, 0] / parts[:, 1] == pytest.approx([part, part], abs=1e-5)


def test_a_change_of_brightness_is_colour_and_not_detail(images):
    first, second = images
    colour, detail = shares(first + 0.1, first, second)[:, 0]
    assert colour == pytest.approx(0.1 * float((second - first).sum()), rel=1e-4)
    assert detail == pytest.approx(0.0, abs=1e-3)


def test_pixels_of_no_weight_do_not_count(images):
    first, second = images
    left = torch.zeros(32, 22)
    left[:, :12] = 1  # whole blocks
    mixed = torch.where(left.bool(), second, first)
    inside, outside = (shares(mixed, first, second, weight) for weight in (left, 1 - left))
    assert inside[:, 0] / inside[:, 1] == pytest.approx([1, 1], abs=1e-5)
    assert outside[:, 0] / outside[:, 1] == pytest.approx([0, 0], abs=1e-5)
