"""The image losses of NTED (Ren et al., CVPR 2022, section 3.4)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from config.section import Weight
from losses.attention import attention_reconstruction
from losses.face import face_crop
from losses.objective import Objective, Terms, Window
from losses.perceptual import Features, PerceptualConfig, build_perceptual_net, feature_loss, gram_loss


class NTEDObjectiveConfig(PerceptualConfig):
    """Perceptual (with Gram), adversarial, step, face and attention reconstruction losses."""

    kind: Literal["nted"] = "nted"
    l1: Weight = Field(0.0, description="weight of L1 (not in the paper)")
    perceptual: Weight = Field(2.0, description="weight of features plus Gram")
    gram: Weight = Field(500.0, description="weight of the Gram loss inside the perceptual one")
    attention: Weight = Field(
        15.0, description="weight of the attention reconstruction loss; 0 for a generator without textures"
    )

    @property
    def needs_textures(self) -> bool:
        """For the attention reconstruction loss."""
        return self.attention > 0


class NTEDObjective(Objective):
    """Perceptual (features and Gram matrices), face and attention reconstruction terms, and L1 where asked for."""

    Config = NTEDObjectiveConfig
    config: NTEDObjectiveConfig

    def __init__(self, config: NTEDObjectiveConfig) -> None:
        super().__init__(config)
        self.net = build_perceptual_net(config, with_style=False)

    def forward(self, window: Window) -> Terms:
        """Weighted terms by name."""
        config, terms = self.config, {}
        fake, real = self._features(window.generated, window.target)
        layers = self.net.content_layers
        perceptual = feature_loss(fake, real, layers) + config.gram * gram_loss(fake, real, layers)
        terms["perceptual"] = config.perceptual * perceptual
        if config.face:
            faces = (face_crop(images, window.target_face) for images in (window.generated, window.target))
            terms["face"] = config.face * feature_loss(*self._features(*faces), layers)
        if config.attention:
            loss = attention_reconstruction(window.textures, window.source, window.target)
            terms["attention"] = config.attention * loss
        if config.l1:
            terms["l1"] = config.l1 * F.l1_loss(window.generated, window.target)
        return terms

    def _features(self, generated: Tensor, real: Tensor) -> tuple[Features, Features]:
        """Features with gradient for generated images and without for real ones."""
        with torch.no_grad():
            real_features = self.net(self.net.normalised(real))
        return self.net(self.net.normalised(generated)), real_features
