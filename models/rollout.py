"""The walk from coarse to fine: one function for training windows and inference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import GeneratorOutput
from models.schedules import Schedule


@dataclass
class Pair:
    """A source image (B, 3, H, W) in [-1, 1], its pose and the target pose (B, P, H, W) in [0, 1]."""

    source_image: Tensor
    source_pose: Tensor
    target_pose: Tensor


def rollout(
    generator: nn.Module,
    schedule: Schedule,
    pair: Pair,
    canvas: Tensor,
    first_step: Tensor,
    num_steps: int,
    degrade_source: bool = False,
    reconstruct: bool = False,
) -> Iterator[tuple[Tensor, GeneratorOutput]]:
    """Run consecutive steps, each starting from the detached image of the one before.

    Args:
        generator: called as in `models.nted.NTED.forward`.
        pair: what to draw and in which pose.
        canvas: (B, 3, H, W), what the first step starts from.
        first_step: (B,) LongTensor, each sample's first step; first_step + num_steps <= S.
        num_steps: how many steps to run.
        degrade_source: step k sees the source at level k + 1 instead of the clean one.
        reconstruct: ask the generator for the reconstructed source too.

    Yields the step (B,) and the generator's output, as soon as each is there.
    """
    for offset in range(num_steps):
        step = first_step + offset
        source = schedule.degrade(pair.source_image, step + 1) if degrade_source else pair.source_image
        output = generator(source, pair.source_pose, pair.target_pose, canvas, step, reconstruct)
        yield step, output
        canvas = output.target_image.detach()


def generate(
    generator: nn.Module, schedule: Schedule, pair: Pair, noise: Tensor, degrade_source: bool = False
) -> Iterator[Tensor]:
    """All S steps from the start, without gradient: yields the image (B, 3, H, W) of each step.

    Args:
        noise: (B, 3, H, W) standard normal, what makes one result differ from another of the same pair.
    """
    first_step = torch.zeros(len(noise), dtype=torch.long, device=noise.device)
    with torch.no_grad():
        canvas = schedule.start_canvas(pair.source_image, noise)
        for _, output in rollout(generator, schedule, pair, canvas, first_step, schedule.num_steps, degrade_source):
            yield output.target_image


def training_canvas(
    schedule: Schedule, source_image: Tensor, target_image: Tensor, noise: Tensor, first_step: Tensor
) -> Tensor:
    """What a training window starts from: the start canvas at step 0, the degraded target (teacher) further on."""
    start = schedule.start_canvas(source_image, noise)
    teacher = schedule.degrade(target_image, first_step)
    return torch.where((first_step == 0).view(-1, 1, 1, 1), start, teacher)
