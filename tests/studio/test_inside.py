"""What a model reads from the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.rollout import Pair
from studio.inside import look_inside, overlay, reading_sheet, texture_sheet
from studio.pipeline import StepPose
from tests.runs import BLENDING, tiny_model
from tests.tiny import SIZE


def a_pair(model: StepPose) -> Pair:
    torch.manual_seed(3)
    maps = torch.rand(2, 1, model.config.data.pose_channels, *SIZE)
    return Pair(torch.rand(1, 3, *SIZE) * 2 - 1, maps[0], maps[1])


@pytest.mark.parametrize("system", BLENDING)
@pytest.mark.parametrize("step", [0, 2])
def test_a_target_pixels_reading_sums_to_one_at_every_place(system, step):
    model = tiny_model(system)
    inside = look_inside(model, a_pair(model), model.noise(1), step)
    assert len(inside.places) == {"nted": 4, "dptn": 1}[system]
    for place in range(len(inside.places)):
        reading = inside.reading(place, (SIZE[1] - 1, SIZE[0] - 1))
        assert reading.min() >= 0 and reading.sum() == pytest.approx(1, abs=1e-4)
        assert reading.shape[0] / reading.shape[1] == SIZE[0] / SIZE[1]


@pytest.mark.parametrize("system", BLENDING)
def test_the_step_looked_at_is_the_one_that_generate_shows(system):
    model = tiny_model(system)
    pair = a_pair(model)
    images = list(model.stream(pair, model.noise(1)))
    for step, image in enumerate(images):
        assert torch.equal(look_inside(model, pair, model.noise(1), step).image, image[0])


@pytest.mark.parametrize("pose_attention", [False, True])
def test_dptns_attention_times_the_values_is_the_attention_output(pose_attention):
    model = tiny_model("dptn", Path("."), None, f"generator.pose_attention={pose_attention}".lower())
    attention = model.generator.PTM.TTBs[0].cross_attn
    seen = {}
    hook = attention.register_forward_hook(lambda module, inputs, output: seen.update(inputs=inputs, output=output))
    inside = look_inside(model, a_pair(model), model.noise(1), model.num_steps - 1)
    hook.remove()
    query, key, value, likeness = seen["inputs"]
    assert query.shape == key.shape == value.shape
    # two heads share the width: the mean map is what is shown, so compare through the weights of both
    mask = 8 * likeness.expand(2, -1, -1) if pose_attention else None
    _, heads = torch.nn.MultiheadAttention.forward(
        attention, query, key, value, need_weights=True, attn_mask=mask, average_attn_weights=False
    )
    width = value.shape[-1]
    projected = torch.nn.functional.linear(
        value, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    parts = projected.view(1, -1, 2, width // 2).transpose(1, 2)
    joined = (heads @ parts).transpose(1, 2).reshape_as(value)
    assert torch.allclose(attention.out_proj(joined), seen["output"], atol=1e-5)
    assert torch.allclose(heads.mean(dim=1)[0], inside.attention[0], atol=1e-6)


def test_nteds_reading_is_extraction_weighted_by_distribution():
    model = tiny_model("nted")
    inside = look_inside(model, a_pair(model), model.noise(1), 1)
    pair = inside.textures[-1]
    height, width = pair.size
    x, y = 13, 41
    index = (y * height // SIZE[0]) * width + x * width // SIZE[1]
    by_hand = sum(pair.distribution[0, k, index] * pair.extraction[0, k] for k in range(pair.extraction.shape[1]))
    assert np.allclose(inside.reading(len(inside.textures) - 1, (x, y)).ravel(), by_hand.numpy(), atol=1e-6)


def test_an_overlay_glows_where_the_weight_is():
    weights = np.zeros((4, 4), np.float32)
    weights[0, 0] = 1
    picture = overlay(np.full((32, 32, 3), 100, np.uint8), weights)
    assert picture[1, 1].sum() > 600 and picture[-1, -1].sum() < 300
    assert (overlay(np.full((32, 32, 3), 100, np.uint8), weights, most=100.0)[1, 1] < picture[1, 1]).all()


def test_sheets_have_a_column_a_place_or_texture():
    model = tiny_model("nted")
    inside = look_inside(model, a_pair(model), model.noise(1), 1)
    source = np.zeros((*SIZE, 3), np.uint8)
    assert reading_sheet([source], inside, [(1, 1), (5, 5)]).shape[1] == 5 * (SIZE[1] + 4) - 4
    assert texture_sheet([source], inside, 0, 3).shape[0] > 2 * SIZE[0]


@pytest.mark.parametrize("system", BLENDING)
def test_what_is_read_of_two_sources_together_sums_to_one_and_follows_them(system):
    model = tiny_model(system)
    first, second = a_pair(model), a_pair(model)
    second.source_image = second.source_image.flip(3)
    images, own = (
        torch.stack(parts, dim=1)
        for parts in zip(
            (first.source_image, first.source_pose), (second.source_image, second.source_pose), strict=True
        )
    )
    insides = [
        look_inside(model, Pair(images[:, order], own[:, order], first.target_pose), model.noise(1), 1)
        for order in ([0, 1], [1, 0])
    ]
    for place in range(len(insides[0].places)):
        both, swapped = ([inside.reading(place, (7, 9), source) for source in (0, 1)] for inside in insides)
        assert (
            sum(float(one.sum()) for one in both) == pytest.approx(1, abs=1e-4) and min(one.sum() for one in both) > 0
        )
        assert np.allclose(both[0], swapped[1], atol=1e-5) and np.allclose(both[1], swapped[0], atol=1e-5)
    pictures = [np.zeros((*SIZE, 3), np.uint8)] * 2
    assert reading_sheet(pictures, insides[0], [(1, 1)]).shape[0] > 2 * SIZE[0]
    if system == "nted":
        assert texture_sheet(pictures, insides[0], 0, 3).shape[0] > 3 * SIZE[0]


def test_a_step_outside_of_the_model_is_refused():
    model = tiny_model("nted")
    with pytest.raises(ValueError, match=r"outside 0\.\.3"):
        look_inside(model, a_pair(model), model.noise(1), 4)
