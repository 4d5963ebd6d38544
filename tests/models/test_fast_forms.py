"""What is computed in a quicker way equals the plain way, in fp64, and so do its gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.attention import Attention
from models.device import fused_attention_is_slow
from models.discriminators import StyleGAN2Block
from models.dptn import TokenNorm, _Blocks
from models.layers import Blur, ConvLayer, InstanceNorm, Upsample
from models.nted import RenderLayer, TextureExtraction, _standardise


class CountConvolutions(TorchDispatchMode):
    number = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.number += "convolution" in function.__name__
        return function(*args, **(kwargs or {}))


def assert_same(fast, plain, x: torch.Tensor) -> None:
    """Equal results, and equal gradients of random weights of them."""
    left, right = fast(x), plain(x)
    torch.testing.assert_close(left, right)
    weights = torch.randn_like(right)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, weights, retain_graph=True)[0] for y in (left, right)))


def random(module: nn.Module) -> nn.Module:
    """In fp64, biases too drawn at random."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.double()


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def plain_blur(x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """[1, 3, 3, 1] in both directions by sums of moved images."""
    x, taps = F.pad(x, (padding,) * 4), (1, 3, 3, 1)
    height, width = (side - 3 for side in x.shape[2:])
    moved = [taps[i] * taps[j] * x[:, :, i : i + height, j : j + width] for i in range(4) for j in range(4)]
    return torch.stack(moved).sum(dim=0) * gain / 64


def plain_weight(weight: Tensor) -> Tensor:
    return weight / math.sqrt(weight[0].numel())


def activated(x: Tensor, bias: Tensor) -> Tensor:
    return F.leaky_relu(x + bias.view(-1, 1, 1), 0.2) * math.sqrt(2)


def plain_conv_layer(layer: ConvLayer, x: Tensor, downsample: bool) -> Tensor:
    """StyleGAN2's layer as it is written down: the blur reads every position, sqrt(2) is a step of its own."""
    size, stride = layer.conv.weight.shape[2], 2 if downsample else 1
    x = plain_blur(x, (size + 1) // 2) if downsample else x
    x = F.conv2d(x, plain_weight(layer.conv.weight), stride=stride, padding=0 if downsample else size // 2)
    return x if layer.activate is None else activated(x, layer.activate.bias)


@pytest.mark.parametrize("downsample", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("activate", [False, True])
def test_a_convolution_layer_is_blur_convolution_bias_activation_and_gain(kernel_size, downsample, activate):
    layer = random(ConvLayer(4, 5, kernel_size, downsample, activate, gain=0.7))
    assert_same(layer, lambda x: 0.7 * plain_conv_layer(layer, x, downsample), features(2, 4, 8, 6))


def test_a_residual_block_is_the_sum_of_its_branches_over_sqrt_2():
    block = random(StyleGAN2Block(3, 5))

    def plain(x: Tensor) -> Tensor:
        branch = plain_conv_layer(block.conv2, plain_conv_layer(block.conv1, x, False), True)
        return (branch + plain_conv_layer(block.skip, x, True)) / math.sqrt(2)

    assert_same(block, plain, features(2, 3, 8, 6))


@pytest.mark.parametrize("widths", [(3, 5), (5, 3)])
def test_a_decoder_block_is_the_sum_of_its_layers_and_its_shortcut(widths):
    block = _Blocks(spectral_norm=True, init="xavier", gain=1).decoder(*widths).double()
    assert_same(block, lambda x: block.model(x) + block.shortcut(x), features(2, widths[0], 8, 6))


def test_activations_in_place_leave_second_derivatives_exact():
    """R1 differentiates the discriminator twice."""
    assert torch.autograd.gradgradcheck(random(StyleGAN2Block(2, 2)), features(1, 2, 4, 4))


@pytest.mark.parametrize("upsample", [False, True])
@pytest.mark.parametrize("num_textures", [0, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_render_layer_distributes_textures_then_activates(upsample, num_textures, layout):
    layer = random(RenderLayer(4, 5, num_textures, 3, upsample)).to(memory_format=layout)
    texture = (features(2, 5, 3), torch.zeros(2, 3, 1)) if num_textures else None

    def plain(x: Tensor) -> Tensor:
        weight = plain_weight(layer.conv.weight)
        if upsample:
            x = plain_blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, gain=4)
        else:
            x = F.conv2d(x, weight, padding=1)
        if texture is not None:
            filter_ = layer.distribution.semantic_filter
            logits = F.conv2d(x, plain_weight(filter_.weight), filter_.bias, padding=1)
            x = (x + torch.einsum("bck,bkhw->bchw", texture[0], logits.softmax(dim=1))) / math.sqrt(2)
        return activated(x, layer.activate.bias)

    x = features(2, 4, 6, 4).detach().contiguous(memory_format=layout).requires_grad_()
    assert_same(lambda x: layer(x, texture)[0], plain, x)
    assert layer(x, texture)[0].is_contiguous(memory_format=layout)


@pytest.mark.parametrize(("num_textures", "kernel_size", "pool_first"), [(2, 3, True), (2, 1, True), (3, 3, False)])
def test_pooling_before_the_value_convolution_changes_nothing(num_textures, kernel_size, pool_first):
    extraction = random(TextureExtraction(8, num_textures, kernel_size))
    assert extraction.pool_first == pool_first

    def plain(x: Tensor) -> Tensor:
        normalised = F.normalize(x - x.mean(dim=1, keepdim=True), dim=1)
        same, values = {"padding": kernel_size // 2}, extraction.value_conv
        logits = F.conv2d(normalised, plain_weight(extraction.semantic_filter.weight), **same)
        weights = logits.flatten(2).softmax(dim=2)
        return F.conv2d(x, plain_weight(values.weight), values.bias, **same).flatten(2) @ weights.mT

    assert_same(lambda x: extraction(x, _standardise(x))[0], plain, features(2, 8, 5, 4))


def test_a_feature_of_equal_channels_standardises_to_zero_with_finite_gradients():
    x = torch.full((1, 4, 2, 2), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(_standardise(x).sum(), x)
    assert not _standardise(x).any() and gradient.isfinite().all()


@pytest.mark.parametrize(("padding", "stride", "size"), [(1, 1, (5, 6)), (1, 2, (6, 9)), (2, 2, (7, 8))])
def test_derivatives_of_a_blur_are_right_and_none_is_a_convolution_a_channel(padding, stride, size):
    """R1 takes the second one."""
    blur, x = Blur(padding, stride=stride).double(), torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradgradcheck(lambda x: blur(x).square(), x)
    torch.autograd.gradgradcheck(lambda x: Upsample().double()(x).square(), x)
    many = torch.randn(2, 64, *size, requires_grad=True)
    with CountConvolutions() as counted:
        (gradient,) = torch.autograd.grad(Blur(padding, stride=stride)(many).square().sum(), many, create_graph=True)
        gradient.square().sum().backward()
    assert counted.number == 4  # filter, gradient, and both once more


def test_a_strided_blur_of_bf16_is_computed_in_fp32():
    x = torch.randn(1, 2, 8, 8).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        blurred = Blur(1, stride=2)(x)
    assert torch.equal(blurred, Blur(1, stride=2)(x.float()).bfloat16())
    assert torch.autograd.grad(blurred.sum(), x)[0].dtype is torch.bfloat16


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_is_pytorchs_in_the_layout_it_got(layout):
    plain = nn.InstanceNorm2d(6, affine=True, dtype=torch.float64)
    fast = InstanceNorm(6, affine=True, dtype=torch.float64)
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert fast(x).is_contiguous(memory_format=layout)
    assert_same(fast, plain, x)


def test_token_norm_is_instance_norm_over_the_tokens():
    plain, fast = nn.InstanceNorm1d(6, affine=True, dtype=torch.float64), TokenNorm(6).double()
    x = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    assert fast(x).is_contiguous()
    assert_same(fast, lambda x: plain(x.mT).mT, x)


@pytest.mark.parametrize("slow", [False, True])
def test_both_ways_of_attention_are_softmax_of_products(monkeypatch, slow):
    monkeypatch.setattr("models.attention.fused_attention_is_slow", lambda device: slow)
    attention = Attention(8, 2).double()
    query, key, value = torch.randn(3, 2, 5, 8, dtype=torch.float64)
    weights = attention.in_proj_weight.view(3, 8, 8)
    heads = [(x @ w.T).unflatten(2, (2, 4)).transpose(1, 2) for x, w in zip((query, key, value), weights, strict=True)]
    mixed = (heads[0] @ heads[1].mT / 2).softmax(dim=3) @ heads[2]
    torch.testing.assert_close(attention(query, key, value), attention.out_proj(mixed.transpose(1, 2).flatten(2)))


def test_attention_is_fused_but_in_bf16_on_cpus_without_matrix_units(monkeypatch):
    monkeypatch.setattr("models.device._has_amx", lambda: False)
    assert not fused_attention_is_slow(torch.device("cpu"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fused_attention_is_slow(torch.device("cpu"))
        assert not fused_attention_is_slow(torch.device("cuda"))
        monkeypatch.setattr("models.device._has_amx", lambda: True)
        assert not fused_attention_is_slow(torch.device("cpu"))
