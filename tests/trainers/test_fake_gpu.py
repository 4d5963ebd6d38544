"""A training step of every shipped configuration on a GPU's stand-in: nothing crosses devices, nothing waits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from config.load import load_config
from config.schema import Config
from data.loader import to_device
from data.pose import POSE_FORMS
from losses.perceptual import PerceptualConfig
from studies.flops import synthetic_batch
from tests.fake_gpu import GPU, Crossing, fake_gpu
from tests.trainers.test_trainer import tiny
from trainers import phases
from trainers.distributed import World
from trainers.engine import Engine

# the low-resolution one is dptn_256 on other data
CONFIGS = sorted({path.stem for path in Path("config").glob("*.yaml")} - {"base", "dptn_256_lowres"})
REFUSALS = (Crossing, DataDependentOutputException, DynamicOutputShapeException)


def step(config: Config, number: int = 0, num_micro: int = 1) -> dict[str, torch.Tensor]:
    """The terms of step `number`, of some micro-batches; R1 is due at 0."""
    with fake_gpu() as refusal:
        engine, batch = Engine(config, World(0, 1, GPU)), synthetic_batch(config, GPU)
        engine.step = number
        with refusal:
            terms = engine.train_step([batch] * num_micro, epoch=0.0)
        assert {p.device for network in engine.networks.values() for p in network.parameters()} == {GPU}
        assert {t.device for state in engine.optimizers["generator"].state.values() for t in state.values()} == {GPU}
        return terms


def shipped(name: str) -> Config:
    """A configuration at its full shapes, of one pair and at most two steps of the rollout."""
    path = f"config/{name}.yaml"
    config = load_config(path)
    keys = [f"rollout.window={min(2, config.rollout.window or config.schedule.num_steps)}", "trainer.batch_size=1"]
    if isinstance(config.objective, PerceptualConfig):
        keys.append("objective.perceptual_net=random")
    return load_config(path, keys)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_of_every_configuration_stays_on_the_gpu_and_never_waits(name):
    terms = step(shipped(name), number=1)
    assert {term.device for term in terms.values()} == {GPU}
    assert {"gan", "d_real", "d_fake", "skipped"} <= terms.keys()


@pytest.mark.parametrize(("system", "recompute"), [("nted", "false"), ("dptn", "true"), ("unet", "false")])
def test_r1_accumulation_and_activations_computed_again_never_wait(system, recompute):
    """With narrow networks: R1's second derivative of a blur is an operation for each channel."""
    more = ["objective.r1_gamma=1", f"trainer.recompute_activations={recompute}", "trainer.precision=bf16"]
    terms = step(tiny(system, "none", *more), num_micro=2)
    assert terms["r1"].device == GPU


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_several_sources_never_wait(system):
    assert step(tiny(system, "none", "data.num_sources=3"))


def test_the_gradient_penalty_never_waits():
    assert step(tiny("unet", "none", "objective.gan_mode=wasserstein", "objective.gradient_penalty=10"))


@pytest.mark.parametrize("sources", [(), (3,)], ids=["one", "three"])
@pytest.mark.parametrize("pose", POSE_FORMS)
def test_a_batch_is_finished_on_the_gpu_by_copies_that_nobody_waits_for(pose, sources):
    size = (64, 48)
    joints = torch.rand(18, 2).mul(40).numpy()
    encoded = torch.from_numpy(POSE_FORMS[pose].encode(joints, size))
    with fake_gpu() as refusal:
        batch = {}
        for role, several in (("source", sources), ("target", ())):
            batch[f"{role}_image"] = torch.zeros(2, *several, 3, *size, dtype=torch.uint8)
            batch[f"{role}_pose"] = torch.zeros(2, *several, *encoded.shape, dtype=encoded.dtype)
        batch["noise_key"] = torch.zeros(2, 1, dtype=torch.int64)
        with refusal:
            finished = to_device(batch, GPU)
    assert {value.device for value in finished.values()} == {GPU}
    assert finished["noise"].shape == (2, 1, 3, *size) and finished["source_image"].shape == (2, *sources, 3, *size)


FAULTS = {
    "a CPU tensor": lambda x: x + torch.ones(3),
    "a number on the CPU": lambda x: x * torch.tensor(2.0),
    "numbers made a tensor": lambda x: x * torch.tensor([1.0, 2.0], device=x.device).sum(),
    "a copy that waits": lambda x: x + torch.ones(3).to(x.device).sum(),
    "item": lambda x: x * x.item(),
    "tolist": lambda x: x * x[None].tolist()[0],
    "float": lambda x: x * float(x.detach()),
    "if": lambda x: x if x > 0 else -x,
    "to the CPU": lambda x: x + x.to("cpu"),
    "cpu": lambda x: x.cpu().to(x.device, non_blocking=True),
    "a mask": lambda x: x + x[None][x[None] > 0].sum(),
    "nonzero": lambda x: x + x[None].nonzero().sum(),
    "equal": lambda x: x * torch.equal(x, x),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault, monkeypatch):
    """Each in the generator's phase, where its loss meets the optimizer's step."""
    terms = phases.GeneratorPhase.terms

    def faulty(phase, window):
        found = terms(phase, window)
        return {**found, "gan": FAULTS[fault](found["gan"])}

    config = tiny("unet", "none")
    monkeypatch.setattr(phases.GeneratorPhase, "terms", faulty)
    with pytest.raises(REFUSALS):
        step(config)


def test_a_fault_in_backward_is_caught(monkeypatch):
    """A hook on the gradient, which runs inside `backward`."""
    terms = phases.GeneratorPhase.terms

    def faulty(phase, window):
        window.generated.register_hook(lambda gradient: gradient * float(gradient.sum()))
        return terms(phase, window)

    monkeypatch.setattr(phases.GeneratorPhase, "terms", faulty)
    with pytest.raises(DataDependentOutputException):
        step(tiny("unet", "none"))
