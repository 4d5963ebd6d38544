"""What operations cost, against counts by hand."""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F

from benchmarks import roofline
from benchmarks.operations import Cost, Kind, Operations
from tests.tiny import overrides

FLOAT = 4


def cost_of(call) -> Cost:
    with Operations() as operations:
        call()
    return operations.total


def test_bytes_are_arguments_read_and_results_written():
    a, b = torch.zeros(10, 10), torch.zeros(10, 10)
    assert cost_of(lambda: a + b) == Cost(0, 3 * 100 * FLOAT)
    assert cost_of(lambda: a.add_(b)) == Cost(0, 3 * 100 * FLOAT)
    assert cost_of(lambda: a + b[:1]) == Cost(0, (100 + 10 + 100) * FLOAT)
    assert cost_of(lambda: a + b[0, 0].expand(10, 10)) == Cost(0, (100 + 100 + 100) * FLOAT)
    assert cost_of(lambda: a.copy_(b)) == Cost(0, 2 * 100 * FLOAT)
    assert cost_of(lambda: a.zero_()) == Cost(0, 100 * FLOAT)
    assert cost_of(lambda: torch.empty_like(a)) == Cost(0, 0)
    assert cost_of(lambda: a.view(100).unsqueeze(1).mT) == Cost(0, 0)
    assert cost_of(lambda: a.to(torch.bfloat16)) == Cost(0, 100 * FLOAT + 100 * 2)


def test_flops_of_products_convolutions_and_fused_attention_with_their_gradients():
    left, right = torch.zeros(2, 3, requires_grad=True), torch.zeros(3, 5, requires_grad=True)
    assert cost_of(lambda: left @ right).flops == 2 * 2 * 3 * 5
    assert cost_of(lambda: (left @ right).sum().backward()).flops == 3 * 2 * 2 * 3 * 5
    image, kernel = torch.zeros(1, 4, 8, 8), torch.zeros(6, 4, 3, 3)
    assert cost_of(lambda: F.conv2d(image, kernel, padding=1)).flops == 2 * 64 * 6 * 4 * 9
    query, key = torch.zeros(2, 1, 16, 8, requires_grad=True), torch.zeros(2, 1, 32, 8)
    forward = 2 * (2 * 2 * 16 * 32 * 8)
    assert cost_of(lambda: F.scaled_dot_product_attention(query, key, key)).flops == forward
    both = cost_of(lambda: F.scaled_dot_product_attention(query, key, key).sum().backward()).flops
    assert both == forward + 5 * forward / 2  # the weights once more, and four products


def test_an_operation_takes_the_longer_of_arithmetic_and_memory():
    device = roofline.Device(bf16=100, tf32=50, fp32=10, bandwidth=20)
    seconds = {
        name: device.tally(Kind(name, dtype), Cost(flops=1000, bytes=800))[roofline.SECONDS]
        for name, dtype in (("mm", torch.bfloat16), ("convolution", torch.float32), ("bmm", torch.float32))
    }
    assert seconds == {"mm": 40, "convolution": 40, "bmm": 100}


def test_the_roofline_of_a_tiny_run(monkeypatch, capsys):
    keys = overrides("dptn", "none", "schedule.num_steps=2", "rollout.window=1", "objective.r1_gamma=0")
    keys.remove("trainer.precision=fp32")
    monkeypatch.setattr(sys, "argv", ["roofline", "--config=config/dptn_256.yaml", "--batch=2", *keys])
    roofline.main()
    said = capsys.readouterr().out
    assert "plain, fp32, 2 pairs a step" in said and "fast, bf16, 2 pairs a step" in said and "times plain" in said
