"""What an objective is: image losses of the generator, with the options of a whole adversarial training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from config.section import Kind, Weight
from losses.adversarial import GANMode
from losses.attention import TexturePair

Terms = dict[str, Tensor]


@dataclass
class Window:
    """A training rollout: N = steps x directions x pairs samples, step by step.

    generated, target: (N, 3, H, W), the image of each step and what it aims at. step: (N,) its label.
    source: (N, 3, H, W), or (N, M, 3, H, W) where a sample has M sources.
    source_view: (N, 3, H, W), what the step saw of the (first) source. reconstructed: (N, 3, H, W), the same as the
    generator gives it, or None. source_face, target_face: (N, 4).
    textures: the generator's pairs, each over N. key: (N,) a pair and direction, which random numbers follow from.
    """

    generated: Tensor
    target: Tensor
    step: Tensor
    source: Tensor
    source_view: Tensor
    reconstructed: Tensor | None
    source_face: Tensor
    target_face: Tensor
    textures: Sequence[TexturePair]
    key: Tensor

    def images_only(self) -> Window:
        """What the discriminator's phases need, cut from the graph."""
        return replace(self, generated=self.generated.detach(), reconstructed=None, textures=())


class ObjectiveConfig(Kind):
    """What all objectives share; weights multiply the terms of docs/method.md, 7."""

    gan_mode: GANMode = Field("non_saturating", description="adversarial loss")
    gan: Weight = Field(1.5, description="weight of the generator's adversarial loss")
    step: Weight = Field(1.5, description="weight of the step label's NLL on generated images")
    step_labels: Literal["own", "shuffled"] = Field(
        "own", description="what the step head is taught; shuffled: labels without meaning, a placebo"
    )
    r1_gamma: Weight = Field(0.0, description="weight of R1 is gamma / 2; 0: no R1")
    r1_interval: int = Field(16, ge=1, description="optimizer steps between R1 steps (the loss is multiplied by it)")
    r1_step: bool = Field(True, description="add the same penalty for the summed step log-probabilities")
    gradient_penalty: Weight = Field(
        0.0, description="weight of the WGAN gradient penalty; 10 with gan_mode: wasserstein"
    )

    @model_validator(mode="after")
    def _wasserstein_has_its_penalty(self) -> ObjectiveConfig:
        if self.gan_mode == "wasserstein" and not self.gradient_penalty:
            raise ValueError("gan_mode: wasserstein needs gradient_penalty over 0; the usual one is 10")
        return self

    @property
    def needs_textures(self) -> bool:
        """Whether it works only with generators that give texture pairs."""
        return False


class Objective(nn.Module):
    """The image losses: a module from a `Window` to weighted terms by name, made from its options.

    wants_source: it uses the reconstructed source where the generator gives one.
    """

    Config: ClassVar[type[ObjectiveConfig]]
    wants_source: ClassVar[bool] = False

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__()
        self.config = config
