"""A compiled generator draws what the plain one does."""

from __future__ import annotations

import pytest
import torch

from config.load import load_config
from models.families import build_generator
from models.rollout import Pair
from studio.pipeline import StepPose


@pytest.mark.slow
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_a_compiled_demo_model_draws_the_same_images(system):
    size = (64, 44)
    config = load_config(f"config/demo_{system}.yaml", [f"data.image_size={list(size)}"])
    torch.manual_seed(0)
    generator = build_generator(config.generator, config.data.pose_channels, config.schedule.num_steps)
    plain, compiled = StepPose(config, generator), StepPose(config, generator, compile_mode="default")
    poses = torch.rand(2, 2, config.data.pose_channels, *size)
    pair = Pair(torch.rand(2, 3, *size) * 2 - 1, poses[0], poses[1])
    for image, expected in zip(compiled.stream(pair, plain.noise(2)), plain.stream(pair, plain.noise(2)), strict=True):
        assert (image - expected).abs().max() < 1e-4
