"""Phases: a phase's forward runs everything from its item to the loss of one network and its named terms.

`DistributedDataParallel` wraps the phase, so several calls of a network before one backward are safe and gradients
overlap with communication. A phase registers only the network that it trains; the other one is frozen meanwhile.
The item of the first phase is a batch; each hands the next what it needs, so that images are generated once a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from config.schema import RolloutConfig
from images.noise import Purpose, uniform_noise
from losses.adversarial import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
    step_accuracy,
    step_loss,
)
from losses.objective import Objective, ObjectiveConfig, Terms, Window
from models.layers import DiscriminatorOutput
from models.schedules import Schedule
from trainers.window import Batch, roll, samples_of


class GeneratorPhase(nn.Module):
    """Rollout, image losses of the objective, adversarial and step losses.

    Args:
        generator: a `models.generator.Generator`.
        discriminator: None for a training without one.
        objective: the image losses, with the options of all terms.
        recompute: keep only the image of each step, and run the step again in backward.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        schedule: Schedule,
        objective: Objective,
        rollout: RolloutConfig,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.generator, self.schedule, self.objective = generator, schedule, objective
        self.rollout, self.config = rollout, objective.config
        self.reconstruct = objective.wants_source and bool(generator.reconstructs)
        self._discriminator = (discriminator,)  # in a tuple: not a part of this phase's parameters
        self._run = _recomputed if recompute else _plainly

    def forward(self, batch: Batch) -> tuple[Tensor, Terms, Window]:
        """The loss, its weighted terms (cut from the graph) and the window for the discriminator's phases."""
        window = self.window(batch)
        terms = self.terms(window)
        return torch.stack(list(terms.values())).sum(), _detached(terms), window.images_only()

    def window(self, batch: Batch) -> Window:
        """What the generator makes of a batch, step by step."""
        num_starts = self.schedule.num_steps - (self.rollout.window or self.schedule.num_steps) + 1
        samples = samples_of(batch, self.rollout.bidirectional, num_starts)
        return roll(partial(self._run, self.generator), self.schedule, samples, self.rollout, self.reconstruct)

    def terms(self, window: Window) -> Terms:
        """Every weighted term of the generator's loss, by name."""
        terms: Terms = self._run(self.objective, window)
        (discriminator,) = self._discriminator
        if discriminator is None:
            return terms
        verdict = self._run(partial(_frozen_verdict, discriminator), window.generated, window.step)
        terms["gan"] = self.config.gan * generator_loss(self.config.gan_mode, verdict.score)
        if verdict.step_log_probs is not None and self.config.step:
            labels = step_labels(self.config, window, verdict.step_log_probs.shape[1])
            terms["step_nll"] = self.config.step * step_loss(verdict.step_log_probs, labels)
        return terms


class DiscriminatorPhase(nn.Module):
    """Real against generated, and which step each belongs to, on the images that the generator's phase made."""

    def __init__(self, discriminator: nn.Module, config: ObjectiveConfig, recompute: bool = False) -> None:
        super().__init__()
        self.discriminator, self.config = discriminator, config
        self._run = _recomputed if recompute else _plainly

    def forward(self, window: Window) -> tuple[Tensor, Terms, Window]:
        """The loss, its terms (cut from the graph) with the accuracy of the step head, and the same window."""
        terms: Terms = {}
        accuracies: Terms = {}
        for kind, images in (("fake", window.generated), ("real", window.target)):
            verdict = self._run(self.discriminator, images, window.step)
            terms[f"d_{kind}"] = discriminator_loss(self.config.gan_mode, verdict.score, real=kind == "real")
            if verdict.step_log_probs is not None:
                labels = step_labels(self.config, window, verdict.step_log_probs.shape[1])
                terms[f"d_{kind}_step_nll"] = step_loss(verdict.step_log_probs, labels)
                accuracies[f"step_accuracy_{kind}"] = step_accuracy(verdict.step_log_probs, labels)
        if self.config.gradient_penalty:
            mix, critic = uniform_noise(window.key, Purpose.MIX), partial(self._score, step=window.step)
            with torch.autocast(window.target.device.type, enabled=False):
                penalty = gradient_penalty(critic, window.target, window.generated, mix)
            terms["gradient_penalty"] = self.config.gradient_penalty * penalty
        return torch.stack(list(terms.values())).sum(), _detached(terms) | accuracies, window

    def _score(self, images: Tensor, step: Tensor) -> Tensor:
        # `forward` is never compiled: PyTorch's compiled functions have no second derivative
        return self.discriminator.forward(images, step).score


class R1Phase(nn.Module):
    """The R1 penalty on real images, never in bf16; multiplied by its interval, since it runs that seldom."""

    def __init__(self, discriminator: nn.Module, config: ObjectiveConfig) -> None:
        super().__init__()
        self.discriminator, self.config = discriminator, config

    def forward(self, window: Window) -> tuple[Tensor, Terms, Window]:
        """The loss, the raw penalty (cut from the graph) and the same window."""
        with torch.autocast(window.target.device.type, enabled=False):
            images = window.target.float().detach().requires_grad_()
            verdict = self.discriminator.forward(images, window.step)
            step_log_probs = verdict.step_log_probs if self.config.r1_step else None
            penalty = r1_penalty(images, verdict.score, step_log_probs)
            loss = penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
            # last biases have no part in a gradient with respect to images, yet every process must reduce them
            for output in (verdict.score, verdict.step_log_probs):
                loss = loss + 0 * output.sum() if output is not None else loss
        return loss, _detached({"r1": penalty}), window


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for a module's parameters in the graph that is recorded inside."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def step_labels(config: ObjectiveConfig, window: Window, num_steps: int) -> Tensor:
    """What the step head is taught of each image of a window, (N,): its step, or a step drawn anew for each sample.

    A drawn label is the step moved on by a number that is uniform over all S, so an image says nothing about it.
    """
    if config.step_labels == "own":
        return window.step
    moved = (uniform_noise(window.key, Purpose.LABEL) * num_steps).long()
    return (window.step + moved) % num_steps


def _frozen_verdict(discriminator: nn.Module, images: Tensor, step: Tensor) -> DiscriminatorOutput:
    with frozen(discriminator):
        return discriminator(images, step)


def _plainly(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _recomputed(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, its activations dropped and computed again in backward.

    Nothing here draws random numbers, so what is computed again is the same, bit for bit.
    """
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _detached(terms: Terms) -> Terms:
    return {name: term.detach() for name, term in terms.items()}
