"""What a configuration costs, against counts of whole steps and products by hand."""

from __future__ import annotations

import pytest
import torch

from studies.cost import cost_of
from studies.flops import CountFlops, synthetic_batch
from tests.trainers.test_trainer import ALONE, tiny
from trainers.engine import Engine

DEVICE = torch.device("cpu")


def flops_of_step(config, step: int) -> int:
    engine = Engine(config, ALONE)
    engine.step = step
    with CountFlops() as counter:
        engine.train_step([synthetic_batch(config, DEVICE)], epoch=0.0)
    return counter.flops


@pytest.mark.parametrize("system", ["dptn", "nted"])
def test_a_step_costs_what_a_whole_one_of_the_same_batch_does_with_r1_by_its_share(system):
    config = tiny(system, "none", "trainer.batch_size=5", "objective.r1_gamma=1", "objective.r1_interval=4")
    usual, with_r1 = flops_of_step(config, 1), flops_of_step(config, 4)
    assert with_r1 > usual
    assert cost_of(config, DEVICE).step_flops == pytest.approx(usual * 3 / 4 + with_r1 / 4, rel=1e-9)


def test_steps_cost_that_many_images_of_one_and_a_wider_network_more():
    costs = {steps: cost_of(tiny("unet", "none", f"schedule.num_steps={steps}"), DEVICE) for steps in (2, 4)}
    assert costs[4].image_flops == 2 * costs[2].image_flops
    wide = cost_of(tiny("unet", "none", "generator.channels=[16,16,12]"), DEVICE, timed=True)
    assert wide.parameters > costs[2].parameters and wide.image_flops > 2 * costs[2].image_flops
    assert wide.seconds > 0 and costs[2].seconds is None
