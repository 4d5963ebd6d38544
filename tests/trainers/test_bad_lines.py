"""data.on_error: a pair that cannot be read stops a run, or is skipped and counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
import torch

import train
from data.options import DataConfig
from tests.fake_gpu import GPU, fake_gpu
from tests.tiny import SIZE, overrides, pair_dataset
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers import saving
from trainers.bad_lines import BadLines
from trainers.distributed import World
from trainers.trainer import Trainer, training_pairs

EPOCH = ["trainer.batch_size=3", "trainer.max_steps=3"]  # of nine pairs


@pytest.fixture(scope="module")
def damaged(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small dataset with two bad images: one to train, not of those looked at at the start, and one to test."""
    root = tmp_path_factory.mktemp("damaged")
    shutil.copytree(dataset, root, dirs_exist_ok=True)
    keys = [pair_dataset(root, "train", SIZE, "joints").table.name(7), second_test_target(root)]
    with lmdb.open(str(root / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        for key in keys:
            transaction.put(key.encode(), b"no image")
    return root


def second_test_target(root: Path) -> str:
    """The target of the second test pair."""
    return pair_dataset(root, "test", SIZE, "joints").names(1)[1]


@pytest.fixture
def training(command: Callable[..., int], damaged: Path, tmp_path: Path) -> Callable[..., int]:
    def call(*more: str) -> int:
        flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
        keys = overrides("dptn", damaged, "schedule.num_steps=2", "rollout.window=2", *EPOCH, *more)
        return command(train.main, *flags, *keys)

    return call


def unreadable(root: Path) -> list[int]:
    """The lines that the first epoch cannot read."""
    data, found = training_pairs(tiny("dptn", root)), []
    for line in range(len(data)):
        try:
            data[line]
        except ValueError:
            found.append(line)
    return found


def test_a_bad_image_stops_a_run_by_default(training, capsys):
    assert training() == 2
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_pairs_are_skipped_and_counted_when_asked_for(workers, training, damaged, tmp_path):
    assert training("data.on_error=skip", f"data.num_workers={workers}") == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3]
    assert sum(line["bad_pairs"] for line in log) == len(unreadable(damaged)) > 0


def test_what_stands_for_a_bad_pair_is_the_same_after_a_resume(damaged, tmp_path):
    keys, ends, logs = [*EPOCH, "data.on_error=skip"], [], []
    for name, stops in (("through", [3]), ("halves", [1, 3])):
        for stop in stops:
            trainer = Trainer(tiny("dptn", damaged, *keys, f"trainer.max_steps={stop}"), tmp_path / name, ALONE)
            trainer.train()
        ends.append(trainer.engine.state() | {"config": ""})
        logs.append((tmp_path / name / "log.jsonl").read_text())
    assert same(*ends) and logs[0] == logs[1]


def test_whole_data_train_the_same_whether_bad_pairs_would_be_skipped_or_not(dataset, tmp_path):
    ends = []
    for choice in ("stop", "skip"):
        trainer = Trainer(tiny("dptn", dataset, f"data.on_error={choice}"), tmp_path / choice, ALONE)
        trainer.train()
        ends.append(trainer.engine.state() | {"config": ""})
    assert same(*ends)
    logs = [(tmp_path / choice / "log.jsonl").read_text() for choice in ("stop", "skip")]
    assert logs[0] == logs[1].replace(', "bad_pairs": 0.0', "")


def test_the_count_lies_where_the_losses_do_that_it_is_logged_with():
    counted = BadLines(DataConfig(on_error="skip"))
    counted.note([{"replaces": torch.tensor([-1, 5, 3])}, {"replaces": torch.tensor([5])}])
    with fake_gpu():
        terms = counted.terms(World(0, 2, GPU))
    assert terms["bad_pairs"].device == GPU
    # of two processes' mean, 3 skipped here count whole
    counted.note([{"replaces": torch.tensor([5, 5, 5])}])
    assert counted.terms(World(0, 2, torch.device("cpu")))["bad_pairs"] == 6


def test_too_many_bad_lines_save_and_stop(training, damaged, tmp_path, capsys):
    assert len(unreadable(damaged)) >= 2
    assert training("data.on_error=skip", "data.max_bad_lines=1") == 2
    assert "2 lines of the training pairs cannot be read, more than data.max_bad_lines (1)" in capsys.readouterr().err
    saved = saving.newest_whole(tmp_path / "run" / "checkpoints", set_aside=False)
    assert saved is None or saved["step"] == len((tmp_path / "run" / "log.jsonl").read_text().splitlines())


def test_a_bad_test_pair_does_not_end_a_run_that_skips(training, damaged, caplog):
    assert training("data.on_error=skip", "trainer.eval_every=1") == 0
    assert "skipped: line 2 of the test pairs: " in caplog.text and second_test_target(damaged) in caplog.text
