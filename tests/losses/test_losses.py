"""Losses against numbers worked out by hand and against plain versions of the same computation."""

from __future__ import annotations

import math

import pytest
import torch

from config.load import load_config
from losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1_penalty, step_loss
from losses.attention import attention_reconstruction
from losses.face import face_crop
from losses.perceptual import (
    CONTENT_LAYERS,
    STYLE_LAYERS,
    PerceptualConfig,
    VGG19Features,
    build_perceptual_net,
    feature_loss,
    gram,
    gram_loss,
)
from models.layers import TexturePair
from tests import plain

SCORES = torch.tensor([[0.0], [2.0]])


@pytest.mark.parametrize(
    ("mode", "real", "fake", "generator"),
    [
        (
            "non_saturating",
            (math.log(2) + math.log(1 + math.exp(-2))) / 2,
            (math.log(2) + math.log(1 + math.exp(2))) / 2,
            None,
        ),
        ("least_squares", 0.5, 1.0, 0.5),  # half of (1 + 1) / 2, half of (0 + 4) / 2
        ("hinge", 0.5, 2.0, -1.0),  # (1 + 0) / 2, (1 + 3) / 2
        ("wasserstein", -1.0, 1.0, -1.0),
    ],
)
def test_adversarial_losses_by_hand(mode, real, fake, generator):
    assert float(discriminator_loss(mode, SCORES, real=True)) == pytest.approx(real)
    assert float(discriminator_loss(mode, SCORES, real=False)) == pytest.approx(fake)
    assert float(generator_loss(mode, SCORES)) == pytest.approx(real if generator is None else generator)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="non_saturating, least_squares, hinge, wasserstein"):
        discriminator_loss("lsgan", SCORES, real=True)


def test_step_loss_of_an_undecided_classifier_is_the_log_of_the_steps():
    assert float(step_loss(torch.full((3, 20), 1 / 20).log(), torch.tensor([0, 7, 19]))) == pytest.approx(math.log(20))


def test_r1_of_a_linear_critic_is_its_squared_weight():
    images, weight = torch.randn(4, 3, 8, 8, requires_grad=True), torch.randn(3, 8, 8)
    penalty = r1_penalty(images, (images * weight).sum(dim=(1, 2, 3)), None)
    assert float(penalty) == pytest.approx(float(weight.square().sum()), rel=1e-5)


def test_r1_of_a_constant_critic_is_zero_and_finite():
    images = torch.zeros(2, 3, 8, 8, requires_grad=True)
    assert float(r1_penalty(images, images.sum(dim=(1, 2, 3)) * 0, images.flatten(1)[:, :5] * 0)) == 0


def test_gradient_penalty_vanishes_for_a_unit_slope():
    weight = torch.ones(3, 4, 4) / math.sqrt(48)
    real, fake = torch.randn(2, 2, 3, 4, 4).unbind()
    penalty = gradient_penalty(lambda x: (x * weight).sum(dim=(1, 2, 3)), real, fake, torch.tensor([0.2, 0.9]))
    assert float(penalty) == pytest.approx(0, abs=1e-6)


def test_batched_face_crops_equal_plain_ones():
    rows = [
        [70.0, 40, 101, 42],
        [-1, -1, -1, -1],
        [2, 3, 5, 3],
        [160, 250, 175, 250],
        [80, 60, 60, 60],
        [10, 100, 150, 90],
    ]
    images, boxes = torch.randn(len(rows), 3, 256, 176), torch.tensor(rows)
    torch.testing.assert_close(face_crop(images, boxes), plain.face_crop(images, boxes), rtol=1e-4, atol=1e-4)


def test_attention_reconstruction_is_zero_where_textures_copy_the_target():
    """Four textures that read one position each, given back to the same positions."""
    identity = torch.eye(4).expand(2, 4, 4)
    image = torch.rand(2, 3, 2, 2)
    pair = TexturePair(identity, identity, (2, 2))
    assert float(attention_reconstruction([pair], image, image)) == pytest.approx(0, abs=1e-7)
    swapped = TexturePair(identity.flip(2), identity, (2, 2))
    assert float(attention_reconstruction([pair, swapped], image, image.flatten(2).flip(2).view_as(image))) > 0


def test_attention_reconstruction_warps_all_sources_together_by_hand():
    """One texture reads a quarter of each of four positions: two of a source of 0.8, two of one of 0.2."""
    sources = torch.tensor([0.8, 0.2]).view(1, 2, 1, 1, 1).expand(1, 2, 3, 1, 2)
    pair = TexturePair(torch.full((1, 1, 4), 0.25), torch.ones(1, 1, 2), (1, 2))
    assert float(attention_reconstruction([pair], sources, torch.zeros(1, 3, 1, 2))) == pytest.approx(0.5)
    first = TexturePair(torch.tensor([[[0.5, 0.5, 0, 0]]]), torch.ones(1, 1, 2), (1, 2))
    assert float(attention_reconstruction([first], sources, torch.zeros(1, 3, 1, 2))) == pytest.approx(0.8)


def test_attention_reconstruction_needs_textures():
    with pytest.raises(ValueError, match=r"objective\.attention=0"):
        attention_reconstruction([], torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))


def test_gram_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # C = 2, h*w = 2
    torch.testing.assert_close(gram(features), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4)


def test_feature_losses_sum_layers():
    one, two = ({name: torch.full((1, 2, 2, 2), value) for name in CONTENT_LAYERS} for value in (1.0, 3.0))
    assert float(feature_loss(one, two, CONTENT_LAYERS)) == pytest.approx(10)
    assert float(gram_loss(one, two, CONTENT_LAYERS)) == pytest.approx(5 * 4)  # 9 * 4 / 8 - 4 / 8


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_feature_losses_have_the_gradients_of_the_plain_ones_in_the_features_layout(layout):
    torch.manual_seed(0)
    x, y = (torch.randn(2, 5, 6, 4).relu().contiguous(memory_format=layout) for _ in range(2))
    x.requires_grad_()
    flat, other = x.flatten(2), y.flatten(2)
    plain = {
        feature_loss: (x - y).abs().mean(),
        gram_loss: (flat @ flat.mT / 120 - other @ other.mT / 120).abs().mean(),
    }
    for loss, expected in plain.items():
        found = loss({"relu": x}, {"relu": y}, ["relu"])
        torch.testing.assert_close(found, expected)
        (gradient,) = torch.autograd.grad(found * 3, x)
        torch.testing.assert_close(gradient, 3 * torch.autograd.grad(expected, x)[0])
        assert gradient.is_contiguous(memory_format=layout)


def test_feature_losses_of_bf16_are_added_up_in_fp32():
    features = torch.full((1, 8, 32, 32), 1 / 3).bfloat16().requires_grad_()
    loss = feature_loss({"relu": features}, {"relu": torch.zeros_like(features)}, ["relu"])
    assert loss.dtype is torch.float32 and float(loss.detach()) == pytest.approx(
        float(features.detach()[0, 0, 0, 0]), rel=1e-6
    )
    assert torch.autograd.grad(loss, features)[0].dtype is torch.bfloat16


def test_vgg_layers_are_torchvisions():
    from torchvision.models import vgg19

    reference = vgg19(weights=None).features.eval()
    vgg = VGG19Features((*CONTENT_LAYERS, *STYLE_LAYERS))
    vgg.load_torchvision({f"features.{key}": value for key, value in reference.state_dict().items()})
    image = torch.rand(1, 3, 32, 32)
    found = vgg(image)
    # places of the activations in torchvision's list, counted from its printed model
    for name, place in {
        "relu1_1": 1,
        "relu2_2": 8,
        "relu3_1": 11,
        "relu3_4": 17,
        "relu4_4": 26,
        "relu5_1": 29,
        "relu5_2": 31,
    }.items():
        torch.testing.assert_close(found[name], reference[: place + 1](image))


def test_vgg_without_weights_and_network_says_where_to_put_the_file(monkeypatch, tmp_path):
    import torchvision.models._api as api

    from losses.perceptual import imagenet_vgg19_state

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(api, "load_state_dict_from_url", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"vgg19-dcbb9e9d\.pth.*objective\.perceptual_net=lite0"):
        imagenet_vgg19_state()


def test_lite0s_layers_are_its_five_resolutions_and_keep_still():
    """A trained network must stay as it was trained: no batch statistics, no gradients of its own."""
    net = build_perceptual_net(PerceptualConfig(perceptual_net="lite0"), with_style=True).train()
    images = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = net(net.normalised(images))
    widths = {"stem": 32, "block2": 24, "block4": 40, "block10": 112, "block15": 320}
    shapes = {name: (2, width, 64 // 2**i, 48 // 2**i) for i, (name, width) in enumerate(widths.items(), 1)}
    assert {name: tuple(feature.shape) for name, feature in found.items()} == shapes | {"block15": (2, 320, 2, 2)}
    assert not any(parameter.requires_grad for parameter in net.parameters())
    torch.testing.assert_close(net(net.normalised(images[:1]))["block15"], found["block15"][:1])
    whole = net.net.maps((images * 127.5 + 127.5 - 127) / 128)
    head = torch.nn.functional.relu6(net.net._bn1(net.net._conv_head(found["block15"])))
    torch.testing.assert_close(head, whole, rtol=1e-3, atol=1e-4)


def test_the_perceptual_net_of_an_older_run_is_read_by_its_new_name():
    config = load_config("config/dptn_256.yaml", ["objective.vgg={weights: random, channel_divisor: 4}"])
    assert (config.objective.perceptual_net, config.objective.channel_divisor) == ("random", 4)
    config = load_config("config/dptn_256.yaml", ["objective.vgg={weights: imagenet, channel_divisor: 1}"])
    assert config.objective.perceptual_net == "vgg19"
