"""The walk from coarse to fine: one function for training windows and inference."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import GeneratorOutput, laid_out_as
from models.schedules import Schedule
from models.sources import flat_sources, for_each, mean_source, num_sources, to_count


@dataclass
class Pair:
    """A source image (B, 3, H, W) in [-1, 1], its pose and the target pose (B, P, H, W) in [0, 1].

    With several sources (`models.sources`) image and pose of the source have N after B.
    """

    source_image: Tensor
    source_pose: Tensor
    target_pose: Tensor


def rollout(
    generator: Callable[..., GeneratorOutput],
    schedule: Schedule,
    pair: Pair | Sequence[Pair],
    canvas: Tensor,
    first_step: Tensor,
    num_steps: int,
    degrade_source: bool = False,
    reconstruct: bool = False,
) -> Iterator[tuple[Tensor, GeneratorOutput]]:
    """Run consecutive steps, each starting from the detached image of the one before.

    Args:
        generator: called as `models.generator.Generator.forward`.
        pair: what to draw and in which pose, for all steps, or one a step (style mixing).
        canvas: (B, 3, H, W), what the first step starts from.
        first_step: (B,) LongTensor, each sample's first step; first_step + num_steps <= S.
        num_steps: how many steps to run.
        degrade_source: step k sees the source at level k + 1 instead of the clean one.
        reconstruct: ask the generator for the reconstructed source too.

    Yields the step (B,) and the generator's output, as soon as each is there.
    """
    for offset in range(num_steps):
        step, now = first_step + offset, pair_at(pair, offset)
        source = _degraded(schedule, now.source_image, step + 1) if degrade_source else now.source_image
        # every step in one layout: a compiled generator would be compiled again for the first canvas
        canvas = laid_out_as(flat_sources(source), canvas)
        output = generator(source, now.source_pose, now.target_pose, canvas, step, reconstruct)
        yield step, output
        canvas = output.target_image.detach()


def generate(
    generator: nn.Module,
    schedule: Schedule,
    pair: Pair | Sequence[Pair],
    noise: Tensor,
    degrade_source: bool = False,
) -> Iterator[Tensor]:
    """All S steps from the start, without gradient: yields the image (B, 3, H, W) of each step.

    Args:
        pair: one, or one a step; the start canvas comes from the first one's source, the mean of several.
        noise: (B, 3, H, W) standard normal, what makes one result differ from another of the same pair.
    """
    # not len(): an exported program must take any batch size
    first_step = torch.zeros(noise.shape[0], dtype=torch.long, device=noise.device)
    with torch.no_grad():
        canvas = schedule.start_canvas(mean_source(pair_at(pair, 0).source_image), noise)
    steps = rollout(generator, schedule, pair, canvas, first_step, schedule.num_steps, degrade_source)
    while True:
        # not around the yield: a caller between two steps must find its gradients on
        with torch.no_grad():
            step = next(steps, None)
        if step is None:
            return
        yield step[1].target_image


def _degraded(schedule: Schedule, source_image: Tensor, level: Tensor) -> Tensor:
    """Every source at the level (B,) of its sample."""
    images = schedule.degrade(flat_sources(source_image), for_each(level, num_sources(source_image)))
    return images.view_as(source_image)


def pair_at(pair: Pair | Sequence[Pair], offset: int) -> Pair:
    """The pair that a rollout's step number `offset` draws."""
    return pair if isinstance(pair, Pair) else pair[offset]


def switched(pairs: Sequence[Pair], switches: Sequence[int], num_steps: int) -> list[Pair]:
    """Style mixing: the pair of each step, the first until switches[0], then the second, and so on.

    Raises:
        ValueError: not one switch between every two pairs, or they do not ascend within 0..num_steps.
    """
    if len(switches) != len(pairs) - 1:
        raise ValueError(f"{len(switches)} switch steps for {len(pairs)} sources; give one less than sources")
    if list(switches) != sorted(switches) or any(not 0 <= switch <= num_steps for switch in switches):
        raise ValueError(f"switch steps {list(switches)} must ascend within 0..{num_steps}")
    return [pairs[bisect_right(switches, step)] for step in range(num_steps)]


def training_canvas(
    schedule: Schedule, source_image: Tensor, target_image: Tensor, noise: Tensor, first_step: Tensor
) -> Tensor:
    """What a training window starts from: the start canvas at step 0, the degraded target (teacher) further on."""
    start = schedule.start_canvas(mean_source(source_image), noise)
    teacher = schedule.degrade(target_image, first_step)
    return torch.where((first_step == 0).view(-1, 1, 1, 1), start, teacher)


def join_pairs(pairs: Sequence[Pair]) -> Pair:
    """Pairs one after the other in a batch; where they have unequally many sources, each is given equally often."""
    most = math.lcm(*(num_sources(pair.source_image) for pair in pairs))
    return Pair(
        torch.cat([to_count(pair.source_image, most) for pair in pairs]),
        torch.cat([to_count(pair.source_pose, most) for pair in pairs]),
        torch.cat([pair.target_pose for pair in pairs]),
    )
