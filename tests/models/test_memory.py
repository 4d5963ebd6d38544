"""Sharing a source's textures changes nothing."""

from __future__ import annotations

import pytest
import torch

from models.memory import OneSource
from models.rollout import Pair
from tests.runs import tiny_model
from tests.tiny import SIZE


@pytest.mark.parametrize("num_steps", [1, 4])
def test_many_poses_of_one_source_are_as_without_and_it_is_encoded_once_a_step(num_steps):
    model = tiny_model("nted", num_steps=num_steps)
    torch.manual_seed(2)
    pose = torch.rand(3, 20, *SIZE)
    pair = Pair((torch.rand(1, 3, *SIZE) * 2 - 1).expand(3, -1, -1, -1), pose, pose)
    noise = model.noise(3)
    plain = list(model.stream(pair, noise))
    calls = []
    model.generator.reference_encoder.register_forward_hook(lambda *arguments: calls.append(len(arguments[1][0])))
    shared = OneSource(model.generator)
    for _ in range(2):
        for image, expected in zip(model.stream(pair, noise, shared), plain, strict=True):
            assert torch.allclose(image, expected, atol=1e-5)
    assert calls == [1] * num_steps


def test_dptn_is_refused():
    with pytest.raises(ValueError, match="NTED"):
        OneSource(tiny_model("dptn").generator)
