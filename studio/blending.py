"""Pictures of appearance control: from one source to another, and one region exchanged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from images.pixels import to_uint8
from models.rollout import join_pairs
from studio.mixing import Source, shown_photographs, source_pairs
from studio.people import Pose, shown_pose
from studio.pictures import labelled_grid
from studio.pipeline import StepPose


def interpolation_strip(
    model: StepPose, people: Sequence[Source], pose: Pose, count: int = 7, seed: int = 0
) -> np.ndarray:
    """Both sources and the target pose, then `count` images from all of the first to all of the second."""
    shares = torch.linspace(0, 1, count)
    first, second = (join_pairs([pair] * count) for pair in source_pairs(model, people, pose))
    noise = model.noise(1, seed).expand(count, -1, -1, -1)
    *_, finals = model.blend(first, second, shares.view(-1, 1, 1, 1), noise)
    sources, labels = shown_photographs(people, ["first", "second"])
    row = [*sources, shown_pose(model, pose), *to_uint8(finals)]
    labels = [*labels, "pose", *(f"{share:.0%} second" for share in shares.tolist())]
    return labelled_grid([row], column_labels=labels)


def exchange_strip(
    model: StepPose, people: Sequence[Source], pose: Pose, mask: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Both sources, the pose, the mask, each source alone, and the first with the mask's region of the second."""
    first, second = source_pairs(model, people, pose)
    finals = []
    for weight in (torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.from_numpy(mask)[None, None]):
        *_, final = model.blend(first, second, weight, model.noise(1, seed))
        finals.append(to_uint8(final[0]))
    shown = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    sources, labels = shown_photographs(people, ["first", "second"])
    row = [*sources, shown_pose(model, pose), shown, *finals]
    labels = [*labels, "pose", "region", "first alone", "second alone", "exchanged"]
    return labelled_grid([row], column_labels=labels)
