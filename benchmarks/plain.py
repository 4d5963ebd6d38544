"""The training step done the obvious way: the yardstick of `benchmarks.train_step`.

The same computation as `trainers.engine`, with fp32, eager NCHW networks, loops over the samples in `degrade` and in
the face crop, attention weights materialised, a VGG pass for every loss, the generator run again for the
discriminator's phase in the DPTN form, PyTorch's plain Adam and an EMA loop over parameters.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from losses.attention import attention_reconstruction
from losses.perceptual import CONTENT_LAYERS, STYLE_LAYERS, VGG19Features, feature_loss, gram_loss
from models.dptn import Attention
from models.layers import advance_spectral_norm
from models.schedules import Quantize, Resize, Schedule
from trainers.engine import Engine
from trainers.optim import lazy_adam
from trainers.phases import Terms, Window


class PlainEngine(Engine):
    """An `Engine` that gives the same losses and takes its time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        phase: Any = self.generator_phase
        nted = self.config.objective.kind == "nted"
        phase.roll.schedule = plain_schedule(phase.roll.schedule)
        terms = PlainNTEDTerms if nted else PlainDPTNTerms
        phase.image_terms = terms(self.config.objective, phase.image_terms.vgg)
        for module in self.generator.modules():
            if isinstance(module, Attention):
                module.forward = materialised(module)  # type: ignore[method-assign]

    def _layout(self) -> torch.memory_format:
        return torch.contiguous_format

    def _choose_algorithms(self) -> None:
        """PyTorch's default settings."""

    def _build_optimizers(self) -> None:
        objective, optim = self.config.objective, self.config.optim
        lazy = lazy_adam(optim.discriminator, objective.r1_interval if objective.r1_gamma else None)
        self.base_lr = (optim.generator.lr, lazy.lr)
        self.generator_optimizer, self.discriminator_optimizer = (
            Adam(network.parameters(), lr=adam.lr, betas=adam.betas, foreach=False, fused=False)
            for network, adam in ((self.generator, optim.generator), (self.discriminator, lazy))
        )

    def _optimize(
        self, phase: nn.Module, optimizer: Optimizer, inputs: list[Any], **options: bool
    ) -> tuple[Terms, list]:
        """One optimizer step; where DPTN's generator was just trained, its images are drawn once more."""
        optimizer.zero_grad()
        totals: Terms = {}
        extras = []
        for item in inputs:
            loss, terms, extra = phase(item, **options)
            (loss / len(inputs)).backward()
            totals = {name: totals.get(name, 0) + term / len(inputs) for name, term in terms.items()}
            if self.config.objective.kind == "dptn" and optimizer is self.generator_optimizer:
                with torch.no_grad():
                    extra.generated = self.generator_phase.roll(item).generated  # type: ignore[operator,union-attr]
            extras.append(extra)
        optimizer.step()
        advance_spectral_norm(phase)
        return totals, extras

    def _update_ema(self, decay: float) -> None:
        with torch.no_grad():
            for average, parameter in zip(self.generator_ema.parameters(), self.generator.parameters(), strict=True):
                average.mul_(decay).add_(parameter, alpha=1 - decay)
            for copy, buffer in zip(self.generator_ema.buffers(), self.generator.buffers(), strict=True):
                copy.copy_(buffer)


def materialised(attention: Attention) -> Any:
    """Attention that writes its whole weight matrix."""

    def forward(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return nn.MultiheadAttention.forward(attention, query, key, value, need_weights=True)[0]

    return forward


def plain_schedule(schedule: Schedule) -> Schedule:
    """The same levels, one sample at a time."""
    plain = PlainQuantize if isinstance(schedule, Quantize) else PlainResize
    schedule.__class__ = plain
    return schedule


class PlainQuantize(Quantize):
    """Loops over the samples."""

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        levels = self._levels(image, level).tolist()
        return torch.cat([Quantize.degrade(self, one[None], at) for one, at in zip(image, levels, strict=True)])


class PlainResize(Resize):
    """Loops over the samples and interpolates each, down and up."""

    def degrade(self, image: Tensor, level: int | Tensor) -> Tensor:
        levels = self._levels(image, level).tolist()
        return torch.cat([self._one(one[None], at) for one, at in zip(image, levels, strict=True)])

    def _one(self, image: Tensor, level: int) -> Tensor:
        small = F.interpolate(image, self.sizes[level], mode="bilinear", align_corners=True)
        return F.interpolate(small, image.shape[2:], mode="bilinear", align_corners=True)


def plain_face_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """`losses.face.face_crop`, one image at a time, by slicing."""
    height, width = images.shape[2:]
    out = height // 32 * 8
    crops = []
    for image, box in zip(images, boxes.tolist(), strict=True):
        if min(box) < 0:
            crops.append(torch.zeros(1, 3, out, out, device=images.device))
            continue
        half = min(width, height, max(32, int((box[2] - box[0]) * 2.5))) // 2
        x = min(max(math.floor((box[0] + box[2]) / 2) - half, 0), width - 2 * half)
        y = min(max(math.floor((box[1] + box[3]) / 2) - half, 0), height - 2 * half)
        cut = image[None, :, y : y + 2 * half, x : x + 2 * half]
        crops.append(F.interpolate(cut, (out, out), mode="bilinear", align_corners=True))
    return torch.cat(crops)


class PlainTerms(nn.Module):
    """Losses on VGG features, each with its own passes for generated and real images."""

    vgg: VGG19Features

    def __init__(self, config: Any, vgg: VGG19Features) -> None:
        super().__init__()
        self.config, self.vgg = config, vgg

    def content(self, fake: Tensor, real: Tensor) -> Tensor:
        return feature_loss(self.vgg(fake), self.vgg(real), CONTENT_LAYERS)

    def style(self, fake: Tensor, real: Tensor, layers: tuple[str, ...]) -> Tensor:
        return gram_loss(self.vgg(fake), self.vgg(real), layers)

    def face(self, fake: Tensor, real: Tensor, boxes: Tensor) -> Tensor:
        return self.content(*(self.vgg.normalised(plain_face_crop(images, boxes)) for images in (fake, real)))


class PlainNTEDTerms(PlainTerms):
    """As `trainers.nted.NTEDImageTerms`."""

    def forward(self, window: Window) -> Terms:
        config, terms = self.config, {}
        fake, real = (self.vgg.normalised(x) for x in (window.generated, window.target))
        perceptual = self.content(fake, real) + config.gram * self.style(fake, real, CONTENT_LAYERS)
        terms["perceptual"] = config.perceptual * perceptual
        terms["face"] = config.face * self.face(window.generated, window.target, window.target_face)
        if config.attention:
            loss = attention_reconstruction(window.textures, window.source, window.target)
            terms["attention"] = config.attention * loss
        if config.l1:
            terms["l1"] = config.l1 * F.l1_loss(window.generated, window.target)
        return terms


class PlainDPTNTerms(PlainTerms):
    """As `trainers.dptn.DPTNImageTerms`."""

    def forward(self, window: Window) -> Terms:
        config, terms = self.config, {}
        assert window.reconstructed is not None
        branches = (
            ("", config.target_share, window.generated, window.target, window.target_face),
            ("_source", 1 - config.target_share, window.reconstructed, window.source_view, window.source_face),
        )
        for suffix, share, fake, real, boxes in branches:
            terms[f"l1{suffix}"] = config.l1 * share * F.l1_loss(fake, real)
            terms[f"content{suffix}"] = config.content * share * self.content(fake, real)
            terms[f"style{suffix}"] = config.style * share * self.style(fake, real, STYLE_LAYERS)
            terms[f"face{suffix}"] = config.face * self.face(fake, real, boxes)
        return terms
