"""Averages of any length after the fact: profiles by hand, and against an average that was kept during training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scripts import post_hoc_ema
from studio.pipeline import StepPose
from tests.trainers.test_ema import distance_from_one
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers.post_hoc import Profile, combination, power_decay, power_exponent, rebuild
from trainers.trainer import Trainer

KEPT = ["trainer.post_hoc_ema=[0.05,0.1]", "optim.generator.lr=0.01", "trainer.log_every=50"]


@pytest.mark.parametrize(("length", "exponent"), [(0.05, 16.97), (0.10, 6.94)])
def test_a_lengths_exponent_is_the_papers_and_its_profile_is_that_wide(length, exponent):
    assert power_exponent(length) == pytest.approx(exponent, abs=0.005)
    tau = (np.arange(200_000) + 0.5) / 200_000
    weights = tau ** power_exponent(length)
    mean = (weights * tau).sum() / weights.sum()
    assert ((weights * (tau - mean) ** 2).sum() / weights.sum()) ** 0.5 == pytest.approx(length, rel=1e-4)


def test_the_decays_weigh_step_tau_as_its_power():
    """After 2000 steps, steps 1000 and 500 count as 0.5 ** 3 and 0.25 ** 3 of the last one."""
    weights = np.zeros(2001)
    for step in range(1, 2001):
        weights *= power_decay(step, 3.0)
        weights[step] = 1 - power_decay(step, 3.0)
    assert weights.sum() == pytest.approx(1)
    assert weights[1000] / weights[2000] == pytest.approx(0.5**3, rel=5e-3)
    assert weights[500] / weights[2000] == pytest.approx(0.25**3, rel=1e-2)


def test_a_kept_average_is_combined_from_itself_alone():
    kept = [Profile(step, power_exponent(length)) for step in (100, 200) for length in (0.05, 0.1)]
    np.testing.assert_allclose(combination(kept, kept[2]), [0, 0, 1, 0], atol=1e-6)


def test_a_length_in_between_is_what_training_would_have_kept(dataset, tmp_path, command):
    more = ["trainer.max_steps=64", "trainer.checkpoint_every=4", "objective.r1_gamma=0"]
    Trainer(tiny("unet", dataset, *KEPT, *more), tmp_path / "run", ALONE).train()
    direct = Trainer(tiny("unet", dataset, *KEPT[1:], *more, "trainer.post_hoc_ema=[0.08]"), tmp_path / "b", ALONE)
    direct.train()
    expected = direct.engine.averages[0.08].state_dict()
    weights, newest = rebuild(tmp_path / "run", 0.08)
    last = direct.engine.networks["generator"].state_dict()
    near, far = (
        torch.cat([(one[name] - expected[name]).flatten() for name in expected]).norm() for one in (weights, last)
    )
    assert newest["step"] == 64 and near < 0.03 * far
    assert command(post_hoc_ema.main, "--model", tmp_path / "run", "--lengths", 0.08, "--output", tmp_path / "out") == 0
    drawn = StepPose.load(tmp_path / "out")
    assert drawn.trained_steps == 64 and same(dict(drawn.generator.state_dict()), weights)


def test_snapshots_resume_bit_for_bit_and_leave_the_training_as_it_is(dataset, tmp_path):
    ends = {}
    for name, keys, stops in (("through", KEPT, [4]), ("halves", KEPT, [2, 4]), ("without", KEPT[1:], [4])):
        for stop in stops:
            trainer = Trainer(tiny("dptn", dataset, *keys, f"trainer.max_steps={stop}"), tmp_path / name, ALONE)
            trainer.train()
        ends[name] = trainer.engine.state() | {"config": ""}
    assert same(ends["through"], ends["halves"])
    assert same({name: ends["through"][name] for name in ends["without"]}, ends["without"])
    assert len(list((tmp_path / "halves" / "ema").glob("*.pt"))) == 2


def test_a_combined_generator_has_spectral_norm_one(dataset, tmp_path, command):
    keys = ["trainer.post_hoc_ema=[0.05,0.1]", "optim.generator.lr=0.02", "trainer.max_steps=16"]
    Trainer(tiny("dptn", dataset, *keys, "trainer.checkpoint_every=4"), tmp_path / "run", ALONE).train()
    assert command(post_hoc_ema.main, "--model", tmp_path / "run", "--lengths", 0.15, "--output", tmp_path / "out") == 0
    assert distance_from_one(StepPose.load(tmp_path / "out").generator) < 1e-3


def test_an_average_is_not_written_into_a_run_and_is_no_run_to_train_on(dataset, tmp_path, command, capsys):
    Trainer(tiny("unet", dataset, *KEPT, "trainer.keep_checkpoints=2"), tmp_path / "run", ALONE).train()
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    words = ["--model", tmp_path / "run", "--lengths", 0.1, "--output"]
    assert command(post_hoc_ema.main, *words, tmp_path / "run") == 2
    assert f"{tmp_path / 'run'} already has checkpoints; name another --output" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert command(post_hoc_ema.main, *words, tmp_path / "out") == 0
    with pytest.raises(ValueError, match=r"no generator .* begin a new run with trainer\.start_from"):
        Trainer(tiny("unet", dataset, *KEPT), tmp_path / "out", ALONE)


def test_the_command_draws_score_over_length(dataset, tmp_path, command, capsys):
    Trainer(tiny("dptn", dataset, *KEPT, "trainer.checkpoint_every=1"), tmp_path / "run", ALONE).train()
    assert command(post_hoc_ema.main, "--model", tmp_path / "run", "--lengths", 0.1, 0.05, 0.15) == 0
    text = (tmp_path / "run" / "ema_lengths.html").read_text()
    assert "<td>0.05</td>" in text and "<td>0.15</td>" in text and text.count("data:image/svg+xml") == 3
    for flags, says in ((["--lengths", 0.3], "between 0 and 0.28"), (["--lengths", 0.1, 0.2], "takes one average")):
        words = ["--model", tmp_path / "run", *flags, "--output", tmp_path / "out"]
        assert command(post_hoc_ema.main, *words) == 2
        assert says in capsys.readouterr().err
    Trainer(tiny("dptn", dataset), tmp_path / "plain", ALONE).train()
    assert command(post_hoc_ema.main, "--model", tmp_path / "plain", "--lengths", 0.1) == 2
    assert "holds no snapshots; train with trainer.post_hoc_ema" in capsys.readouterr().err
