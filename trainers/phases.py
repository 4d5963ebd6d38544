"""Phases: a phase's forward runs everything from a batch to the loss of one network and its named terms.

`DistributedDataParallel` wraps the phase, so several calls of a network before one backward are safe and gradients
overlap with communication. A phase registers only the network that it trains; the other one is frozen meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from config.schema import Objective as ObjectiveConfig
from config.schema import RolloutConfig
from losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1_penalty, step_loss
from models.layers import DiscriminatorOutput, TexturePair
from models.rollout import Pair, rollout, training_canvas
from models.schedules import Schedule

Batch = dict[str, Tensor]
Terms = dict[str, Tensor]


@dataclass
class Window:
    """A training rollout: N = steps x directions x pairs samples, step by step.

    generated, target: (N, 3, H, W), the image of each step and what it aims at. step: (N,) its label.
    source, source_view: (N, 3, H, W), the clean source and what the step saw of it.
    reconstructed: (N, 3, H, W) or None, DPTN's source. source_face, target_face: (N, 4).
    textures: NTED's pairs, each over N. uniform: (N,) random numbers in [0, 1], one a pair and direction.
    """

    generated: Tensor
    target: Tensor
    step: Tensor
    source: Tensor
    source_view: Tensor
    reconstructed: Tensor | None
    source_face: Tensor
    target_face: Tensor
    textures: tuple[TexturePair, ...]
    uniform: Tensor

    def images_only(self) -> Window:
        """What the discriminator's phases need, cut from the graph."""
        kept = {**self.__dict__, "generated": self.generated.detach(), "reconstructed": None, "textures": ()}
        return Window(**kept)


class Roll(nn.Module):
    """Runs a generator over a window of steps of the schedule.

    Args:
        reconstruct: ask the generator for the reconstructed source too.
        recompute: keep only the image of each step, and run the step again in backward.
    """

    def __init__(
        self,
        generator: nn.Module,
        schedule: Schedule,
        config: RolloutConfig,
        reconstruct: bool,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.generator, self.schedule, self.config, self.reconstruct = generator, schedule, config, reconstruct
        self.window = config.window or schedule.num_steps

    def forward(self, batch: Batch) -> Window:
        """A batch as `data.loader.to_device` gives it, to the window of all its samples."""
        both = self.config.bidirectional
        source, target, source_pose, target_pose, source_face, target_face = both_directions(batch, both)
        noise, start = (_by_direction(batch[key], both) for key in ("noise", "start"))
        first_step = (start * (self.schedule.num_steps - self.window + 1)).long()
        return self.run(
            (source, target), Pair(source, source_pose, target_pose), (source_face, target_face), noise, first_step
        )

    def run(
        self,
        images: tuple[Tensor, Tensor],
        pair: Pair,
        faces: tuple[Tensor, Tensor],
        noise: Tensor,
        first_step: Tensor,
    ) -> Window:
        """The window from given first steps (B,) and noise (B, 3, H, W); images are (source, target)."""
        source, target = images
        canvas = training_canvas(self.schedule, source, target, noise, first_step)
        degrade_source, generator = self.config.degrade_source, partial(call, self.recompute, self.generator)
        steps, outputs = zip(
            *rollout(generator, self.schedule, pair, canvas, first_step, self.window, degrade_source, self.reconstruct),
            strict=True,
        )
        step, repeats = torch.cat(steps), len(steps)
        source = source.repeat(repeats, 1, 1, 1)
        reconstructed = [output.source_image for output in outputs if output.source_image is not None]
        return Window(
            generated=torch.cat([output.target_image for output in outputs]),
            target=self.schedule.degrade(target.repeat(repeats, 1, 1, 1), step + 1),
            step=step,
            source=source,
            source_view=self.schedule.degrade(source, step + 1) if degrade_source else source,
            reconstructed=torch.cat(reconstructed) if reconstructed else None,
            source_face=faces[0].repeat(repeats, 1),
            target_face=faces[1].repeat(repeats, 1),
            textures=tuple(_join(pairs) for pairs in zip(*(output.textures for output in outputs), strict=True)),
            # Phi of the noise of one pixel: uniform, and a function of the counters like the noise itself
            uniform=torch.special.ndtr(noise[:, 0, 0, 0]).repeat(repeats),
        )


class GeneratorPhase(nn.Module):
    """Rollout, image losses of the objective, adversarial and step losses."""

    def __init__(self, roll: Roll, discriminator: nn.Module, image_terms: nn.Module, config: ObjectiveConfig) -> None:
        super().__init__()
        self.roll, self.image_terms, self.config = roll, image_terms, config
        self._discriminator = (discriminator,)  # in a tuple: not a part of this phase's parameters

    def forward(self, batch: Batch) -> tuple[Tensor, Terms, Window]:
        """The loss, its weighted terms (cut from the graph) and the window for the discriminator's phases."""
        window = self.roll(batch)
        terms = self.terms(window)
        loss = torch.stack(list(terms.values())).sum()
        return loss, _detached(terms), window.images_only()

    def terms(self, window: Window) -> Terms:
        """Every weighted term of the generator's loss, by name."""
        terms: Terms = call(self.roll.recompute, self.image_terms, window)
        verdict = call(self.roll.recompute, self._verdict, window.generated)
        terms["gan"] = self.config.gan * generator_loss(self.config.gan_mode, verdict.score)
        if verdict.step_log_probs is not None and self.config.step:
            terms["step_nll"] = self.config.step * step_loss(verdict.step_log_probs, window.step)
        return terms

    def _verdict(self, images: Tensor) -> DiscriminatorOutput:
        (discriminator,) = self._discriminator
        with frozen(discriminator):
            return discriminator(images)


class DiscriminatorPhase(nn.Module):
    """Real against generated and which step each belongs to; or, every `r1_interval` steps, R1 alone.

    What is differentiated twice calls the discriminator's `forward`, which is never compiled: PyTorch's compiled
    functions have no second derivative.
    """

    def __init__(self, discriminator: nn.Module, config: ObjectiveConfig, recompute: bool = False) -> None:
        super().__init__()
        self.discriminator, self.config, self.recompute = discriminator, config, recompute

    def forward(self, window: Window, r1: bool = False) -> tuple[Tensor, Terms, None]:
        """The loss and its terms (cut from the graph), on the images that the generator's phase made."""
        loss, terms = self._r1(window) if r1 else self._classify(window)
        return loss, _detached(terms), None

    def _classify(self, window: Window) -> tuple[Tensor, Terms]:
        terms: Terms = {}
        for kind, images in (("fake", window.generated.detach()), ("real", window.target)):
            verdict = call(self.recompute, self.discriminator, images)
            terms[f"d_{kind}"] = discriminator_loss(self.config.gan_mode, verdict.score, real=kind == "real")
            if verdict.step_log_probs is not None:
                terms[f"d_{kind}_step_nll"] = step_loss(verdict.step_log_probs, window.step)
        if self.config.gradient_penalty:
            with torch.autocast(window.target.device.type, enabled=False):
                penalty = gradient_penalty(self._score, window.target, window.generated, window.uniform)
            terms["gradient_penalty"] = self.config.gradient_penalty * penalty
        return torch.stack(list(terms.values())).sum(), terms

    def _r1(self, window: Window) -> tuple[Tensor, Terms]:
        """Never in bf16; multiplied by the interval, since it runs that seldom."""
        with torch.autocast(window.target.device.type, enabled=False):
            images = window.target.float().detach().requires_grad_()
            verdict = self.discriminator.forward(images)
            step_log_probs = verdict.step_log_probs if self.config.r1_step else None
            penalty = r1_penalty(images, verdict.score, step_log_probs)
            loss = penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
            # last biases have no part in a gradient with respect to images, yet every process must reduce them
            for output in (verdict.score, verdict.step_log_probs):
                loss = loss + 0 * output.sum() if output is not None else loss
        return loss, {"r1": penalty}

    def _score(self, images: Tensor) -> Tensor:
        return self.discriminator.forward(images).score


def call(recompute: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`; with `recompute` its activations are dropped, and computed again in backward.

    Nothing here draws random numbers, so what is computed again is the same, bit for bit.
    """
    if not recompute:
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for a module's parameters in the graph that is recorded inside."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def both_directions(batch: Batch, both: bool) -> tuple[Tensor, ...]:
    """source, target, source pose, target pose, source face, target face; with `both` the reverse pairs follow."""
    names = ("source_image", "target_image", "source_pose", "target_pose", "source_face", "target_face")
    forward = [batch[name] for name in names]
    if not both:
        return tuple(forward)
    reverse = [forward[index ^ 1] for index in range(len(names))]
    return tuple(torch.cat(parts) for parts in zip(forward, reverse, strict=True))


def _by_direction(values: Tensor, both: bool) -> Tensor:
    """(B, D, ...) to all pairs of the first direction, then all of the second."""
    return values.transpose(0, 1).flatten(0, 1) if both else values[:, 0]


def _join(pairs: tuple[TexturePair, ...]) -> TexturePair:
    extraction = torch.cat([pair.extraction for pair in pairs])
    return TexturePair(extraction, torch.cat([pair.distribution for pair in pairs]), pairs[0].size)


def _detached(terms: Terms) -> Terms:
    return {name: term.detach() for name, term in terms.items()}
