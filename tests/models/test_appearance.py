"""Blending the texture of two sources."""

from __future__ import annotations

import pytest
import torch

from models.appearance import token_grid
from models.rollout import Pair
from studio.pipeline import StepPose
from tests.runs import BLENDING, NUM_STEPS, tiny_model
from tests.tiny import SIZE

CASES = [(system, steps) for system in BLENDING for steps in (NUM_STEPS[system], 1)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def model(request: pytest.FixtureRequest) -> StepPose:
    system, steps = request.param
    return tiny_model(system, num_steps=steps)


def two_pairs(model: StepPose) -> tuple[Pair, Pair]:
    torch.manual_seed(5)
    maps = torch.rand(3, 1, model.config.data.pose_channels, *SIZE)
    images = torch.rand(2, 1, 3, *SIZE) * 2 - 1
    return Pair(images[0], maps[0], maps[2]), Pair(images[1], maps[1], maps[2])


def last(images) -> torch.Tensor:
    *_, image = images
    return image


def test_all_of_one_source_is_its_own_image(model):
    pairs, noise = two_pairs(model), model.noise(1)
    for weight, pair in zip((0.0, 1.0), pairs, strict=True):
        blended, alone = last(model.blend(*pairs, weight, noise)), last(model.stream(pair, noise))
        assert torch.allclose(blended, alone, atol=1e-4)


def test_half_of_each_is_neither(model):
    pairs, noise = two_pairs(model), model.noise(1)
    images = [last(model.blend(*pairs, weight, noise)) for weight in (0.0, 0.5, 1.0)]
    assert (images[1] - images[0]).abs().mean() > 1e-3 and (images[1] - images[2]).abs().mean() > 1e-3


def test_the_model_is_as_before_afterwards(model):
    pairs, noise = two_pairs(model), model.noise(1)
    before = last(model.stream(pairs[0], noise))
    last(model.blend(*pairs, 0.5, noise))
    assert torch.equal(last(model.stream(pairs[0], noise)), before)


def test_nteds_half_is_the_average_of_the_textures():
    """Rendering with averaged textures by hand gives the blended step."""
    model = tiny_model("nted", num_steps=1)
    first, second = two_pairs(model)
    extracted = [model.generator.encode_source(pair.source_image, None, None) for pair in (first, second)]
    averaged = [
        tuple(((a[0] + b[0]) / 2, a[1]) for a, b in zip(*level, strict=True)) for level in zip(*extracted, strict=True)
    ]
    by_hand = model.generator.draw(averaged, first.target_pose, None, None).target_image
    assert torch.allclose(last(model.blend(first, second, 0.5, model.noise(1))), by_hand, atol=1e-5)


def test_a_region_changes_its_place_first_of_all():
    model = tiny_model("nted", num_steps=1)
    pairs, noise = two_pairs(model), model.noise(1)
    weight = torch.zeros(1, 1, *SIZE)
    weight[..., :16, :] = 1
    change = (last(model.blend(*pairs, weight, noise)) - last(model.stream(pairs[0], noise))).abs().mean(dim=(0, 1, 3))
    assert change[:16].mean() > 5 * change[40:].mean()


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_out_of_range_is_refused(weight):
    model = tiny_model("nted")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        next(model.blend(*two_pairs(model), weight, model.noise(1)))


def test_a_generator_without_textures_says_in_one_line_that_it_cannot_blend():
    model = tiny_model("nted")
    pairs, noise = two_pairs(model), model.noise(1)
    model.generator = torch.nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="a Conv2d cannot blend two sources"):
        model.blend(*pairs, 0.5, noise)


def test_tokens_keep_the_images_ratio():
    assert token_grid(32 * 22, (256, 176)) == (32, 22)
