"""What operations and steps need, against counts by hand."""

from __future__ import annotations

import json
import sys

import pytest
import torch
import torch.nn.functional as F

from benchmarks import shapes
from benchmarks.worker import benchmark_config
from studies.flops import CountFlops
from tests.tiny import overrides

FLOAT = 4
UNITS = shapes.Device(bf16=100, tf32=50, bandwidth=20)


def counted(call) -> shapes.Counter:
    with shapes.Counter(UNITS) as counter:
        call()
    return counter


def cost_of(call) -> tuple[int, int]:
    """FLOPs and bytes."""
    rows = counted(call).tally.values()
    return sum(int(row[shapes.FLOPS]) for row in rows), sum(int(row[shapes.BYTES]) for row in rows)


def test_bytes_are_arguments_read_and_results_written():
    a, b = torch.zeros(10, 10), torch.zeros(10, 10)
    assert cost_of(lambda: a + b) == (0, 3 * 100 * FLOAT)
    assert cost_of(lambda: a.add_(b)) == (0, 3 * 100 * FLOAT)
    assert cost_of(lambda: a + b[:1]) == (0, (100 + 10 + 100) * FLOAT)
    assert cost_of(lambda: a + b[0, 0].expand(10, 10)) == (0, (100 + 100 + 100) * FLOAT)
    assert cost_of(lambda: a.copy_(b)) == (0, 2 * 100 * FLOAT)
    assert cost_of(lambda: a.zero_()) == (0, 100 * FLOAT)
    assert cost_of(lambda: torch.empty_like(a)) == (0, 0)
    assert cost_of(lambda: a.view(100).unsqueeze(1).mT) == (0, 0)
    assert cost_of(lambda: a.to(torch.bfloat16)) == (0, 100 * FLOAT + 100 * 2)


def test_flops_of_products_convolutions_and_fused_attention_with_their_gradients():
    left, right = torch.zeros(2, 3, requires_grad=True), torch.zeros(3, 5, requires_grad=True)
    assert cost_of(lambda: left @ right)[0] == 2 * 2 * 3 * 5
    assert cost_of(lambda: (left @ right).sum().backward())[0] == 3 * 2 * 2 * 3 * 5
    image, kernel = torch.zeros(1, 4, 8, 8), torch.zeros(6, 4, 3, 3)
    assert cost_of(lambda: F.conv2d(image, kernel, padding=1))[0] == 2 * 64 * 6 * 4 * 9
    query, key = torch.zeros(2, 1, 16, 8, requires_grad=True), torch.zeros(2, 1, 32, 8)
    forward = 2 * (2 * 2 * 16 * 32 * 8)
    assert cost_of(lambda: F.scaled_dot_product_attention(query, key, key))[0] == forward
    both = cost_of(lambda: F.scaled_dot_product_attention(query, key, key).sum().backward())[0]
    assert both == forward + 5 * forward / 2  # the weights once more, and four products


def test_the_gradient_of_a_gradient_costs_operations_of_its_own():
    layer = torch.nn.Linear(4, 4, bias=False)
    with CountFlops() as counter:
        images = torch.randn(2, 4, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(layer(images)).sum(), images, create_graph=True)
        gradient.square().sum().backward()
    forward = 2 * (2 * 2 * 4 * 4)
    assert counter.flops > 3 * forward


def test_an_operation_takes_the_longer_of_arithmetic_and_memory():
    times = {dtype: UNITS.cost(dtype, 1000, 800)[shapes.SECONDS] for dtype in (torch.bfloat16, torch.float32)}
    assert times == {torch.bfloat16: 800 / 20, torch.float32: 800 / 20}
    assert UNITS.cost(torch.bfloat16, 5000, 800)[shapes.SECONDS] == 5000 / 100
    assert UNITS.cost(torch.float32, 5000, 800)[shapes.SECONDS] == 5000 / 50


def test_memory_is_what_is_alive_at_a_time():
    def work() -> torch.Tensor:
        kept = torch.zeros(1000)
        for _ in range(3):
            torch.zeros(500).add_(1)
        return kept[:10]

    kept = []
    counter = counted(lambda: kept.append(work()))
    assert (counter.now, counter.peak) == (1000 * FLOAT, 1500 * FLOAT)
    kept.clear()
    assert counter.now == 0


def test_an_objective_without_vgg_is_measured_as_it_is():
    assert benchmark_config("config/unet_256.yaml", ["trainer.batch_size=4"], None).trainer.batch_size == 4
    assert benchmark_config("config/dptn_256.yaml", [], 1).objective.perceptual_net == "random"


@pytest.mark.parametrize("gamma", [0, 1])
def test_the_needs_of_a_tiny_run(monkeypatch, capsys, gamma):
    keys = overrides("dptn", "none", "schedule.num_steps=2", "rollout.window=1", f"objective.r1_gamma={gamma}")
    keys.remove("trainer.precision=fp32")
    monkeypatch.setattr(sys, "argv", ["shapes", "--config=config/dptn_256.yaml", "--batch_size=2", *keys])
    shapes.main()
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["arithmetic_seconds"] <= report["matrix_seconds"] <= report["seconds"]
    peaks = report["peak_bytes"]
    assert 0 < peaks["between_steps"] < peaks["step"] == min(peaks["step"], peaks.get("step_with_r1", peaks["step"]))
    assert ("step_with_r1" in peaks) == bool(gamma)
