"""Networks: recorded outputs of the published systems, shapes, spectral norm, step images, groups."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as torch_spectral_norm
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from config.load import load_config
from losses.adversarial import r1_penalty
from losses.attention import attention_reconstruction
from models.discriminators import ResidualConfig, StyleGAN2Config, append_minibatch_std
from models.dptn import DPTNConfig
from models.families import build_discriminator, build_generator
from models.layers import (
    BiasActivation,
    Blur,
    StepProjection,
    Upsample,
    advance_spectral_norm,
    dptn_step_image,
    maybe_spectral_norm,
    nted_step_image,
    step_plane,
    weights_once,
)
from models.nted import NTEDConfig
from models.patch import PatchConfig
from models.unet import UNetConfig

TINY_NTED = NTEDConfig(channels=(8, 8, 6), num_textures=(3, 4, 0), kernel_sizes=(1, 3, 3))
TINY_DPTN = DPTNConfig(ngf=4, img_f=8, num_levels=2, num_blocks=1, num_CABs=1, num_TTBs=1)
TINY_UNET = UNetConfig(channels=(8, 8, 6))


@pytest.mark.parametrize(("config", "pose"), [(TINY_NTED, 20), (TINY_DPTN, 41)])
@pytest.mark.parametrize("num_steps", [1, 5])
def test_generators_draw_an_image_of_the_canvas_size(config, pose, num_steps):
    generator = build_generator(config, pose, num_steps)
    image, maps = torch.randn(2, 3, 64, 48), torch.rand(2, pose, 64, 48)
    output = generator(image, maps, maps, image, torch.tensor([0, 4]), reconstruct=True)
    assert output.target_image.shape == image.shape
    assert (output.source_image is not None) == (config.kind == "dptn")
    assert len(output.textures) == (4 if config.kind == "nted" else 0)


@pytest.mark.parametrize("pose_attention", [False, True])
@pytest.mark.parametrize("num_steps", [1, 5])
def test_dptn_draws_the_same_with_the_reconstruction_as_from_an_encoded_source(num_steps, pose_attention):
    """Training runs both tasks as one batch, drawing one after the other."""
    torch.manual_seed(0)
    generator = build_generator(TINY_DPTN.model_copy(update={"pose_attention": pose_attention}), 41, num_steps)
    source, canvas, maps = torch.randn(2, 3, 64, 48), torch.randn(2, 3, 64, 48), torch.rand(2, 2, 41, 64, 48)
    arguments = source, *maps, canvas, torch.tensor([0, 4])
    together, drawn = generator(*arguments, reconstruct=True), generator(*arguments)
    torch.testing.assert_close(drawn.target_image, together.target_image)


def test_texture_weights_are_distributions():
    output = build_generator(TINY_NTED, 20, 5)(
        torch.randn(2, 3, 64, 48), None, torch.rand(2, 20, 64, 48), torch.randn(2, 3, 64, 48), torch.tensor([0, 1])
    )
    for pair in output.textures:
        torch.testing.assert_close(pair.extraction.sum(dim=2), torch.ones(pair.extraction.shape[:2]))
        torch.testing.assert_close(pair.distribution.sum(dim=1), torch.ones(2, pair.size[0] * pair.size[1]))


@pytest.mark.parametrize(("config", "pose"), [(TINY_NTED, 20), (TINY_DPTN, 41)])
def test_activations_stay_bf16_under_autocast(config, pose):
    """A parameter of fp32 beside them would turn what follows into fp32: twice the bytes."""
    generator, found = build_generator(config, pose, 5), set()
    for module in generator.modules():
        if isinstance(module, (BiasActivation, nn.LeakyReLU)):
            module.register_forward_hook(lambda module, inputs, output: found.add(output.dtype))
    image, maps = torch.randn(1, 3, 64, 48), torch.rand(1, pose, 64, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        generator(image, maps, maps, image, torch.tensor([2]), reconstruct=True)
    assert found == {torch.bfloat16}


TINY_DISCRIMINATORS = [
    ResidualConfig(ndf=4, img_f=8, num_levels=3),
    StyleGAN2Config(channels=(8, 8, 6, 6)),
    PatchConfig(channels=(4, 6, 8)),
]
STEPS = torch.tensor([0, 1, 4, 4])


@pytest.mark.parametrize("config", TINY_DISCRIMINATORS)
def test_discriminators_classify_steps_only_where_there_are_several_and_they_are_asked(config):
    images = torch.randn(4, 3, 64, 48)
    log_probs = build_discriminator(config, (64, 48), 5)(images, STEPS).step_log_probs
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(4))
    assert build_discriminator(config, (64, 48), 1)(images, STEPS).step_log_probs is None
    without = config.model_copy(update={"step": "none"})
    assert build_discriminator(without, (64, 48), 5)(images, STEPS).step_log_probs is None


@pytest.mark.parametrize("config", TINY_DISCRIMINATORS)
def test_a_discriminator_that_is_told_the_step_judges_an_image_as_one_of_that_step(config):
    """All four images are the same, so only their steps tell them apart."""
    told = config.model_copy(update={"step": "projection"})
    images = torch.randn(1, 3, 64, 48).expand(4, -1, -1, -1)
    verdict = build_discriminator(told, (64, 48), 5)(images, STEPS)
    first, second, third, fourth = verdict.score.flatten(1)
    assert verdict.step_log_probs is None
    assert not torch.allclose(first, second, atol=1e-4) and not torch.allclose(second, third, atol=1e-4)
    torch.testing.assert_close(third, fourth)
    alone = build_discriminator(told, (64, 48), 1)
    assert not [name for name, _ in alone.named_parameters() if "step" in name]


def test_a_projection_is_the_steps_vector_times_the_mean_feature():
    projection = StepProjection(4, 2)
    projection.vectors.weight.data = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 8]])
    features = torch.tensor([[1.0, 0, -1, 2], [5, 5, 5, 3]]).view(2, 4, 1, 1).repeat(1, 1, 2, 3)
    features[:, :, 0] += 1
    features[:, :, 1] -= 1  # the mean stays
    expected = [(1 - 3 + 8) / 2, 24 / 2]
    assert projection(features, torch.tensor([0, 1])).tolist() == pytest.approx(expected)


def test_spectral_norm_equals_pytorchs_with_the_same_vectors():
    torch.manual_seed(0)
    for make in (lambda: nn.Conv2d(3, 5, 3), lambda: nn.ConvTranspose2d(3, 5, 3)):
        ours = maybe_spectral_norm(make(), True)
        theirs = torch_spectral_norm(make()).eval()
        theirs.load_state_dict(ours.state_dict())
        x = torch.randn(2, 3, 8, 8)
        torch.testing.assert_close(ours(x), theirs(x))


def test_spectral_norm_approaches_the_largest_singular_value():
    layer = maybe_spectral_norm(nn.Conv2d(3, 5, 3), True)
    for _ in range(50):
        advance_spectral_norm(layer)
    assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, rel=1e-4)


def test_spectral_norm_stays_put_between_optimizer_steps():
    layer = maybe_spectral_norm(nn.Conv2d(3, 5, 3), True)
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("recompute", [False, True])
def test_weights_once_are_one_tensor_with_the_gradients_of_many(recompute):
    torch.manual_seed(0)
    layer = maybe_spectral_norm(nn.Conv2d(3, 3, 3, padding=1), True).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)

    def gradient_of_three_calls() -> torch.Tensor:
        y = x.clone().requires_grad_()
        for _ in range(3):
            y = checkpoint(layer, y, use_reentrant=False) if recompute else layer(y)
        (gradient,) = torch.autograd.grad(y.square().sum(), layer.parametrizations.weight.original)
        return gradient

    expected = gradient_of_three_calls()
    with weights_once(layer):
        assert layer.weight is layer.weight
        torch.testing.assert_close(gradient_of_three_calls(), expected)
    assert layer.weight is not layer.weight


def test_weights_once_have_second_derivatives():
    layer = maybe_spectral_norm(nn.Conv2d(3, 1, 3), True).double()
    original, x = layer.parametrizations.weight.original, torch.randn(1, 3, 4, 4, dtype=torch.float64)
    found = []
    for context in (nullcontext(), weights_once(layer)):
        with context:
            images = x.clone().requires_grad_()
            penalty = r1_penalty(images, torch.tanh(layer(images)), torch.sigmoid(layer(images)))
            found += torch.autograd.grad(penalty, original)
    torch.testing.assert_close(*found)


def test_step_images_by_hand():
    nted = nted_step_image(torch.tensor([3]), (2, 4)).flatten()
    frequencies = [math.exp(-math.log(1000) * i / 4) for i in range(4)]
    expected = [math.cos(3 * f) for f in frequencies] + [math.sin(3 * f) for f in frequencies]
    torch.testing.assert_close(nted, torch.tensor(expected))
    dptn = dptn_step_image(torch.tensor([2]), (2, 2)).flatten()
    expected = [math.sin(2), math.cos(2), math.sin(2e-2), math.cos(2e-2)]
    torch.testing.assert_close(dptn, torch.tensor(expected))


def test_the_step_plane_runs_from_minus_one_to_one():
    plane = step_plane(torch.tensor([0, 3, 4]), (2, 3), num_steps=5)
    assert plane.shape == (3, 1, 2, 3) and plane[:, 0, 1, 2].tolist() == [-1, 0.5, 1]


@pytest.mark.parametrize("config", [TINY_NTED, TINY_DPTN, TINY_UNET], ids=lambda config: config.kind)
def test_a_step_beside_the_canvas_leaves_the_source_alone(config):
    """The source is encoded alike for every step, and yet the steps draw differently."""
    size = (32, 32)
    torch.manual_seed(0)
    generator = build_generator(config.model_copy(update={"step_input": "channel", "init_gain": 1}), 4, num_steps=3)
    source, canvas, poses = torch.rand(2, 3, *size), torch.rand(2, 3, *size), torch.rand(2, 4, *size)
    step = torch.tensor([0, 2])
    encoded = [generator.encode_source(source, poses, one.repeat(2)) for one in step]
    assert all(torch.equal(a, b) for a, b in zip(*map(tree_leaves, encoded), strict=True))
    drawn = [generator.draw(encoded[0], poses, canvas, one.repeat(2)).target_image for one in step]
    assert not torch.allclose(*drawn)
    both = generator(source, poses, poses, canvas, step, reconstruct=generator.reconstructs)
    torch.testing.assert_close(both.target_image, torch.stack([drawn[0][0], drawn[1][1]]), rtol=1e-4, atol=1e-5)


def test_the_transformation_branch_of_dptn_sees_the_source_where_asked():
    """With its attention cut off, what is left of the source comes through the branch itself."""
    size = (32, 32)
    for both in (False, True):
        torch.manual_seed(0)
        dptn = build_generator(TINY_DPTN.model_copy(update={"source_to_both": both, "init_gain": 1}), 4, num_steps=3)
        canvas, pose, step = torch.rand(2, 3, *size), torch.rand(2, 4, *size), torch.tensor([0, 2])
        sources = [torch.rand(2, 3, *size) for _ in range(2)]
        context, texture, _, nearby = dptn.encode_source(sources[0], pose, step)
        branches = [dptn.encode_source(source, pose, step)[2] for source in sources]
        drawn = [dptn.draw((context, texture, branch, nearby), pose, canvas, step).target_image for branch in branches]
        assert torch.equal(*drawn) is not both


def test_minibatch_groups_follow_the_published_order():
    """Six samples: groups of 3, sample i in group i mod 2; the even ones are all equal, the odd ones are not."""
    features = torch.zeros(6, 1, 2, 2)
    features[1::2] = torch.tensor([0.0, 3.0, 6.0]).view(3, 1, 1, 1)
    channel = append_minibatch_std(features)[:, 1]
    assert float(channel[0::2].abs().max()) < 1e-3
    torch.testing.assert_close(channel[1::2], torch.full((3, 2, 2), math.sqrt(6)))


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (6, 3), (2, 2)])
def test_minibatch_groups_for_any_batch(batch, group):
    channel = append_minibatch_std(torch.randn(batch, 3, 2, 2))[:, 3, 0, 0]
    assert len(channel.unique()) == batch // group


def test_upsampling_is_zero_insertion_and_blur():
    x = torch.randn(1, 2, 3, 4)
    inserted = torch.zeros(1, 2, 6, 8)
    inserted[:, :, ::2, ::2] = x
    torch.testing.assert_close(Upsample()(x), Blur(0, gain=4)(F.pad(inserted, (2, 1, 2, 1))))


def test_blur_keeps_a_constant():
    x = torch.full((1, 2, 9, 9), 3.0)
    torch.testing.assert_close(Blur(2)(x)[:, :, 2:-2, 2:-2], torch.full((1, 2, 6, 6), 3.0))


def test_init_gain_scales_dptns_convolutions():
    scales = []
    for gain in (0.02, 1.0):
        torch.manual_seed(0)
        config = DPTNConfig(kind="dptn", ngf=8, img_f=16, num_levels=2, spectral_norm=False, init_gain=gain)
        weight = build_generator(config, 41, 2).state_dict()["content_encoder.block0.model.0.weight"]
        fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
        scales.append(float(weight.std()) / (2 / (fan_in + fan_out)) ** 0.5)
    assert scales == pytest.approx([0.02, 1.0], rel=0.05)


def test_every_parameter_of_the_plain_baseline_has_a_part_in_its_output():
    """A bias before a norm has none: Adam would make steps of rounding errors."""
    torch.manual_seed(0)
    images, maps = torch.rand(2, 3, 32, 32).double(), torch.rand(2, 18, 32, 32).double()
    generator = build_generator(UNetConfig(channels=(8, 8, 6)), 18, 2).double()
    discriminator = build_discriminator(PatchConfig(channels=(4, 6, 8)), (32, 32), 2).double()
    image = generator(images, maps, maps, images, torch.tensor([0, 1])).target_image
    verdict = discriminator(image.double(), torch.tensor([0, 1]))
    (verdict.score.square().sum() + verdict.step_log_probs[:, 0].sum()).backward()
    for network in (generator, discriminator):
        idle = [name for name, p in network.named_parameters() if p.grad.abs().max() < 1e-9]
        assert not idle


def test_textures_begin_as_body_parts_where_the_source_pose_is_seen():
    """Stripes, the first of no map, in another order in the target: untrained, colours go where their part went."""
    torch.manual_seed(0)
    # (5, 16, 40): of five maps the first is of a joint that is not there, each other one of a stripe
    parts = torch.cat((torch.zeros(5, 1), torch.eye(5)[:, 1:]), dim=1).repeat_interleave(8, dim=1)
    parts = parts.unsqueeze(1).expand(-1, 16, -1)
    order = torch.tensor([2, 0, 4, 1, 3]).mul(8).repeat_interleave(8) + torch.arange(8).repeat(5)
    source = (torch.rand(3, 5) * 2 - 1).repeat_interleave(8, dim=1).unsqueeze(1).expand(-1, 16, -1)
    poses, images = (parts[None], parts[None, ..., order]), (source[None], source[None, ..., order])

    def loss(seen: bool, moved: int) -> float:
        config = NTEDConfig(channels=(8, 8, 6), num_textures=(5, 5, 0), kernel_sizes=(3, 3, 3), source_pose=seen)
        generator = build_generator(config, 5, 1)
        for filters in generator.pose_filters.values():
            first, second = filters.weight.data.chunk(2)
            filters.weight.data = torch.cat((first, second.roll(moved, 0)))
        return attention_reconstruction(generator(images[0], *poses).textures, *images).item()

    assert loss(seen=True, moved=0) < 0.02
    assert loss(seen=True, moved=1) < 0.02  # each texture is gathered and given by the same filters
    assert loss(seen=False, moved=0) > 0.2  # the mean colour everywhere


def test_nted_with_the_source_pose_refuses_distances():
    with pytest.raises(ValueError, match=r"source_pose needs maps .*: set data\.pose=joints_limbs"):
        load_config("config/nted_256.yaml", ["generator.source_pose=true"])


def test_pose_attention_begins_where_the_same_keypoints_are():
    """Four bands, each on a map of its own but the first, on none; in the target they stand in another order."""
    torch.manual_seed(0)
    bands = torch.cat((torch.zeros(3, 1), torch.eye(3)), dim=1).repeat_interleave(16, dim=1)
    maps = bands.unsqueeze(1).expand(-1, 16, -1)[None]
    order = torch.tensor([2, 0, 3, 1])
    moved = maps[..., order.mul(16).repeat_interleave(16) + torch.arange(16).repeat(4)]
    generator = build_generator(TINY_DPTN.model_copy(update={"pose_attention": True}), 3, 1)
    attention, seen = generator.PTM.TTBs[0].cross_attn, []
    attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    image = torch.rand(1, 3, 16, 64)
    generator(image, maps, moved, reconstruct=True)
    # (target column, source column), each 4 pixels wide: what the middle of each band takes from every band's middle
    weights = attention.weights(*seen[0]).view(4, 16, 4, 16).mean(dim=0).sum(dim=1)
    taken = weights[torch.arange(4) * 4 + 1].view(4, 4, 4).sum(dim=2)
    assert taken.argmax(dim=1).tolist() == order.tolist()
    assert taken.amax(dim=1).min() > 0.7
    with torch.no_grad():
        attention.pose_gain.zero_()  # as in the paper: nothing to go by yet
        assert attention.weights(*seen[0]).view(4, 16, 4, 16).mean(dim=0).sum(dim=1)[1].amax() < 0.3
    assert not hasattr(build_generator(TINY_DPTN, 3, 1).PTM.TTBs[0].cross_attn, "pose_gain")


def test_dptn_with_pose_attention_refuses_distances():
    with pytest.raises(ValueError, match=r"pose_attention needs maps .*: set data\.pose=joints_limbs"):
        load_config("config/demo_dptn.yaml", ["data.pose=skeleton"])
