"""Optimizers, and learning rates as pure functions of the images seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Adam, Optimizer

from config.schema import AdamConfig


def learning_rate(base: float, epoch: float, epochs: int, decay_epochs: int) -> float:
    """Constant, then linear to 0 over the last `decay_epochs` of `epochs`; `epoch` may lie inside one."""
    if decay_epochs == 0:
        return base
    return base * min(1.0, max(0.0, (epochs - epoch) / decay_epochs))


def lazy_adam(config: AdamConfig, interval: int | None) -> AdamConfig:
    """Adam's settings for a network with an extra regularisation step every `interval` steps; None: no such step.

    With c = interval / (interval + 1), lr * c and betas ** c (Karras et al., *StyleGAN2*, appendix B).
    """
    if interval is None:
        return config
    factor = interval / (interval + 1)
    return AdamConfig(lr=config.lr * factor, betas=(config.betas[0] ** factor, config.betas[1] ** factor))


def build_adam(network: nn.Module, config: AdamConfig) -> Optimizer:
    """Adam over a network's parameters, fused where the device has it."""
    parameters = list(network.parameters())
    return Adam(parameters, lr=config.lr, betas=config.betas, fused=parameters[0].device.type in ("cuda", "cpu"))


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Take a saved state; an imported one may be moments alone, and its settings are then the config's.

    Fused Adam walks raw memory, so every moment must lie as its parameter does here, not as it did where it was saved.
    """
    optimizer.load_state_dict({**optimizer.state_dict(), **state})
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(value)


def set_learning_rate(optimizer: Optimizer, value: float) -> None:
    """The learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = value
