"""The weights of the image terms, by hand: features are the images themselves, which have one colour each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from losses.dptn import DPTNObjective, DPTNObjectiveConfig
from losses.nted import NTEDObjective, NTEDObjectiveConfig
from losses.objective import Window
from losses.perceptual import CONTENT_LAYERS, STYLE_LAYERS, PerceptualNet
from models.layers import TexturePair

SIZE = (64, 48)
EYES = [20.0, 20.0, 30.0, 20.0]
RANDOM = {"perceptual_net": "random", "channel_divisor": 64}


class Itself(PerceptualNet):
    """In place of VGG19; `normalised` doubles, so that it shows where it was used."""

    content_layers, style_layers = CONTENT_LAYERS, STYLE_LAYERS

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict.fromkeys((*CONTENT_LAYERS, *STYLE_LAYERS), images)

    def normalised(self, images: Tensor) -> Tensor:
        return 2 * images


def colour(value: float) -> Tensor:
    return torch.full((1, 3, *SIZE), value)


def window(reconstructed: float | None = None, pairs: tuple = ()) -> Window:
    """Generated 0.5, target 0.25; a source of 0.75 that its step saw as 0.125."""
    boxes, missing = torch.tensor([EYES]), torch.full((1, 4), -1.0)
    return Window(
        generated=colour(0.5),
        target=colour(0.25),
        step=torch.tensor([0]),
        source=colour(0.75),
        source_view=colour(0.125),
        reconstructed=None if reconstructed is None else colour(reconstructed),
        source_face=missing if reconstructed is None else boxes,
        target_face=boxes,
        textures=pairs,
        key=torch.zeros(1, dtype=torch.long),
    )


def terms(objective: DPTNObjective | NTEDObjective, given: Window) -> dict[str, float]:
    objective.net = Itself()
    return {name: float(term) for name, term in objective(given).items()}


def test_dptns_terms_of_target_and_source():
    """Gram matrices of a colour c are c^2 / 3 everywhere; 5 content and 4 style layers; faces doubled."""
    config = DPTNObjectiveConfig(l1=3, content=5, style=7, face=11, target_share=0.75, **RANDOM)
    expected = {
        "l1": 3 * 0.75 * 0.25,
        "content": 5 * 0.75 * 5 * 0.25,
        "style": 7 * 0.75 * 4 * (0.5**2 - 0.25**2) / 3,
        "face": 11 * 5 * 2 * 0.25,
        # the reconstructed source, 1, aims at what its step saw, 0.125
        "l1_source": 3 * 0.25 * 0.875,
        "content_source": 5 * 0.25 * 5 * 0.875,
        "style_source": 7 * 0.25 * 4 * (1 - 0.125**2) / 3,
        "face_source": 11 * 5 * 2 * 0.875,
    }
    assert terms(DPTNObjective(config), window(reconstructed=1)) == pytest.approx(expected)


def test_dptns_terms_without_a_reconstruction_have_the_whole_weight():
    config = DPTNObjectiveConfig(l1=3, content=5, style=0, face=0, target_share=0.75, **RANDOM)
    expected = {"l1": 3 * 0.25, "content": 5 * 5 * 0.25, "style": 0}
    assert terms(DPTNObjective(config), window()) == pytest.approx(expected)


def test_nteds_terms():
    """Perceptual features are normalised (doubled); the source is warped to itself, 0.75 against 0.25."""
    copy = torch.eye(4)[None]
    pairs = (TexturePair(copy, copy, (2, 2)), TexturePair(copy, 0 * copy, (2, 2)))
    config = NTEDObjectiveConfig(perceptual=3, gram=5, face=7, attention=11, l1=13, **RANDOM)
    expected = {
        "perceptual": 3 * (5 * 0.5 + 5 * 5 * (1**2 - 0.5**2) / 3),
        "face": 7 * 5 * 2 * 0.25,
        "attention": 11 * (0.5 + 0.25) / 2,
        "l1": 13 * 0.25,
    }
    assert terms(NTEDObjective(config), window(pairs=pairs)) == pytest.approx(expected)


def test_terms_of_weight_0_are_left_out():
    config = NTEDObjectiveConfig(face=0, attention=0, l1=0, **RANDOM)
    assert terms(NTEDObjective(config), window()).keys() == {"perceptual"}
