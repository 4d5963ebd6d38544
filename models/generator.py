"""What a generator is: a network with its options and what it can do."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from config.section import Kind
from models.layers import GeneratorOutput


class GeneratorConfig(Kind):
    """Options of a generator."""

    step_input: Literal["added", "channel"] = Field(
        "added",
        description="how a generator of several steps is told the step: a pattern added to source and canvas (the "
        "published step forms), or a plane beside the canvas",
    )

    @property
    def canvas_is_last(self) -> bool:
        """Whether the canvas comes after all that a network of one step sees, so that one can grow into this."""
        return self.step_input == "channel"

    @property
    def size_multiple(self) -> int:
        """What both sides of its images must be multiples of, in pixels."""
        raise NotImplementedError

    def check_image_size(self, height: int, width: int) -> None:
        """Raise ValueError unless both sides halve evenly as often as the network halves them."""
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(
                f"data.image_size is [{height}, {width}]: both sides must be multiples of {self.size_multiple} "
                f"for this {self.kind} generator"
            )

    def check_pose(self, form: str) -> None:
        """Raise ValueError where it cannot use poses of this form, a `data.pose`."""


def canvas_channels(config: GeneratorConfig, num_steps: int) -> int:
    """Channels of the canvas with the step's plane: none with one step, which has no canvas."""
    return 0 if num_steps == 1 else 3 + (config.step_input == "channel")


class Generator(nn.Module):
    """A network that draws one step.

    Subclasses are made from (config, pose_channels, num_steps) and say what they can do:

    Config: their options. needs_source_pose: they look at the source's own pose. reconstructs: they can give the source
    image too. has_textures: they give texture pairs. takes_several: they draw one person from several sources
    (`models.sources`). Where the source's texture enters the image, a `models.layers.TextureSite` stands, so that two
    sources can be blended.

    An image follows from its own arguments and the weights alone: no dropout and no batch norm. Resuming, accumulation,
    recomputed activations, many processes and the EMA, which averages parameters and no buffers, count on it.
    """

    Config: ClassVar[type[GeneratorConfig]]
    needs_source_pose: bool = False
    reconstructs: ClassVar[bool] = False
    has_textures: ClassVar[bool] = False
    takes_several: ClassVar[bool] = False

    def encode_source(self, source_image: Tensor, source_pose: Tensor, step: Tensor | None) -> Any:
        """All that depends on the source and the step alone, for `draw`: nested tuples of tensors led by B."""
        raise NotImplementedError

    def draw(self, encoded: Any, target_pose: Tensor, canvas: Tensor | None, step: Tensor | None) -> GeneratorOutput:
        """The image of a step, from what `encode_source` gave; other arguments as `forward`'s."""
        raise NotImplementedError

    def forward(
        self,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor,
        canvas: Tensor | None = None,
        step: Tensor | None = None,
        reconstruct: bool = False,
    ) -> GeneratorOutput:
        """One step.

        Args:
            source_image: (B, 3, H, W) in [-1, 1], at the level that the step sees; (B, N, 3, H, W): N of each person.
            source_pose, target_pose: (B, P, H, W) in [0, 1]; the first (B, N, P, H, W) where the image has N.
            canvas: (B, 3, H, W), what the step starts from. With S = 1 it is not looked at, and may be None.
            step: (B,) LongTensor in 0..S-1. With S = 1 as above.
            reconstruct: give the (first) source image too, where the generator can (training).
        """
        return self.draw(self.encode_source(source_image, source_pose, step), target_pose, canvas, step)
