"""Training on several sources of a person."""

from __future__ import annotations

import json

import pytest
import torch

from tests.trainers.test_trainer import ALONE, tiny
from trainers.trainer import Trainer

SYSTEMS = ("nted", "dptn")


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("system", SYSTEMS)
def test_both_systems_train_on_several_sources_and_resume(system, steps, dataset, tmp_path):
    more = ["trainer.eval_every=1", "trainer.sample_every=1", f"schedule.num_steps={steps}", "rollout.window=null"]
    config = tiny(system, dataset, "data.num_sources=2", *more)
    trainer = Trainer(config, tmp_path / "run", ALONE)
    shapes = []
    trainer.engine.networks["generator"].register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    trainer.train()
    assert shapes and all(shape[1:3] == (2, 3) for shape in shapes)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(torch.isfinite(torch.tensor(list(line.values()))).all() for line in lines)
    assert {"nted": "attention", "dptn": "l1_source"}[system] in lines[0]
    assert Trainer(config, tmp_path / "run", ALONE).engine.step == 2
    with pytest.raises(ValueError, match=r"data\.num_sources: 2 there, 1 here"):
        Trainer(tiny(system, dataset, *more), tmp_path / "run", ALONE)


@pytest.mark.parametrize("system", SYSTEMS)
def test_accumulated_micro_batches_see_the_sources_of_the_whole_batch(system, dataset, tmp_path):
    more = ["data.num_sources=2", "trainer.batch_size=4", "trainer.max_steps=1"]
    logs = []
    for most in (4, 1):
        run = tmp_path / str(most)
        Trainer(tiny(system, dataset, *more, f"trainer.max_batch_per_process={most}"), run, ALONE).train()
        logs.append(json.loads((run / "log.jsonl").read_text().splitlines()[0]))
    # the discriminator compares the samples of a batch, so that its terms are of micro-batches
    image_terms = [name for name in logs[0] if not name.startswith(("d_", "gan", "step", "r1", "lr", "seconds"))]
    assert len(image_terms) >= 4
    assert {name: logs[0][name] for name in image_terms} == pytest.approx(
        {name: logs[1][name] for name in image_terms}, rel=1e-3
    )
