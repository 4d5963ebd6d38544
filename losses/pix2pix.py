"""The losses of pix2pix (Isola et al., CVPR 2017, section 3.1): L1 and an adversary, and no feature network."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field

from config.section import Weight
from losses.objective import Objective, ObjectiveConfig, Terms, Window


class Pix2PixConfig(ObjectiveConfig):
    """L1, adversarial and step losses."""

    kind: Literal["pix2pix"] = "pix2pix"
    gan: Weight = Field(1.0, description="weight of the generator's adversarial loss")
    step: Weight = Field(1.0, description="weight of the step label's NLL on generated images")
    l1: Weight = Field(100.0, description="weight of L1")


class Pix2PixObjective(Objective):
    """L1 to the target of each step."""

    Config = Pix2PixConfig
    config: Pix2PixConfig

    def forward(self, window: Window) -> Terms:
        """The weighted term `l1`."""
        return {"l1": self.config.l1 * F.l1_loss(window.generated, window.target)}
