"""Several sources of one person: what is promised of them, for both systems, in one step and in several."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers import GeneratorOutput
from models.nted import TextureExtraction
from models.one_source import OneSource
from models.rollout import Pair
from studio.pipeline import StepPose
from tests.runs import tiny_model
from tests.tiny import SIZE

# sums over positions in another order
TOLERANCE = 1e-5
SYSTEMS = ("nted", "dptn")


FORMS: list[tuple[str, int, tuple[str, ...]]] = [
    *((system, steps, ()) for system in SYSTEMS for steps in (1, 4)),
    ("nted", 4, ("generator.step_input=channel",)),
    *(("nted", steps, ("generator.source_pose=true", "data.pose=joints_limbs")) for steps in (1, 4)),
    ("dptn", 4, ("generator.step_input=channel",)),
    ("dptn", 4, ("generator.source_to_both=true", "generator.pose_attention=true")),
]


@pytest.fixture(params=FORMS, ids=lambda form: "-".join((form[0], str(form[1]), *form[2])))
def model(request: pytest.FixtureRequest) -> StepPose:
    system, num_steps, more = request.param
    return tiny_model(system, Path("."), num_steps, *more)


def inputs(model: StepPose, count: int = 3, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, N, 3, H, W), their poses and target poses."""
    random = torch.Generator().manual_seed(1)
    channels = model.config.data.pose_channels
    images = torch.rand(batch, count, 3, *SIZE, generator=random) * 2 - 1
    return images, *(torch.rand(batch, *n, channels, *SIZE, generator=random) for n in ((count,), ()))


def drawn(model: StepPose, images: Tensor, own: Tensor, target: Tensor) -> Tensor:
    """The images of all steps."""
    return torch.stack(list(model.stream(Pair(images, own, target), model.noise(len(target)))))


def test_one_of_several_places_is_the_one_source_bit_for_bit(model):
    images, own, target = inputs(model, 1)
    assert torch.equal(drawn(model, images, own, target), drawn(model, images[:, 0], own[:, 0], target))


def test_the_same_photograph_twice_or_thrice_is_as_once(model):
    images, own, target = inputs(model, 1)
    once = drawn(model, images[:, 0], own[:, 0], target)
    for times in (2, 3):
        again = drawn(model, images.repeat(1, times, 1, 1, 1), own.repeat(1, times, 1, 1, 1), target)
        assert float((again - once).abs().max()) <= TOLERANCE


def test_the_order_of_sources_is_of_no_account_and_all_are_seen(model):
    images, own, target = inputs(model)
    first = drawn(model, images, own, target)
    for order in ([2, 0, 1], [1, 0, 2]):
        assert float((drawn(model, images[:, order], own[:, order], target) - first).abs().max()) <= TOLERANCE
    for absent in range(3):
        rest = [index for index in range(3) if index != absent]
        assert float((drawn(model, images[:, rest], own[:, rest], target) - first).abs().max()) > 100 * TOLERANCE


def test_a_sample_does_not_depend_on_the_others_of_its_batch(model):
    images, own, target = inputs(model)
    both, noise = drawn(model, images, own, target), model.noise(2)
    for row in range(2):
        one = slice(row, row + 1)
        alone = torch.stack(list(model.stream(Pair(images[one], own[one], target[one]), noise[one])))
        assert float((alone - both[:, one]).abs().max()) <= TOLERANCE


def test_several_sources_are_encoded_once_a_step_for_many_poses(model):
    images, own, target = inputs(model, 2, batch=3)
    images, own = images[:1].expand(3, -1, -1, -1, -1), own[:1].expand(3, -1, -1, -1, -1)
    plain = drawn(model, images, own, target)
    name, calls = "reference_encoder" if hasattr(model.generator, "reference_encoder") else "source_encoder", []
    getattr(model.generator, name).register_forward_hook(lambda *arguments: calls.append(len(arguments[1][0])))
    shared = OneSource(model.generator)
    for _ in range(2):
        again = torch.stack(list(model.stream(Pair(images, own, target), model.noise(3), shared)))
        assert float((again - plain).abs().max()) <= TOLERANCE
    assert calls == [2] * model.num_steps


@pytest.mark.parametrize("num_textures", [2, 8])  # sums of what the kernel sees, or of values
def test_an_extraction_is_one_softmax_over_the_positions_of_all_sources(num_textures):
    torch.manual_seed(0)
    extraction = TextureExtraction(8, num_textures, 3)
    assert extraction.pool_first == (num_textures == 2)
    x, standardised = torch.randn(6, 8, 5, 4), torch.randn(6, 8, 5, 4)
    textures, places = extraction(x, standardised, 3)
    logits, conv = extraction.semantic_filter(standardised).flatten(2), extraction.value_conv
    values = F.conv2d(x, conv.weight * conv.scale, conv.bias, padding=1).flatten(2)
    for sample in range(2):
        mine = slice(3 * sample, 3 * sample + 3)
        weights = torch.cat(list(logits[mine]), dim=1).softmax(dim=1)
        torch.testing.assert_close(places[sample], weights)
        torch.testing.assert_close(textures[sample], torch.cat(list(values[mine]), dim=1) @ weights.mT)


@pytest.mark.parametrize("more", [(), ("generator.source_to_both=true",)])
def test_dptn_reconstructs_the_first_of_its_sources(more):
    model = tiny_model("dptn", Path("."), 4, *more)
    images, own, target = inputs(model)
    step, canvas = torch.tensor([0, 2]), torch.randn(2, 3, *SIZE)

    def both(images: Tensor, own: Tensor) -> GeneratorOutput:
        return model.generator(images, own, target, canvas, step, reconstruct=True)

    alone, several = both(images[:, 0], own[:, 0]), both(images, own)
    assert several.source_image.shape == several.target_image.shape
    torch.testing.assert_close(several.source_image, alone.source_image, atol=TOLERANCE, rtol=0)
    drawn_only = model.generator(images, own, target, canvas, step)
    torch.testing.assert_close(several.target_image, drawn_only.target_image, atol=TOLERANCE, rtol=0)
