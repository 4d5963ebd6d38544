"""The obvious way to do what the project does fast: loops over samples, whole weight matrices, a pass a loss."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from losses.attention import attention_reconstruction
from losses.dptn import DPTNObjective
from losses.nted import NTEDObjective
from losses.objective import Terms, Window
from losses.perceptual import CONTENT_LAYERS, STYLE_LAYERS, Features, feature_loss, gram_loss
from models import device
from models.attention import Attention
from models.layers import advance_spectral_norm
from models.schedules import Quantize, Resize
from trainers import build, engine
from trainers.guard import Guard


def be_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on networks, schedules, losses, Adam and EMA go the obvious way, in the usual memory layout."""
    for owner, name, plain in (
        (Quantize, "degrade", by_sample(Quantize.degrade)),
        (Resize, "degrade", by_sample(resized)),
        (Attention, "forward", materialised),
        (NTEDObjective, "forward", nted_terms),
        (DPTNObjective, "forward", dptn_terms),
        (Guard, "step", lambda guard, optimizer, terms: optimizer.step()),
        (build, "build_adam", adam),
        (engine, "update_ema", ema),
        (device, "fastest_layout", lambda where: torch.contiguous_format),
        (engine, "fastest_layout", lambda where: torch.contiguous_format),
    ):
        monkeypatch.setattr(owner, name, plain)


def by_sample(degrade: Any) -> Any:
    """A schedule's `degrade`, one sample at a time."""

    def plain(schedule: Any, image: Tensor, level: int | Tensor) -> Tensor:
        levels = schedule._levels(image, level).tolist()
        return torch.cat([degrade(schedule, one[None], at) for one, at in zip(image, levels, strict=True)])

    return plain


def resized(schedule: Resize, image: Tensor, level: int) -> Tensor:
    """Interpolated down, and up again."""
    small = F.interpolate(image, schedule.sizes[level], mode="bilinear", align_corners=True)
    return F.interpolate(small, image.shape[2:], mode="bilinear", align_corners=True)


def materialised(attention: Attention, query: Tensor, key: Tensor, value: Tensor, likeness: None = None) -> Tensor:
    """Attention that writes its whole weight matrix."""
    return nn.MultiheadAttention.forward(attention, query, key, value, need_weights=True)[0]


def face_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """`losses.face.face_crop`, one image at a time, by slicing."""
    height, width = images.shape[2:]
    out = height // 32 * 8
    crops = []
    for image, box in zip(images, boxes.tolist(), strict=True):
        if min(box) < 0:
            crops.append(torch.zeros(1, 3, out, out))
            continue
        half = min(width, height, max(32, int((box[2] - box[0]) * 2.5))) // 2
        x = min(max(math.floor((box[0] + box[2]) / 2) - half, 0), width - 2 * half)
        y = min(max(math.floor((box[1] + box[3]) / 2) - half, 0), height - 2 * half)
        cut = image[None, :, y : y + 2 * half, x : x + 2 * half]
        crops.append(F.interpolate(cut, (out, out), mode="bilinear", align_corners=True))
    return torch.cat(crops)


def nted_terms(terms: NTEDObjective, window: Window) -> Terms:
    """A pass through VGG for every loss and image."""
    config, vgg, found = terms.config, terms.net, {}

    def features(image: Tensor) -> Features:
        return vgg(vgg.normalised(image))

    fake, real = window.generated, window.target
    style = gram_loss(features(fake), features(real), CONTENT_LAYERS)
    content = feature_loss(features(fake), features(real), CONTENT_LAYERS)
    found["perceptual"] = config.perceptual * (content + config.gram * style)
    faces = [features(face_crop(images, window.target_face)) for images in (fake, real)]
    found["face"] = config.face * feature_loss(*faces, CONTENT_LAYERS)
    if config.attention:
        loss = attention_reconstruction(window.textures, window.source, window.target)
        found["attention"] = config.attention * loss
    if config.l1:
        found["l1"] = config.l1 * F.l1_loss(fake, real)
    return found


def dptn_terms(terms: DPTNObjective, window: Window) -> Terms:
    """A pass through VGG for every loss and image, target and source apart."""
    config, vgg, found = terms.config, terms.net, {}
    for suffix, share, fake, real, boxes in (
        ("", config.target_share, window.generated, window.target, window.target_face),
        ("_source", 1 - config.target_share, window.reconstructed, window.source_view, window.source_face),
    ):
        assert fake is not None
        faces = [vgg(vgg.normalised(face_crop(images, boxes))) for images in (fake, real)]
        found[f"l1{suffix}"] = config.l1 * share * F.l1_loss(fake, real)
        found[f"content{suffix}"] = config.content * share * feature_loss(vgg(fake), vgg(real), CONTENT_LAYERS)
        found[f"style{suffix}"] = config.style * share * gram_loss(vgg(fake), vgg(real), STYLE_LAYERS)
        found[f"face{suffix}"] = config.face * feature_loss(*faces, CONTENT_LAYERS)
    return found


def adam(network: nn.Module, config: Any) -> Adam:
    """PyTorch's loop over parameters."""
    return Adam(network.parameters(), lr=config.lr, betas=config.betas, foreach=False, fused=False)


@torch.no_grad()
def ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """A loop over parameters."""
    for mine, parameter in zip(average.parameters(), network.parameters(), strict=True):
        mine.mul_(decay).add_(parameter, alpha=1 - decay)
    advance_spectral_norm(average)
