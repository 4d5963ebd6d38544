"""Adversarial losses, the step classification of ACGAN and the gradient penalties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

GANMode = Literal["non_saturating", "least_squares", "hinge", "wasserstein"]


def discriminator_loss(mode: str, score: Tensor, real: bool) -> Tensor:
    """The discriminator's loss on one kind of image, a scalar.

    Args:
        mode: `non_saturating` (softplus), `least_squares` (half the mean square to 1 or 0), `hinge`, `wasserstein`.
        score: realness of any shape. real: whether the images are real.

    Raises:
        ValueError: an unknown mode.
    """
    sign = -1.0 if real else 1.0
    if mode == "non_saturating":
        return F.softplus(sign * score).mean()
    if mode == "least_squares":
        return 0.5 * (score - float(real)).square().mean()
    if mode == "hinge":
        return F.relu(1 + sign * score).mean()
    if mode == "wasserstein":
        return sign * score.mean()
    raise ValueError(f"GAN mode {mode!r} is not one of {', '.join(get_args(GANMode))}")


def generator_loss(mode: str, score: Tensor) -> Tensor:
    """The generator's loss on the score of its images, a scalar; modes as in `discriminator_loss`."""
    if mode in ("hinge", "wasserstein"):
        return -score.mean()
    return discriminator_loss(mode, score, real=True)


def step_loss(step_log_probs: Tensor, step: Tensor) -> Tensor:
    """NLL of the step labels (B,), from log-probabilities (B, S) (Odena et al., ICML 2017)."""
    return F.nll_loss(step_log_probs, step)


def step_accuracy(step_log_probs: Tensor, step: Tensor) -> Tensor:
    """The share of images whose label (B,) is the most probable one of (B, S)."""
    return (step_log_probs.argmax(dim=1) == step).float().mean()


def r1_penalty(images: Tensor, score: Tensor, step_log_probs: Tensor | None) -> Tensor:
    """Mean over the batch of the squared gradient norm of the summed score with respect to real images.

    Args:
        images: (B, 3, H, W) that require gradients. score: what the discriminator says of them.
        step_log_probs: (B, S), adds the same penalty for their sum (the published step form); None: not.

    Source: Mescheder et al., ICML 2018.
    """
    penalty = _squared_gradient(score.sum(), images)
    if step_log_probs is not None:
        penalty = penalty + _squared_gradient(step_log_probs.sum(), images)
    return penalty


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP (Gulrajani et al., NeurIPS 2017): squared distance to 1 of the gradient norm between real and fake.

    Args:
        critic: images to score. real, fake: (B, 3, H, W). mix: (B,) in [0, 1], where between the two.
    """
    mix = mix.view(-1, 1, 1, 1)
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # the guard keeps the gradient of the square root finite where the critic is flat
    norm = (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def _squared_gradient(output: Tensor, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(output, images, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1).mean()
