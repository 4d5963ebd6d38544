"""The walk from coarse to fine."""

from __future__ import annotations

import pytest
import torch

from models.families import build_schedule
from models.layers import GeneratorOutput
from models.rollout import Pair, rollout, training_canvas
from models.schedules import QuantizeConfig, ResizeConfig
from tests.tiny import SIZE


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("schedule", [QuantizeConfig(), ResizeConfig()], ids=lambda s: s.kind)
@pytest.mark.parametrize("degrade_source", [False, True])
def test_every_step_sees_images_of_one_memory_layout(schedule, layout, degrade_source):
    """A compiled generator would be compiled again for another."""
    schedule = build_schedule(schedule, SIZE)
    source, target, noise = torch.randn(3, 2, 3, *SIZE)
    source, target = (image.contiguous(memory_format=layout) for image in (source, target))
    seen = []

    def generator(source_image, source_pose, target_pose, canvas, step, reconstruct):
        seen.extend((source_image.stride(), canvas.stride()))
        return GeneratorOutput(canvas + source_image)

    first_step = torch.tensor([0, 1])
    canvas = training_canvas(schedule, source, target, noise, first_step)
    steps = rollout(generator, schedule, Pair(source, source, target), canvas, first_step, 3, degrade_source)
    assert len(list(steps)) == 3
    assert set(seen) == {source.stride()}
    assert schedule.degrade(target, 1).stride() == target.stride()
