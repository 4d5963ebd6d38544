"""What follows a step comes in an order that a run killed in between survives."""

from __future__ import annotations

import pytest

from tests.trainers.test_trainer import ALONE, tiny
from trainers import saving, trainer
from trainers.log import RunLog
from trainers.saving import best_value, save_checkpoint
from trainers.trainer import Trainer
from trainers.validation import Validation


def test_losses_are_logged_before_the_checkpoint_and_what_may_fail_comes_after(dataset, tmp_path, monkeypatch):
    done = []

    def note(owner, name: str, label: str, result=None):
        monkeypatch.setattr(owner, name, lambda *arguments, **options: done.append(label) or result)

    note(RunLog, "scalars", "log")
    note(saving, "save_checkpoint", "checkpoint")
    note(Validation, "scores", "validation", {"eval_ssim": 0.5})
    note(saving, "save_best", "best")
    note(Validation, "picture", "picture")
    note(RunLog, "image", "picture written")
    keys = ["trainer.max_steps=4", "trainer.log_every=2", "trainer.checkpoint_every=3", "trainer.eval_every=2"]
    Trainer(tiny("unet", dataset, *keys, "trainer.sample_every=4"), tmp_path / "run", ALONE).train()
    validation = ["validation", "best", "log"]
    assert done == [
        *["log", *validation],  # step 2
        "checkpoint",  # step 3
        *["log", "checkpoint", *validation, "picture", "picture written"],  # step 4, the last
    ]


@pytest.mark.parametrize(("metric", "values", "kept"), [("ssim", [0.5, 0.75, 0.25], 0.75), ("l1", [5, 3, 4], 3)])
def test_the_best_is_the_highest_or_for_l1_the_lowest(metric, values, kept, dataset, tmp_path, monkeypatch):
    scores = iter(values)
    monkeypatch.setattr(Validation, "scores", lambda *arguments: {f"eval_{metric}": next(scores)})
    keys = ["trainer.max_steps=3", "trainer.eval_every=1", f"trainer.best_metric={metric}"]
    Trainer(tiny("unet", dataset, *keys), tmp_path / "run", ALONE).train()
    assert best_value(tmp_path / "run" / "checkpoints", metric) == kept


def test_the_newest_checkpoints_are_kept(tmp_path):
    for step in (1, 2, 10, 11):
        save_checkpoint(tmp_path, {"step": step}, keep=2)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["step_00000010.pt", "step_00000011.pt"]
    assert (tmp_path / "latest").read_text() == "step_00000011.pt\n"


def test_a_run_of_epochs_sees_every_line_as_often(dataset, tmp_path):
    """9 lines twice, 4 a step: the fifth step begins a third pass."""
    keys = ["trainer.max_steps=null", "trainer.epochs=2", "trainer.batch_size=4"]
    assert Trainer(tiny("unet", dataset, *keys), tmp_path / "run", ALONE).total_steps == 5
    assert trainer.MOST_IN_A_ROW == 20
