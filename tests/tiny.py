"""Tiny configurations: every part of the real ones, in seconds on a CPU."""

from __future__ import annotations

from typing import Any

from data.dataset import PairDataset
from data.options import DataConfig

SIZE = (64, 48)

COMMON = [
    f"data.image_size={list(SIZE)}",
    "data.num_workers=0",
    "trainer.max_steps=2",
    "trainer.batch_size=2",
    "trainer.log_every=1",
    "trainer.sample_every=100",
    "trainer.precision=fp32",
    "trainer.ema_half_life=8",
]
GENERATORS = {
    "nted": [
        "generator={kind: nted, channels: [8, 8, 6], num_textures: [3, 4, 0], kernel_sizes: [1, 3, 3]}",
        "data.pose=skeleton",
    ],
    "dptn": [
        "generator={kind: dptn, ngf: 4, img_f: 8, num_levels: 2, num_blocks: 1, num_CABs: 1, num_TTBs: 1}",
        "data.pose=joints_limbs",
    ],
    "unet": ["generator={kind: unet, channels: [8, 8, 6]}", "data.pose=joints"],
}
DISCRIMINATORS = {
    "patch": "discriminator={kind: patch, channels: [4, 6, 8]}",
    "stylegan2": "discriminator={kind: stylegan2, channels: [8, 8, 6, 6]}",
    "residual": "discriminator={kind: residual, ndf: 4, img_f: 8, num_levels: 3}",
}
SCHEDULES = {
    "clean": "schedule={kind: clean, num_steps: 3}",
    "quantize": "schedule={kind: quantize, num_steps: 3}",
    "resize": "schedule={kind: resize, num_steps: 3}",
}
VGG = "perceptual_net: random, channel_divisor: 16"
OBJECTIVES = {
    "dptn": f"objective={{kind: dptn, {VGG}}}",
    "nted": f"objective={{kind: nted, {VGG}}}",
    "pix2pix": "objective={kind: pix2pix}",
}


def overrides(system: str, root: object, *more: str) -> list[str]:
    """Overrides that shrink `config/{system}_256.yaml` over the dataset at `root`."""
    discriminator = {"nted": "stylegan2", "dptn": "residual", "unet": "patch"}[system]
    vgg = [] if system == "unet" else [f"objective={{{VGG}}}"]
    return [f"data.root={root}", *COMMON, *GENERATORS[system], DISCRIMINATORS[discriminator], *vgg, *more]


def pair_dataset(root: object, split: str, size: tuple[int, int], pose: str, **options: Any) -> PairDataset:
    """Pairs of images of `size` (H, W), not augmented unless `options`, of `DataConfig` and `PairDataset`, say so."""
    own = {name: options.pop(name) for name in ("num_directions", "seed") if name in options}
    values = {"root": str(root), "image_size": size, "pose": pose, "augment_scale": 1, **options}
    return PairDataset(DataConfig.model_validate(values), split, **own)
