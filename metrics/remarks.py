"""What was decided about unusual images, in sentences: a reader must know it before believing the numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np

from images.pixels import Size
from metrics.evaluate import TrackScores
from metrics.protocols import Protocol
from metrics.scorer import Scorer
from metrics.task import Task

FEW_IMAGES = 2048  # fewer than the width of Inception's features: their covariance is singular


def remarks(task: Task, scorer: Scorer, final: TrackScores, num_reals: int) -> list[str]:
    """Sentences on names, images and choices of this evaluation."""
    return [
        *_on_origin(task),
        *_on_names(task),
        *_on_images(task, scorer.protocol, final),
        *_on_windows(task, scorer.protocol),
        *(_on_reals(len(task.pairs), num_reals, scorer) if scorer.networks else []),
        *_on_persons(task),
    ]


def canvas_share(protocol: Protocol, size: Size) -> float:
    """The share of the pixels behind SSIM, PSNR, L1 and MAE that are white canvas in both images."""
    if protocol.canvas is None:
        return 0.0
    return 1 - size[0] * size[1] / (protocol.canvas[0] * protocol.canvas[1])


def _on_origin(task: Task) -> list[str]:
    if task.origin is None:
        return ["no manifest lies beside the images: their checkpoint, settings and command are not known"]
    return []


def _on_names(task: Task) -> list[str]:
    return [
        f"{len(names)} images are {side.replace('_', ' ')} and left out, the first: {names[0]}"
        for side, names in task.unmatched.items()
        if names
    ]


def _on_images(task: Task, protocol: Protocol, final: TrackScores) -> list[str]:
    found, images = [], task.tracks[task.final].images.values()
    shape = next(iter(images)).read().shape[:2]
    if shape != task.size:
        form = f"columns {protocol.crop_columns} of" if protocol.squares == "frame" else "scaled from"
        found.append(f"scored at {task.size[0]}x{task.size[1]}: {form} the generated {shape[0]}x{shape[1]}")
    if (jpegs := sum(not image.name.lower().endswith(".png") for image in images)) and protocol.file_format == "png":
        found.append(f"{jpegs} generated images are not PNG: JPEG artefacts are part of their scores")
    if copies := sum(count - 1 for count in Counter(final.digests).values()):
        found.append(f"{copies} generated images are copies of another one, and scored like the rest")
    if exact := int(np.isposinf(final.clean.columns["psnr"]).sum()):
        found.append(f"{exact} generated images equal their ground truth: their infinite PSNR is left out of the mean")
    return found


def _on_windows(task: Task, protocol: Protocol) -> list[str]:
    found, shortest = [], min(protocol.canvas or task.size)
    if any(variant.window == "uniform" and variant.size > shortest for variant in protocol.ssim.values()):
        found.append(
            f"the SSIM window is larger than the images and was shrunk to {shortest - 1 + shortest % 2} pixels"
        )
    if share := canvas_share(protocol, task.size):
        found.append(
            f"{100 * share:.0f} % of the pixels behind SSIM, PSNR, L1 and MAE are white canvas, equal in both images "
            "whatever was generated"
        )
    return found


def _on_reals(fakes: int, reals: int, scorer: Scorer) -> list[str]:
    found, protocol = [], scorer.protocol
    name = scorer.networks[0].frechet
    name = "FID" if name == "fid" else name
    if min(fakes, reals) < FEW_IMAGES:
        state = "needs two images on each side" if min(fakes, reals) < 2 else "is biased upward"
        found.append(f"{name} of {fakes} images against {reals} reals {state}; compare equal counts only")
    if protocol.real_count not in (None, reals):
        found.append(f"{reals} reals, the protocol's numbers use {protocol.real_count} ({protocol.real_set})")
    return found


def _on_persons(task: Task) -> list[str]:
    if not task.has_persons():
        return ["names do not say who is who: intervals are over targets, and persons are not recalled"]
    if len(set(task.clusters())) < 2:
        return ["all images are of one person: there are no intervals, and persons are not recalled"]
    return []
