"""Published state dicts for the tests: recorded names and shapes of small instances, values drawn from the names."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch
from torch import Tensor

from config.load import load_config
from config.schema import Config
from models.originals import State

RECORDED = Path(__file__).parent / "fixtures" / "published_names.txt"

_NTED = [
    "generator={channels: [24, 24, 16, 12, 8], num_textures: [4, 6, 6, 6, 0]}",
    "discriminator={channels: [16, 16, 12, 12, 8, 8, 6]}",
]
CONFIGS: dict[str, tuple[str, list[str]]] = {
    "nted": ("nted_256_onestep", _NTED),
    "nted-step": ("nted_256", _NTED),
    "dptn": (
        "dptn_256_onestep",
        ["data.image_size=[64,64]", "generator.ngf=8", "generator.img_f=64", "discriminator={ndf: 8, img_f: 32}"],
    ),
    "dptn-step": (
        "dptn_256",
        [
            "data.image_size=[128,128]",
            "generator={ngf: 8, img_f: 32}",
            "discriminator={ndf: 8, img_f: 16, num_levels: 3}",
        ],
    ),
}
# first and second name of one tensor
TWINS = {".conv1.": ".model.2.", ".conv2.": ".model.5.", ".bypass.": ".shortcut.0."}


def small_config(system: str, *more: str) -> Config:
    """The configuration of the recorded small instance."""
    name, overrides = CONFIGS[system]
    return load_config(f"config/{name}.yaml", [*overrides, *more])


def published_state(system: str, part: str) -> State:
    """A state dict under the published names, in the published order."""
    state: State = {}
    for line in RECORDED.read_text().splitlines():
        where, what, name, shape = line.split(" ")
        if (where, what) == (system, part):
            state[name] = _values(name, tuple(map(int, shape.split("x"))))
    return state


def _values(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith(".kernel"):
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        return taps[:, None] * taps / 64 * (4 if name.startswith("target_image_renderer") else 1)
    for first, second in TWINS.items():
        if "mblock" in name or "outconv" in name:
            name = name.replace(first, second)
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
