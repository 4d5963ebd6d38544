"""The tables of generators, discriminators and schedules: a new one is a file of its own and a line here."""

from __future__ import annotations

from models.discriminators import Discriminator, DiscriminatorConfig, ResidualDiscriminator, StyleGAN2Discriminator
from models.dptn import DPTN
from models.generator import Generator, GeneratorConfig
from models.nted import NTED
from models.patch import PatchDiscriminator
from models.schedules import Clean, Quantize, Resize, Schedule, ScheduleConfig
from models.unet import UNet

GENERATORS: dict[str, type[Generator]] = {"dptn": DPTN, "nted": NTED, "unet": UNet}
DISCRIMINATORS: dict[str, type[Discriminator]] = {
    "patch": PatchDiscriminator,
    "residual": ResidualDiscriminator,
    "stylegan2": StyleGAN2Discriminator,
}
SCHEDULES: dict[str, type[Schedule]] = {"clean": Clean, "quantize": Quantize, "resize": Resize}


def build_generator(config: GeneratorConfig, pose_channels: int, num_steps: int) -> Generator:
    """A generator for pose maps of `pose_channels` channels; S = `num_steps`, 1 for the one-step baseline."""
    return GENERATORS[config.kind](config, pose_channels, num_steps)


def build_discriminator(config: DiscriminatorConfig, image_size: tuple[int, int], num_steps: int) -> Discriminator:
    """A discriminator for images of (H, W) pixels, asked or told the step where `num_steps` is over 1."""
    return DISCRIMINATORS[config.kind](config, image_size, num_steps)


def build_schedule(config: ScheduleConfig, image_size: tuple[int, int]) -> Schedule:
    """The schedule for images of (H, W) pixels."""
    return SCHEDULES[config.kind](config, image_size)
