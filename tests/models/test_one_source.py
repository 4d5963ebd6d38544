"""Sharing what is read of a source changes nothing."""

from __future__ import annotations

import pytest
import torch

from models.one_source import OneSource
from models.rollout import Pair
from tests.runs import tiny_model
from tests.tiny import SIZE


@pytest.mark.parametrize("num_steps", [1, 4])
@pytest.mark.parametrize(("system", "encoder"), [("nted", "reference_encoder"), ("dptn", "source_encoder")])
def test_many_poses_of_one_source_are_as_without_and_it_is_encoded_once_a_step(system, encoder, num_steps):
    model = tiny_model(system, num_steps=num_steps)
    torch.manual_seed(2)
    image, pose = torch.rand(1, 3, *SIZE) * 2 - 1, torch.rand(4, model.config.data.pose_channels, *SIZE)
    pair = Pair(image.expand(3, -1, -1, -1), pose[:1].expand(3, -1, -1, -1), pose[1:])
    noise = model.noise(3)
    plain = list(model.stream(pair, noise))
    calls = []
    getattr(model.generator, encoder).register_forward_hook(lambda *arguments: calls.append(len(arguments[1][0])))
    shared = OneSource(model.generator)
    for _ in range(2):
        for image, expected in zip(model.stream(pair, noise, shared), plain, strict=True):
            assert torch.allclose(image, expected, atol=1e-5)
    assert calls == [1] * num_steps
