"""DPTN's image losses (Zhang et al., CVPR 2022, section 3.4), on the target and the reconstructed source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import DPTNObjective
from losses.face import face_crop
from losses.perceptual import CONTENT_LAYERS, STYLE_LAYERS, VGG19Features, feature_loss, gram_loss
from trainers.phases import Terms, Window

VGG_LAYERS = tuple(sorted({*CONTENT_LAYERS, *STYLE_LAYERS}))


class DPTNImageTerms(nn.Module):
    """L1, content, style and face terms; target and source are two halves of one batch through VGG."""

    reconstruct = True

    def __init__(self, config: DPTNObjective, vgg: VGG19Features) -> None:
        super().__init__()
        self.config, self.vgg = config, vgg

    def forward(self, window: Window) -> Terms:
        """Weighted terms by name, those of the reconstructed source ending in `_source`."""
        assert window.reconstructed is not None, "the objective needs the reconstructed source"
        generated = torch.cat((window.generated, window.reconstructed))
        real = torch.cat((window.target, window.source_view))
        faces = torch.cat((window.target_face, window.source_face))
        with torch.no_grad():
            real_features = self.vgg(real)
            real_faces = self.vgg(self.vgg.normalised(face_crop(real, faces)))
        features = self.vgg(generated)
        face_features = self.vgg(self.vgg.normalised(face_crop(generated, faces)))
        terms: Terms = {}
        shares = (self.config.target_share, 1 - self.config.target_share)
        for half, (suffix, share) in enumerate(zip(("", "_source"), shares, strict=True)):
            pick = {key: (_half(features[key], half), _half(real_features[key], half)) for key in VGG_LAYERS}
            fake, true = ({key: pair[index] for key, pair in pick.items()} for index in (0, 1))
            terms[f"l1{suffix}"] = self.config.l1 * share * F.l1_loss(_half(generated, half), _half(real, half))
            terms[f"content{suffix}"] = self.config.content * share * feature_loss(fake, true, CONTENT_LAYERS)
            terms[f"style{suffix}"] = self.config.style * share * gram_loss(fake, true, STYLE_LAYERS)
            fake, true = ({key: _half(f[key], half) for key in CONTENT_LAYERS} for f in (face_features, real_faces))
            terms[f"face{suffix}"] = self.config.face * feature_loss(fake, true, CONTENT_LAYERS)
        return terms


def _half(x: Tensor, index: int) -> Tensor:
    return x.chunk(2)[index]
