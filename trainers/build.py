"""From a configuration to the phases of a run."""

from __future__ import annotations

from typing import Any

from torch import nn

from config.schema import Config, VGGConfig
from losses.perceptual import VGG19Features, imagenet_vgg19_state
from models.build import build_schedule
from trainers import dptn, nted
from trainers.phases import DiscriminatorPhase, GeneratorPhase, Roll

IMAGE_TERMS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "dptn": (dptn.DPTNImageTerms, dptn.VGG_LAYERS),
    "nted": (nted.NTEDImageTerms, nted.VGG_LAYERS),
}
RANDOM_VGG_SEED = 0


def build_vgg(config: VGGConfig, layers: tuple[str, ...]) -> VGG19Features:
    """The frozen VGG19 of the losses; raises ValueError where its weights cannot be had."""
    vgg = VGG19Features(layers, config.channel_divisor)
    if config.weights == "random":
        vgg.initialise(RANDOM_VGG_SEED)
    else:
        vgg.load_torchvision(imagenet_vgg19_state())
    return vgg


def build_phases(
    config: Config, generator: nn.Module, discriminator: nn.Module
) -> tuple[GeneratorPhase, DiscriminatorPhase]:
    """The generator's and the discriminator's phase of a run."""
    objective = config.objective
    terms_class, layers = IMAGE_TERMS[objective.kind]
    image_terms = terms_class(objective, build_vgg(objective.vgg, layers))
    if config.trainer.compile:
        # what the losses do to VGG's features is bound by memory unless it is fused
        image_terms.compile(dynamic=False)
    schedule, recompute = build_schedule(config.schedule, config.data.image_size), config.trainer.recompute_activations
    roll = Roll(generator, schedule, config.rollout, terms_class.reconstruct, recompute)
    generator_phase = GeneratorPhase(roll, discriminator, image_terms, objective)
    return generator_phase, DiscriminatorPhase(discriminator, objective, recompute)
