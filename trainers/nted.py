"""The image losses of NTED (Ren et al., CVPR 2022, section 3.4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import NTEDObjective
from losses.attention import attention_reconstruction
from losses.face import face_crop
from losses.perceptual import CONTENT_LAYERS, Features, VGG19Features, feature_loss, gram_loss
from trainers.phases import Terms, Window

VGG_LAYERS = CONTENT_LAYERS


class NTEDImageTerms(nn.Module):
    """Perceptual (features and Gram matrices), face and attention reconstruction terms, and L1 where asked for."""

    reconstruct = False

    def __init__(self, config: NTEDObjective, vgg: VGG19Features) -> None:
        super().__init__()
        self.config, self.vgg = config, vgg

    def forward(self, window: Window) -> Terms:
        """Weighted terms by name."""
        config, terms = self.config, {}
        fake, real = self._features(window.generated, window.target)
        perceptual = feature_loss(fake, real, VGG_LAYERS) + config.gram * gram_loss(fake, real, VGG_LAYERS)
        terms["perceptual"] = config.perceptual * perceptual
        fake, real = self._features(*(face_crop(x, window.target_face) for x in (window.generated, window.target)))
        terms["face"] = config.face * feature_loss(fake, real, VGG_LAYERS)
        if config.attention:
            loss = attention_reconstruction(window.textures, window.source, window.target)
            terms["attention"] = config.attention * loss
        if config.l1:
            terms["l1"] = config.l1 * F.l1_loss(window.generated, window.target)
        return terms

    def _features(self, generated: Tensor, real: Tensor) -> tuple[Features, Features]:
        """VGG features with gradient for generated images and without for real ones."""
        with torch.no_grad():
            real_features = self.vgg(self.vgg.normalised(real))
        return self.vgg(self.vgg.normalised(generated)), real_features
