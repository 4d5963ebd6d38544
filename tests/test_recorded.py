"""Outputs, loss terms and gradients recorded from the published systems, with small weights under their names.

The records hold seeds or weights, and numbers; see docs/originals.md for what the systems are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from losses.perceptual import VGG19Features
from tests import parity_adapter as adapter

RECORDED = Path("tests/fixtures/recorded")
ALL_LAYERS = ("relu5_2",)
# how our terms are called in the records
DISCRIMINATOR_TERMS = {
    "nted_step": ("d", "real_step", "fake_step"),
    "dptn_step": ("Real_loss", "Fake_loss", "Fake_step"),
}


def load(name: str):
    archive = np.load(RECORDED / f"{name}.npz")
    return archive, json.loads(str(archive["meta"]))


def weights(archive, prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: torch.from_numpy(archive[key]) for key in archive.files if key.startswith(prefix)}


class Inputs:
    """Inputs of the records: NumPy's default generator, drawn in the recorded order."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def raw(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random.standard_normal(shape).astype(np.float32))

    def image(self, *shape: int) -> Tensor:
        return self.raw(*shape).clamp(-1, 1)

    def uniform(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.random.random(shape).astype(np.float32))


def relative_error(ours, recorded) -> float:
    ours, recorded = np.asarray(ours, np.float64), np.asarray(recorded, np.float64)
    return float(np.linalg.norm(ours - recorded) / np.linalg.norm(recorded))


def vgg_state(seed: int) -> dict[str, Tensor]:
    """Weights of a VGG19 drawn from (seed, place in the list of layers)."""
    state = {}
    for key, value in VGG19Features(ALL_LAYERS).state_dict().items():
        if key.endswith("weight"):
            random = np.random.default_rng([seed, int(key.split(".")[1])])
            scale = np.sqrt(2 / (value.shape[1] * 9))
            state[key] = torch.from_numpy((random.standard_normal(tuple(value.shape)) * scale).astype(np.float32))
        else:
            state[key] = torch.from_numpy((random.standard_normal(len(value)) * 0.05).astype(np.float32))
    return state


@pytest.mark.parametrize("name", ["nted", "nted_step"])
def test_nted_networks(name):
    archive, meta = load(name)
    inputs, size = Inputs(meta["seed"]), meta["image_size"]
    source, canvas, pose = inputs.image(2, 3, *size), inputs.image(2, 3, *size), inputs.uniform(2, 20, *size)
    target, images = inputs.image(2, 3, *size), inputs.image(4, 3, *size)
    step = (
        {"canvas": canvas, "step": torch.tensor(meta["step"])}
        if name == "nted_step"
        else {"canvas": None, "step": None}
    )
    with torch.no_grad():
        generator = adapter.generator(meta["system"], weights(archive, "g/"), meta["hyper"])
        output = generator(source_image=source, source_pose=None, target_pose=pose, **step)
        attention = adapter.attention_reconstruction(output, source, target)
    assert relative_error(output["target"][:, :, ::4, ::4], archive["out/target"]) < 1e-4
    assert relative_error(attention, archive["out/attn_rec"]) < 1e-4
    verdict = adapter.discriminator(meta["system"], weights(archive, "d/"), meta["d_hyper"])(images)
    assert relative_error(verdict["score"], archive["out/score"]) < 1e-3
    if name == "nted_step":
        assert relative_error(verdict["step_log_probs"], archive["out/step_log_probs"]) < 1e-3


@pytest.mark.parametrize("name", ["dptn", "dptn_step"])
def test_dptn_networks(name):
    archive, meta = load(name)
    inputs, size, stepwise = Inputs(meta["seed"]), meta["image_size"], name == "dptn_step"
    channels, stride = (41, meta["subsample"]) if stepwise else (18, 1)
    if stepwise:
        source_pose, pose = inputs.uniform(2, channels, *size), inputs.uniform(2, channels, *size)
        source, canvas, images = (inputs.image(2, 3, *size) for _ in range(3))
        step = {"canvas": canvas, "step": torch.full((2,), meta["step"] - 1)}  # the record counts from 1
    else:
        source, source_pose, pose = (
            inputs.image(2, 3, *size),
            inputs.uniform(2, 18, *size),
            inputs.uniform(2, 18, *size),
        )
        images, step = inputs.image(2, 3, *size), {"canvas": None, "step": None}
    with torch.no_grad():
        generator = adapter.generator(meta["system"], weights(archive, "g/"), meta["hyper"])
        output = generator(source_image=source, source_pose=source_pose, target_pose=pose, **step)
    for branch in ("target", "source"):
        assert relative_error(output[branch][:, :, ::stride, ::stride], archive[f"out/{branch}"]) < 1e-4
    verdict = adapter.discriminator(meta["system"], weights(archive, "d/"), meta["d_hyper"])(images)
    assert relative_error(verdict["score"], archive["out/score"]) < 1e-3


@pytest.mark.parametrize("name", ["nted_step", "dptn_step"])
def test_every_loss_term_and_gradient_norm_of_one_training_step(name):
    meta = json.loads((RECORDED / f"losses_{name}.json").read_text())
    archive, networks = load(name)
    inputs, count, nted = Inputs(meta["seed"]), meta["batch_size"], name == "nted_step"
    size, channels = ((256, 176), 20) if nted else (meta["image_size"], 41)
    batch = {
        "source_image": inputs.image(count, 3, *size),
        "target_image": inputs.image(count, 3, *size),
        "source_pose": inputs.uniform(count, channels, *size),
        "target_pose": inputs.uniform(count, channels, *size),
    }
    if nted:
        faces = [[70.0, 40, 100, 42], [-1, -1, -1, -1]], [[60.0, 50, 95, 48], [80, 44, 104, 40]]
        noise, start = inputs.raw(2 * count, 3, *size), torch.tensor(meta["start_step"])
    else:
        faces = [[40.0, 24, 72, 26], [-1, -1, -1, -1]], [[36.0, 28, 60, 24], [48, 32, 76, 30]]
        noise, start = inputs.raw(count, 3, *size), torch.zeros(count, dtype=torch.long)
    batch["source_face"], batch["target_face"] = (torch.tensor(boxes) for boxes in faces)
    state = weights(archive, "g/"), weights(archive, "d/"), vgg_state(meta["vgg_seed"])
    ours = adapter.training_losses(meta["system"], *state, networks["hyper"], networks["d_hyper"], batch, start, noise)
    for term, recorded in meta["g"].items():
        assert ours["generator"][term] == pytest.approx(recorded, rel=2e-3), term
    for term in DISCRIMINATOR_TERMS[name]:
        assert ours["discriminator"][term] == pytest.approx(meta["d"][term], rel=2e-3), term
    assert ours["g_grad_norm"] == pytest.approx(meta["g_grad_norm"], rel=5e-3)
    assert ours["d_grad_norm"] == pytest.approx(meta.get("d_grad_norm", meta.get("d_grad_norm_1")), rel=5e-3)
    if nted:
        assert float(ours["discriminator"]["r1"]) == pytest.approx(meta["d"]["r1"], rel=5e-2)
