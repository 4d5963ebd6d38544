"""benchmarks.balance: how hard the terms of a loss pull, on losses whose gradients are known."""

from __future__ import annotations

import json
import sys

import pytest
import torch
import torch.nn.functional as F

from benchmarks import balance
from config.load import dump_config
from losses.objective import Window
from tests.runs import tiny_config
from tests.trainers.test_trainer import ALONE
from trainers.engine import Engine
from trainers.saving import save_checkpoint


class Phase:
    """Terms of a window's images: L1, its opposite, one across it, and one of the generator's other outputs."""

    def terms(self, window: Window) -> dict[str, torch.Tensor]:
        images, target = window.generated, window.target
        signs = torch.tensor([1.0, -1.0]).repeat(images.numel() // 2).view_as(images)
        terms = {
            "l1": 20 * F.l1_loss(images, target),
            "away": -3 * F.l1_loss(images, target),
            "across": (signs * images).mean(),
            "beside": window.textures[0],
        }
        if window.reconstructed is not None:
            terms["l1_source"] = 5 * F.l1_loss(window.reconstructed, window.source_view)
            terms["both"] = 4 * F.l1_loss(torch.cat((images, window.reconstructed)), torch.cat((target, target)))
        return terms


def window(reconstructed: torch.Tensor | None = None) -> Window:
    images, zero = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)
    face, step = torch.zeros(2, 4), torch.zeros(2)
    return Window(images, zero, step, zero, zero, reconstructed, face, face, (torch.tensor(1.0),), step)


def test_a_term_is_as_long_as_so_much_l1():
    pulls = balance.pulls_of(Phase(), window())
    assert {name: (pull["length"], pull["cosine"]) for name, pull in pulls.items()} == {
        "l1": pytest.approx((20, 1)),
        "away": pytest.approx((3, -1)),
        "across": pytest.approx((1, 0), abs=1e-6),
    }
    assert pulls["l1"]["value"] == pytest.approx(10)


def test_terms_of_the_redrawn_source_are_held_against_its_own_l1():
    pulls = balance.pulls_of(Phase(), window(torch.full((2, 3, 4, 4), -0.25)))
    assert (pulls["l1_source"]["length"], pulls["l1_source"]["cosine"]) == pytest.approx((5, 1))
    # half of each image's mean: of weight 2 on the target, which is what it is held against, and as much on the source
    assert (pulls["both"]["length"], pulls["both"]["cosine"]) == pytest.approx((8**0.5, 0.5**0.5))


@pytest.mark.parametrize("system", ["dptn", "nted"])
def test_a_run_is_measured_with_other_weights(system, dataset, tmp_path, command, monkeypatch, capsys):
    config = tiny_config(system, dataset, "objective.l1=20")
    save_checkpoint(tmp_path / "run" / "checkpoints", Engine(config, ALONE).state(), keep=1)
    (tmp_path / "run" / "config.yaml").write_text(dump_config(config))
    found = {}
    for weight in (1, 3):
        monkeypatch.setattr(sys, "argv", ["balance", "--model", str(tmp_path / "run"), f"objective.face={weight}"])
        assert not balance.main()
        found[weight] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found[1]["l1"]["cosine"] == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="trained with another schedule; only its losses"):
        balance.measure(tmp_path / "run", ["schedule.num_steps=2", "rollout.window=1"], 2)
    assert found[1]["l1"]["length"] == pytest.approx(10 if system == "dptn" else 20, rel=1e-3)
    assert found[3]["face"]["length"] == pytest.approx(3 * found[1]["face"]["length"], rel=1e-3)
    assert found[1]["gan"]["length"] > 0 and "attention" not in found[1]


def test_a_run_without_a_checkpoint_is_refused(dataset, tmp_path):
    (tmp_path / "config.yaml").write_text(dump_config(tiny_config("nted", dataset)))
    with pytest.raises(ValueError, match=r"no checkpoint in .*checkpoints; train the run first"):
        balance.measure(tmp_path, [], 4)


def test_no_pairs_are_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["balance", "--model", "nobody", "--count", "0"])
    with pytest.raises(ValueError, match="--count is 0; it must be 1 or more"):
        balance.main()
