"""Learning rates, Adam's settings and resumed moments, by value."""

from __future__ import annotations

import io
from unittest.mock import patch

import pytest
import torch

from config.schema import AdamConfig
from models import device
from studies.flops import synthetic_batch
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers import engine as engines
from trainers.engine import Engine
from trainers.optim import build_adam, lazy_adam, learning_rate, load_optimizer
from trainers.trainer import Trainer

CONTIGUOUS, LAST = torch.contiguous_format, torch.channels_last


def engine_in(layout: torch.memory_format, system: str, state=None, steps: int = 0) -> Engine:
    """An engine on a device whose fastest layout is `layout`, from a state on, some steps further."""
    with (
        patch.object(device, "fastest_layout", lambda _: layout),
        patch.object(engines, "fastest_layout", lambda _: layout),
    ):
        config = tiny(system, "none")
        engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
        if state:
            engine.load_state(state)
        for _ in range(steps):
            engine.train_step([batch], epoch=0)
    return engine


def reread(engine: Engine) -> dict:
    """A state as a file gives it back."""
    file = io.BytesIO()
    torch.save(engine.state(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def update(engine: Engine, name: str) -> list[torch.Tensor]:
    """How a network's weights move by gradients drawn for their places."""
    random, parameters = torch.Generator().manual_seed(0), list(engine.networks[name].parameters())
    before = [p.detach().clone() for p in parameters]
    for p in parameters:
        p.grad = torch.empty_like(p).copy_(torch.randn(p.shape, generator=random))
    engine.guard.step(engine.optimizers[name], {})
    return [p.detach() - old for p, old in zip(parameters, before, strict=True)]


@pytest.mark.parametrize(("saved", "resumed"), [(CONTIGUOUS, LAST), (LAST, CONTIGUOUS)], ids=["to_last", "from_last"])
@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_a_run_resumed_in_another_memory_layout_moves_as_if_it_had_never_stopped(system, saved, resumed):
    through = engine_in(saved, system, steps=2)
    other = engine_in(resumed, system, reread(through))
    strides = [[p.stride() for p in e.networks["generator"].parameters()] for e in (through, other)]
    assert strides[0] != strides[1]
    for name in ("generator", "discriminator"):
        for ours, theirs in zip(update(other, name), update(through, name), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-10)


def test_a_run_resumed_in_another_memory_layout_has_the_same_losses():
    through = engine_in(CONTIGUOUS, "dptn", steps=2)
    other = engine_in(LAST, "dptn", reread(through))
    batch = synthetic_batch(through.config, ALONE.device)
    for _ in range(2):  # the second shows what the first one's update did
        terms = [{k: float(v) for k, v in e.train_step([batch], epoch=0).items()} for e in (other, through)]
        assert terms[0] == pytest.approx(terms[1], rel=1e-4)


def test_a_run_resumed_in_its_own_memory_layout_has_the_same_bits():
    through = engine_in(LAST, "dptn", steps=2)
    other = engine_in(LAST, "dptn", reread(through))
    assert same(other.state(), through.state())
    assert all(
        torch.equal(*pair) for pair in zip(update(other, "generator"), update(through, "generator"), strict=True)
    )


def test_imported_moments_lie_as_their_weights_do_and_leave_the_settings_alone():
    """Moments alone, in the usual layout, for a weight in channels last."""
    weight = torch.randn(4, 3, 2, 2).to(memory_format=LAST)
    layer = torch.nn.Conv2d(3, 4, 2, bias=False)
    layer.weight = torch.nn.Parameter(weight.clone(memory_format=torch.preserve_format))
    optimizer = build_adam(layer, AdamConfig(lr=0.25, betas=(0.5, 0.75)))
    first, second = torch.randn(4, 3, 2, 2), torch.rand(4, 3, 2, 2) + 0.5
    moments = {"step": torch.tensor(3.0), "exp_avg": first, "exp_avg_sq": second}
    load_optimizer(optimizer, {"state": {0: moments}})
    layer.weight.grad = torch.randn(4, 3, 2, 2).to(memory_format=LAST)
    mean = 0.5 * first + 0.5 * layer.weight.grad
    square = 0.75 * second + 0.25 * layer.weight.grad**2
    optimizer.step()
    expected = weight - 0.25 * (mean / (1 - 0.5**4)) / ((square / (1 - 0.75**4)).sqrt() + 1e-8)
    torch.testing.assert_close(layer.weight.detach(), expected)
    assert optimizer.state[layer.weight]["exp_avg"].stride() == layer.weight.stride()


def rates(trainer: Trainer) -> list[tuple[float, float]]:
    """The learning rates with which every step of a training was taken: the generator's and the discriminator's."""
    found, step = [], trainer.engine.train_step

    def noting(batches, epoch):
        terms = step(batches, epoch)
        found.append(tuple(trainer.engine.optimizers[name].param_groups[0]["lr"] for name in trainer.engine.networks))
        return terms

    trainer.engine.train_step = noting
    trainer.train()
    return found


LENGTHS = {
    # 5 epochs in 10 steps, the last two of them decay: 1 until step 6, whatever the 9 lines of the data are
    "max_steps": (["trainer.max_steps=10", "trainer.epochs=5", "optim.decay_epochs=2"], [1] * 7 + [0.75, 0.5, 0.25]),
    # a run that sees its data more often than `epochs` times
    "many_passes": (["trainer.max_steps=8", "trainer.epochs=1", "optim.decay_epochs=1"], [1 - k / 8 for k in range(8)]),
    # 9 lines, 3 a step: a third of an epoch each
    "epochs": (
        ["trainer.max_steps=null", "trainer.batch_size=3", "trainer.epochs=2", "optim.decay_epochs=1"],
        [1, 1, 1, 1, 2 / 3, 1 / 3],
    ),
    "no_decay": (["trainer.max_steps=3", "trainer.epochs=1", "optim.decay_epochs=0"], [1, 1, 1]),
}


@pytest.mark.parametrize("length", LENGTHS)
def test_learning_rates_fall_over_the_length_of_the_run(length, dataset, tmp_path):
    keys, shares = LENGTHS[length]
    keys = [*keys, "optim.generator.lr=1e-3", "optim.discriminator.lr=2e-3"]
    found = rates(Trainer(tiny("unet", dataset, *keys), tmp_path / "run", ALONE))
    expected = [(1e-3 * share, 2e-3 * share) for share in shares]
    assert [rate for pair in found for rate in pair] == pytest.approx([rate for pair in expected for rate in pair])


def test_a_steps_learning_rates_follow_from_its_epoch_alone():
    """At epoch 199 of 200, of which 4 decay, a quarter, however often it is asked for."""
    keys = ["trainer.epochs=200", "optim.decay_epochs=4", "optim.generator.lr=1e-3", "optim.discriminator.lr=2e-3"]
    config = tiny("unet", "none", *keys)
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
    for _ in range(2):
        engine.train_step([batch], epoch=199)
        found = [engine.optimizers[name].param_groups[0]["lr"] for name in ("generator", "discriminator")]
        assert found == pytest.approx([0.25e-3, 0.5e-3])


def test_a_learning_rate_is_never_negative_and_full_until_the_decay():
    found = [learning_rate(8.0, epoch, epochs=200, decay_epochs=50) for epoch in (0, 149.9, 150, 175, 199.5, 200, 201)]
    assert found == pytest.approx([8, 8, 8, 4, 0.08, 0, 0])


def test_the_learning_rate_decays_also_with_the_correction_of_lazy_adam(dataset, tmp_path):
    """R1 every third step: c = 3 / 4 of 2e-3, and half of it at half the run."""
    keys = ["trainer.max_steps=2", "trainer.epochs=1", "optim.decay_epochs=1", "optim.generator.lr=1e-3"]
    keys += ["optim.discriminator.lr=2e-3", "objective.r1_gamma=1", "objective.r1_interval=3"]
    found = rates(Trainer(tiny("unet", dataset, *keys), tmp_path / "run", ALONE))
    assert [rate for pair in found for rate in pair] == pytest.approx([1e-3, 1.5e-3, 0.5e-3, 0.75e-3])


def test_lazy_adam_by_hand():
    """n = 16: c = 16 / 17."""
    config = AdamConfig(lr=2e-4, betas=(0.5, 0.99))
    found = lazy_adam(config, 16)
    assert found.lr == pytest.approx(1.88235294e-4)
    assert found.betas == pytest.approx((0.520808, 0.990585), rel=1e-5)
    assert lazy_adam(config, 1) == AdamConfig(lr=1e-4, betas=(0.5**0.5, 0.99**0.5))
    assert lazy_adam(config, None) == config


@pytest.mark.parametrize(("gamma", "factor"), [(0, 1), (10, 4 / 5)])
def test_lazy_adam_is_the_discriminators_alone_and_only_with_r1(gamma, factor):
    keys = [f"objective.r1_gamma={gamma}", "objective.r1_interval=4"]
    keys += [f"optim.{name}={{lr: 1e-3, betas: [0.25, 0.75]}}" for name in ("generator", "discriminator")]
    optimizers = Engine(tiny("unet", "none", *keys), ALONE).optimizers
    assert optimizers["generator"].defaults["lr"] == 1e-3
    assert optimizers["generator"].defaults["betas"] == (0.25, 0.75)
    assert optimizers["discriminator"].defaults["lr"] == pytest.approx(1e-3 * factor)
    assert optimizers["discriminator"].defaults["betas"] == pytest.approx((0.25**factor, 0.75**factor))
