"""From configuration sections to networks and schedules: one dict a family."""

from __future__ import annotations

import torch
from torch import nn

from config.schema import Config, DiscriminatorConfig, GeneratorConfig, ScheduleConfig
from models.discriminators import ResidualDiscriminator, StyleGAN2Discriminator
from models.dptn import DPTN
from models.nted import NTED
from models.schedules import Quantize, Resize, Schedule

GENERATORS: dict[str, type[nn.Module]] = {"dptn": DPTN, "nted": NTED}
DISCRIMINATORS: dict[str, type[nn.Module]] = {"residual": ResidualDiscriminator, "stylegan2": StyleGAN2Discriminator}


def build_generator(config: GeneratorConfig, pose_channels: int, num_steps: int) -> nn.Module:
    """A generator for pose maps of `pose_channels` channels; S = `num_steps`, 1 for the one-step baseline."""
    return GENERATORS[config.kind](config, pose_channels, num_steps)


def build_discriminator(config: DiscriminatorConfig, image_size: tuple[int, int], num_steps: int) -> nn.Module:
    """A discriminator for images of (H, W) pixels, with a step head where `num_steps` is over 1."""
    return DISCRIMINATORS[config.kind](config, image_size, num_steps)


def build_schedule(config: ScheduleConfig, image_size: tuple[int, int]) -> Schedule:
    """The schedule for images of (H, W) pixels."""
    if config.kind == "quantize":
        return Quantize(config.num_steps)
    return Resize(config.num_steps, image_size, config.min_size, config.spacing)


def build_networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a run, their weights a function of `config.seed`."""
    num_steps = config.schedule.num_steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator(config.generator, config.data.pose_channels, num_steps)
        discriminator = build_discriminator(config.discriminator, config.data.image_size, num_steps)
    return generator, discriminator
