"""From a batch to a training rollout: which samples, from which step and canvas, and what every step made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from config.schema import RolloutConfig
from losses.objective import Window
from models.layers import GeneratorOutput, TexturePair
from models.rollout import Pair, rollout, training_canvas
from models.schedules import Schedule
from models.sources import first_source

Batch = dict[str, Tensor]
_BOTH_ROLES = ("source_image", "target_image", "source_pose", "target_pose", "source_face", "target_face")


@dataclass
class Samples:
    """What a rollout starts from: N = directions x pairs samples.

    source, target: (N, 3, H, W) in [-1, 1]. source_pose, target_pose: (N, P, H, W). source_face, target_face: (N, 4).
    Several sources of a sample stand in one more dimension, after N; the face is that of the first.
    noise: (N, 3, H, W) standard normal. first_step: (N,) LongTensor. key: (N,) what else is random follows from.
    """

    source: Tensor
    target: Tensor
    source_pose: Tensor
    target_pose: Tensor
    source_face: Tensor
    target_face: Tensor
    noise: Tensor
    first_step: Tensor
    key: Tensor


def samples_of(batch: Batch, bidirectional: bool, num_starts: int) -> Samples:
    """The samples of a batch as `data.loader.to_device` gives it; the reverse pairs follow where both are trained.

    Args:
        num_starts: a sample's window starts at one of the steps 0..num_starts - 1.
    """
    roles = [batch[name] for name in _BOTH_ROLES]
    if bidirectional:
        swapped = [part for index in range(0, len(roles), 2) for part in _swapped(*roles[index : index + 2])]
        roles = [torch.cat(both) for both in zip(roles, swapped, strict=True)]
    drawn = [batch["noise"], (batch["start"] * num_starts).long(), batch["noise_key"]]
    return Samples(*roles, *(x.transpose(0, 1).flatten(0, 1) if bidirectional else x[:, 0] for x in drawn))


def _swapped(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Source and target of the reverse pair; of several sources the first becomes the target, the others stay."""
    if source.ndim == target.ndim:
        return target, source
    return torch.cat((target.unsqueeze(1), source[:, 1:]), dim=1), source[:, 0]


def roll(
    generator: Callable[..., GeneratorOutput],
    schedule: Schedule,
    samples: Samples,
    config: RolloutConfig,
    reconstruct: bool = False,
) -> Window:
    """Run the window of every sample; each step starts from the detached image of the one before.

    Args:
        generator: called as `models.generator.Generator.forward`. reconstruct: ask it for the source image too.
    """
    pair = Pair(samples.source, samples.source_pose, samples.target_pose)
    canvas = training_canvas(schedule, samples.source, samples.target, samples.noise, samples.first_step)
    window, degrade_source = config.window or schedule.num_steps, config.degrade_source
    walk = rollout(generator, schedule, pair, canvas, samples.first_step, window, degrade_source, reconstruct)
    steps, outputs = zip(*walk, strict=True)
    # joined: `repeat` would leave channels last
    step, source = torch.cat(steps), torch.cat([samples.source] * window)
    redrawn = first_source(source)
    reconstructed = [output.source_image for output in outputs if output.source_image is not None]
    return Window(
        generated=torch.cat([output.target_image for output in outputs]),
        target=schedule.degrade(torch.cat([samples.target] * window), step + 1),
        step=step,
        source=source,
        source_view=schedule.degrade(redrawn, step + 1) if degrade_source else redrawn,
        reconstructed=torch.cat(reconstructed) if reconstructed else None,
        source_face=samples.source_face.repeat(window, 1),
        target_face=samples.target_face.repeat(window, 1),
        textures=tuple(_join(pairs) for pairs in zip(*(output.textures for output in outputs), strict=True)),
        key=samples.key.repeat(window),
    )


def _join(pairs: tuple[TexturePair, ...]) -> TexturePair:
    """One texture pair of all steps."""
    extraction = torch.cat([pair.extraction for pair in pairs])
    return TexturePair(extraction, torch.cat([pair.distribution for pair in pairs]), pairs[0].size)
