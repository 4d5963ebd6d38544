"""Seeing inside: which source pixels are read, and where what was read is written.

NTED: each texture has an extraction map over the source and a distribution map over the target (sections 3.2 and 3.3 of
the paper). DPTN: each texture transfer block has an attention map over the source for every target position (section
3.3). For one target position both give a map over the source: NTED's is the extraction maps weighted by the position's
distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from images.pixels import to_uint8
from models.attention import Attention
from models.layers import TexturePair
from models.rollout import Pair
from studio.pictures import labelled_grid
from studio.pipeline import StepPose

Pixel = tuple[int, int]  # x, y in the image


class Inside(NamedTuple):
    """One step of one sample: its image (3, H, W), NTED's texture pairs (coarse to fine) or DPTN's attention maps.

    attention: (h*w target, N*h*w of N sources) of each texture transfer block, a row sums to 1; grid: its (h, w).
    """

    image: Tensor
    textures: tuple[TexturePair, ...]
    attention: tuple[Tensor, ...]
    grid: tuple[int, int]

    @property
    def places(self) -> list[str]:
        """Names of what can be looked at, from coarse to fine or from first to last."""
        if self.attention:
            return [f"transfer block {index + 1}" for index in range(len(self.attention))]
        return [f"{p.size[0]}x{p.size[1]} layer {i % 2 + 1}" for i, p in enumerate(self.textures)]

    def reading(self, place: int, pixel: Pixel, source: int = 0) -> np.ndarray:
        """(h, w) float32: how much each position of a source gives to a target pixel; those of all sources sum to 1."""
        height, width = self.image.shape[1:]
        size = self.grid if self.attention else self.textures[place].size
        row, column = pixel[1] * size[0] // height, pixel[0] * size[1] // width
        index = row * size[1] + column
        if self.attention:
            weights = self.attention[place][index]
        else:
            pair = self.textures[place]
            weights = pair.distribution[0, :, index].float() @ pair.extraction[0].float()
        return weights.float().view(-1, *size)[source].cpu().numpy()


@torch.no_grad()
def look_inside(model: StepPose, pair: Pair, noise: Tensor, step: int) -> Inside:
    """Run a single sample up to a step and keep what that step did.

    Raises:
        ValueError: the step is outside 0..S-1, or the generator has neither textures nor attention to its source.
    """
    if not 0 <= step < model.num_steps:
        raise ValueError(f"step {step} is outside 0..{model.num_steps - 1}")
    outputs: list[Any] = []
    kept = model.generator.register_forward_hook(lambda module, arguments, output: outputs.append(output))
    try:
        with _transfer_inputs(model.generator) as inputs:
            for index, _ in enumerate(model.stream(pair, noise, model.generator)):
                if index == step:
                    break
                outputs.clear()
                inputs.clear()
    finally:
        kept.remove()
    attention = tuple(module.weights(*arguments)[0] for module, arguments in inputs)
    if not attention and not outputs[-1].textures:
        raise ValueError(f"a {type(model.generator).__name__} reads its source at no place that could be shown")
    height, width = model.image_size
    # tokens keep the image's ratio
    tokens = len(attention[0]) if attention else 0
    scale = math.isqrt(height * width // tokens) if tokens else 1
    return Inside(outputs[-1].target_image[0], outputs[-1].textures, attention, (height // scale, width // scale))


@contextmanager
def _transfer_inputs(generator: nn.Module) -> Iterator[list[tuple[Attention, tuple[Tensor, ...]]]]:
    """The inputs of each texture transfer block's cross-attention, as they come."""
    seen: list[tuple[Attention, tuple[Tensor, ...]]] = []
    names = [name for name, _ in generator.named_modules() if name.endswith("cross_attn")]
    hooks = [
        generator.get_submodule(name).register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs)))  # type: ignore[arg-type]
        for name in names
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def overlay(image: np.ndarray, weights: np.ndarray, mark: Pixel | None = None, most: float | None = None) -> np.ndarray:
    """An (H, W, 3) uint8 image, dimmed, with (h, w) weights as a glow.

    Args:
        mark: a pixel to ring. most: the weight that glows most; None: the largest.
    """
    height, width = image.shape[:2]
    heat = weights / max(float(weights.max()) if most is None else most, 1e-12)
    heat = np.clip(cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    glow = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = image.mean(axis=2, keepdims=True) * 0.25 + image * 0.25
    alpha = np.sqrt(heat)[..., None]
    picture = np.ascontiguousarray((grey * (1 - alpha) + glow * alpha).astype(np.uint8))
    return ring(picture, mark) if mark else picture


def ring(image: np.ndarray, pixel: Pixel) -> np.ndarray:
    """A copy of an image with a ring round a pixel."""
    radius = max(3, image.shape[1] // 40)
    picture = image.copy()
    for colour, thickness in (((255, 255, 255), 3), ((220, 38, 38), 1)):
        cv2.circle(picture, pixel, radius, colour, thickness, cv2.LINE_AA)
    return picture


def reading_sheet(sources: Sequence[np.ndarray], inside: Inside, pixels: list[Pixel]) -> np.ndarray:
    """A row a target pixel and source: where it is, and what of the source it reads at every place."""
    target, rows, places = to_uint8(inside.image), [], range(len(inside.places))
    for pixel in pixels:
        read = [[inside.reading(place, pixel, number) for place in places] for number in range(len(sources))]
        # one measure for all sources: one of which nothing is read stays dark
        most = [max(float(of_one[place].max()) for of_one in read) for place in places]
        for source, of_one in zip(sources, read, strict=True):
            glowing = [overlay(source, of_one[place], most=most[place]) for place in places]
            rows.append([ring(target, pixel), *glowing])
    return labelled_grid(rows, column_labels=["generated", *inside.places])


def texture_sheet(sources: Sequence[np.ndarray], inside: Inside, place: int, num_textures: int = 6) -> np.ndarray:
    """NTED: the textures that cover most of the target, where each is read, in every source, and written (below)."""
    pair = inside.textures[place]
    size, target = pair.size, to_uint8(inside.image)
    distribution = pair.distribution[0].float().view(-1, *size).cpu().numpy()
    extraction = pair.extraction[0].float().view(len(distribution), -1, *size).cpu().numpy()
    chosen = np.argsort(-distribution.mean(axis=(1, 2)))[:num_textures]
    rows = [
        [overlay(source, extraction[k, number], most=float(extraction[k].max())) for k in chosen]
        for number, source in enumerate(sources)
    ]
    rows.append([overlay(target, distribution[k]) for k in chosen])
    shares = [f"texture {k}: {distribution[k].mean():.0%}" for k in chosen]
    return labelled_grid(rows, [*["read"] * len(sources), "written"], shares)
