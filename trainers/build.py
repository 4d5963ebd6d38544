"""From a configuration to networks, optimizers and the phases of a training step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from config.schema import Config
from losses.families import build_objective
from models.device import prepare
from models.families import build_discriminator, build_generator, build_schedule
from trainers.optim import build_adam, lazy_adam
from trainers.phases import DiscriminatorPhase, GeneratorPhase, R1Phase


@dataclass
class Phase:
    """An entry of the training step: at every `interval`-th step the module's loss moves what the optimizer holds.

    module: from the item that the phase before handed on (first: a batch) to (loss, terms, item for the next).
    """

    name: str
    module: nn.Module
    optimizer: Optimizer
    interval: int = 1


def build_networks(config: Config) -> dict[str, nn.Module]:
    """The networks that a run trains, by name; their weights are a function of `config.seed`."""
    num_steps = config.schedule.num_steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        networks: dict[str, nn.Module] = {
            "generator": build_generator(config.generator, config.data.pose_channels, num_steps)
        }
        if config.discriminator is not None:
            size = config.data.image_size
            networks["discriminator"] = build_discriminator(config.discriminator, size, num_steps)
    return networks


def build_optimizers(config: Config, networks: dict[str, nn.Module]) -> dict[str, Optimizer]:
    """Adam of each network; a discriminator with R1 steps has StyleGAN2's correction for them."""
    objective, optim = config.objective, config.optim
    lazy = lazy_adam(optim.discriminator, objective.r1_interval if objective.r1_gamma else None)
    settings = {"generator": optim.generator, "discriminator": lazy}
    return {name: build_adam(network, settings[name]) for name, network in networks.items()}


def build_phases(config: Config, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer]) -> list[Phase]:
    """The generator's phase and, where there is a discriminator, its own and R1."""
    generator, discriminator = networks["generator"], networks.get("discriminator")
    device, recompute = next(generator.parameters()).device, config.trainer.recompute_activations
    # compiled like the networks: what the losses do to features is bound by memory unless it is fused
    objective = prepare(build_objective(config.objective), device, config.trainer.compile)
    schedule = build_schedule(config.schedule, config.data.image_size)
    making = GeneratorPhase(generator, discriminator, schedule, objective, config.rollout, recompute)
    phases = [Phase("generator", making, optimizers["generator"])]
    if discriminator is not None:
        judging = DiscriminatorPhase(discriminator, config.objective, recompute)
        phases.append(Phase("discriminator", judging, optimizers["discriminator"]))
        if config.objective.r1_gamma:
            r1 = R1Phase(discriminator, config.objective)
            phases.append(Phase("r1", r1, optimizers["discriminator"], config.objective.r1_interval))
    return phases
