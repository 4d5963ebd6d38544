"""What a run says of its step head."""

from __future__ import annotations

import json

import pytest

from config.load import dump_config
from tests.trainers.test_trainer import ALONE, tiny
from trainers import step_head
from trainers.report import notes
from trainers.trainer import Trainer

WASSERSTEIN = ["objective.gan_mode=wasserstein", "objective.gradient_penalty=10"]


def lines(*accuracies: float | None) -> dict[int, dict[str, float | None]]:
    """A log of steps 100, 200 ..."""
    return {100 * number: {"step_accuracy_real": value} for number, value in enumerate(accuracies, 1)}


def test_the_recent_accuracy_is_that_of_the_second_half():
    assert step_head.recent_accuracy(lines(0.2, 0.2, 0.5, 0.75), 400) == 0.625
    assert step_head.recent_accuracy(lines(0.2, 0.2, 0.5, None), 400) == 0.5
    assert step_head.recent_accuracy({9: {"l1": 1}}, 9) is None


@pytest.mark.parametrize(("accuracy", "said"), [(0.2, True), (0.27, True), (0.29, False), (0.9, False)])
def test_a_head_within_a_tenth_of_guessing_is_at_chance(accuracy, said):
    """Of five steps: guessing is 0.2, and a tenth of the way from there to 1 is 0.28."""
    found = step_head.remark(lines(*[accuracy] * 10), 1000, 5)
    assert (found is not None) == said
    assert found is None or f"right on {accuracy:.0%} of real images, and guessing is right on 20%" in found


def test_nothing_is_said_before_a_thousand_steps():
    assert step_head.remark(lines(*[0.2] * 9), 900, 5) is None


@pytest.mark.parametrize(("part", "is_said"), [("head", True), ("none", False), ("projection", False)])
def test_a_training_says_once_that_its_head_is_at_chance(part, is_said, dataset, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(step_head, "JUDGED_AFTER", 2)
    monkeypatch.setattr(step_head, "is_at_chance", lambda accuracy, num_steps: True)
    more = [f"discriminator.step={part}", "trainer.max_steps=3", "trainer.eval_every=2", "objective.r1_gamma=1"]
    Trainer(tiny("dptn", dataset, *more), tmp_path / "run", ALONE).train()
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(("step_accuracy_real" in line) == is_said for line in logged if "d_real" in line)
    assert any("eval_step_accuracy_real" in line for line in logged) == is_said
    assert [record.message.split(":")[0] for record in caplog.records if "step head" in record.message] == [
        f"the step head is at chance after {step} steps" for step in (2, 3) if is_said
    ]


def test_the_page_of_a_run_says_that_its_head_is_at_chance(dataset, tmp_path):
    for part, accuracy, is_said in (("head", 0.5, True), ("head", 0.9, False), ("none", 0.5, False)):
        log, config = lines(*[accuracy] * 10), tiny("dptn", dataset, f"discriminator.step={part}")
        (tmp_path / "config.yaml").write_text(dump_config(config))
        assert [note.split(":")[0] for note in notes(tmp_path, log)] == [
            "the step head is at chance after 1000 steps"
        ] * is_said


@pytest.mark.parametrize("system", ["nted", "dptn", "unet"])
@pytest.mark.parametrize("penalty", [["objective.r1_gamma=1"], WASSERSTEIN], ids=["r1", "wasserstein"])
def test_every_told_discriminator_trains_with_either_penalty(system, penalty, dataset, tmp_path):
    trainer = Trainer(tiny(system, dataset, "discriminator.step=projection", *penalty), tmp_path / "run", ALONE)
    vectors = trainer.engine.networks["discriminator"].step_projection.vectors.weight
    before = vectors.detach().clone()
    trainer.train()
    assert (before != vectors).any(dim=1).sum() > 1
