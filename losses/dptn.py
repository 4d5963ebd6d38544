"""DPTN's image losses (Zhang et al., CVPR 2022, section 3.4), on the target and the reconstructed source."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from config.section import Weight
from losses.face import face_crop
from losses.objective import Objective, Terms, Window
from losses.perceptual import (
    Features,
    PerceptualConfig,
    build_perceptual_net,
    feature_loss,
    gram_loss,
)


class DPTNObjectiveConfig(PerceptualConfig):
    """L1, content, style, adversarial, step and face losses on the target and the reconstructed source."""

    kind: Literal["dptn"] = "dptn"
    l1: Weight = Field(2.5, description="weight of L1")
    content: Weight = Field(0.25, description="weight of the feature loss")
    style: Weight = Field(250.0, description="weight of the Gram loss")
    target_share: float = Field(
        0.5, ge=0, le=1, description="share of the target branch; the source's is the rest, where there is one"
    )


class DPTNObjective(Objective):
    """L1, content, style and face terms; target and reconstructed source are two halves of one batch through VGG.

    A generator that does not reconstruct the source is trained on the target alone, which then has the whole weight.
    """

    Config = DPTNObjectiveConfig
    config: DPTNObjectiveConfig
    wants_source = True

    def __init__(self, config: DPTNObjectiveConfig) -> None:
        super().__init__(config)
        self.net = build_perceptual_net(config, with_style=True)

    def forward(self, window: Window) -> Terms:
        """Weighted terms by name, those of the reconstructed source ending in `_source`."""
        config, shares = self.config, {"": 1.0}
        generated, real, boxes = window.generated, window.target, window.target_face
        if window.reconstructed is not None:
            shares = {"": config.target_share, "_source": 1 - config.target_share}
            generated, real = torch.cat((generated, window.reconstructed)), torch.cat((real, window.source_view))
            boxes = torch.cat((boxes, window.source_face))
        count = len(shares)
        images = zip(generated.chunk(count), real.chunk(count), strict=True)
        features = zip(*(_parts(found, count) for found in self._features(generated, real)), strict=True)
        terms: Terms = {}
        for (suffix, share), pair, (fake, true) in zip(shares.items(), images, features, strict=True):
            terms[f"l1{suffix}"] = config.l1 * share * F.l1_loss(*pair)
            terms[f"content{suffix}"] = config.content * share * feature_loss(fake, true, self.net.content_layers)
            terms[f"style{suffix}"] = config.style * share * gram_loss(fake, true, self.net.style_layers)
        if config.face:
            crops = (self.net.normalised(face_crop(images, boxes)) for images in (generated, real))
            faces = zip(*(_parts(found, count) for found in self._features(*crops)), strict=True)
            for suffix, (fake, true) in zip(shares, faces, strict=True):
                terms[f"face{suffix}"] = config.face * feature_loss(fake, true, self.net.content_layers)
        return terms

    def _features(self, generated: Tensor, real: Tensor) -> tuple[Features, Features]:
        """Features with gradient for generated images and without for real ones."""
        with torch.no_grad():
            real_features = self.net(real)
        return self.net(generated), real_features


def _parts(features: Features, count: int) -> list[Features]:
    """The features of each part of the batch; cut once, as the gradient of every cut is as large as the batch."""
    parts = {name: feature.chunk(count) for name, feature in features.items()}
    return [{name: part[index] for name, part in parts.items()} for index in range(count)]
