"""The moving average of the generator: its rate, and its spectral norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from config.load import dump_config
from models.layers import SpectralNorm
from studies.flops import synthetic_batch
from studio.pipeline import StepPose
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers import saving
from trainers.ema import ema_decay, update_ema
from trainers.engine import Engine

# moves the weights far from those that the average still holds
FAST = ["optim.generator.lr=0.02", "trainer.ema_half_life=30"]


def norms(network: nn.Module) -> list[float]:
    """The largest singular value of every layer that spectral norm divides."""
    found = []
    for module in network.modules():
        if nn.utils.parametrize.is_parametrized(module, "weight"):
            norm: SpectralNorm = module.parametrizations.weight[0]
            matrix = module.weight.detach().movedim(norm.dim, 0).flatten(1)
            found.append(float(torch.linalg.svdvals(matrix)[0]))
    assert found
    return found


def distance_from_one(network: nn.Module) -> float:
    """Of the norms, on average: single ones are as chaotic as so fast a training."""
    return sum(abs(norm - 1) for norm in norms(network)) / len(norms(network))


def live_vectors(engine: Engine) -> dict:
    """The average with the singular vectors of the live network, as checkpoints of format 1 have it."""
    live = engine.networks["generator"].state_dict()
    average = engine.generator_ema.state_dict()
    return {name: (live if name.endswith(("._u", "._v")) else average)[name].clone() for name in average}


@pytest.fixture(scope="module")
def trained() -> Engine:
    """A small DPTN after thirty steps with a high learning rate."""
    config = tiny("dptn", "none", *FAST)
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
    for _ in range(30):
        engine.train_step([batch], epoch=0)
    return engine


def loaded(trained: Engine, vectors: dict) -> Engine:
    engine = Engine(trained.config, ALONE)
    engine.load_state({**trained.state(), **vectors})
    return engine


def test_the_averaged_generator_has_spectral_norm_one(trained):
    assert distance_from_one(trained.generator_ema) < 0.015


def test_with_the_live_networks_vectors_the_norms_would_be_far_from_one(trained):
    """What the test above guards against: else it would pass whatever the vectors are."""
    kept = loaded(trained, {"generator_ema": live_vectors(trained), "format": 2})
    assert distance_from_one(kept.generator_ema) > 0.05


def test_a_checkpoint_of_format_1_is_settled_on_resume_and_one_of_format_2_taken_as_it_is(trained):
    vectors = live_vectors(trained)
    old, new = (loaded(trained, {"generator_ema": vectors, "format": number}) for number in (1, 2))
    assert norms(old.generator_ema) == pytest.approx([1] * len(norms(old.generator_ema)), abs=0.01)
    assert same(dict(new.generator_ema.state_dict()), vectors)
    assert same(dict(old.networks["generator"].state_dict()), dict(trained.networks["generator"].state_dict()))


def test_drawing_settles_a_checkpoint_of_format_1_and_takes_one_of_format_2_as_it_is(trained, tmp_path, monkeypatch):
    state = {"step": 30, "config": dump_config(trained.config), "generator_ema": live_vectors(trained)}
    for number in (1, 2):
        monkeypatch.setattr(saving, "FORMAT", number)
        saving.save_checkpoint(tmp_path / str(number) / "checkpoints", state, keep=1)
    old, new = (StepPose.load(tmp_path / number).generator for number in "12")
    assert norms(old) == pytest.approx([1] * len(norms(old)), abs=0.01)
    assert same(dict(new.state_dict()), state["generator_ema"])


@pytest.mark.parametrize(("directions", "batch_size"), [(1, 2), (2, 2), (1, 4)])
def test_the_average_halves_every_half_life_of_generated_images_in_both_directions(directions, batch_size):
    """Half life 8: a step of 2, 4 or 4 images keeps 2^-1/4, 2^-1/2 or 2^-1/2 of what was."""
    keys = [f"rollout.bidirectional={str(directions == 2).lower()}", f"trainer.batch_size={batch_size}"]
    config = tiny("unet", "none", *keys, "optim.generator.lr=0.01")
    engine, batch = Engine(config, ALONE), synthetic_batch(config, ALONE.device)
    assert config.trainer.ema_half_life == 8
    before = [p.detach().clone() for p in engine.networks["generator"].parameters()]
    engine.train_step([batch], epoch=0)
    kept = {2: 0.8408964, 4: 0.7071068}[directions * batch_size]
    after = engine.networks["generator"].parameters()
    for average, old, new in zip(engine.generator_ema.parameters(), before, after, strict=True):
        torch.testing.assert_close(average, kept * old + (1 - kept) * new.detach())


def test_the_decay_and_the_average_by_hand():
    assert ema_decay(32, 10_000) == pytest.approx(0.9977844)  # 2^-0.0032, NTED's
    assert ema_decay(5, 5) == 0.5
    average, network = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    average.weight.data, network.weight.data = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, -2.0]])
    update_ema(average, network, decay=0.75)
    assert average.weight.tolist() == [[2.0, 1.0]]
    assert network.weight.tolist() == [[5.0, -2.0]]
