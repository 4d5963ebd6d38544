"""trainer.trackers: what TensorBoard and Weights & Biases are told."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record

import train
from tests.tiny import overrides

BLOCK, WHOLE, LAST = 32768, 1, 4


@pytest.fixture
def training(command: Callable[..., int], dataset: Path, tmp_path: Path, monkeypatch) -> Callable[..., int]:
    monkeypatch.setenv("WANDB_MODE", "offline")

    def call(trackers: str, *more: str) -> int:
        flags = ["--config=config/unet_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
        return command(train.main, *flags, *overrides("unet", dataset, f"trainer.trackers={trackers}", *more))

    return call


def records(file: Path) -> Iterator[Record]:
    """What an offline run's file holds: a log of records in blocks, each part with a checksum, a length and a kind."""
    data, position, record = file.read_bytes(), 7, b""
    while position + 7 <= len(data):
        if (rest := BLOCK - position % BLOCK) < 7:
            position += rest
            continue
        length, kind = struct.unpack_from("<HB", data, position + 4)
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (WHOLE, LAST):
            yield Record.FromString(record)
            record = b""


def files(folder: Path) -> list[Path]:
    """Those of each start, oldest first."""
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def history(folder: Path) -> list[dict]:
    """What wandb was told, line by line."""
    found = [record.history.item for file in files(folder) for record in records(file) if record.HasField("history")]
    return [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items} for items in found]


def test_wandb_is_told_what_is_logged_and_a_resumed_run_goes_on_in_the_same_one(training, tmp_path):
    assert training("[wandb]", "trainer.max_steps=2") == 0
    assert training("[wandb]", "trainer.max_steps=3") == 0
    folder = tmp_path / "run"
    identity = (folder / "wandb_id").read_text().strip()
    assert [file.stem for file in files(folder)] == [f"run-{identity}"] * 2
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    told = [row for row in history(folder) if "l1" in row]
    assert [row["step"] for row in told] == [1, 2, 3]
    for row, line in zip(told, log, strict=True):
        assert {name: row[name] for name in line if name != "nimg"} == {n: v for n, v in line.items() if n != "nimg"}
    assert [row["step"] for row in history(folder) if "steps" in row or "steps._type" in row] == [2, 3]
    assert not (folder / "tensorboard").exists()
    assert training("[wandb]", "trainer.max_steps=1", "--no_resume") == 0
    assert (folder / "wandb_id").read_text().strip() != identity


def test_tensorboard_alone_is_told_by_default_and_none_if_asked_for(training, tmp_path):
    assert training("[]") == 0
    assert not (tmp_path / "run" / "tensorboard").exists() and (tmp_path / "run" / "log.jsonl").exists()
    assert training("[tensorboard]", "--no_resume") == 0
    assert list((tmp_path / "run" / "tensorboard").iterdir()) and not (tmp_path / "run" / "wandb").exists()


def test_a_tracker_that_is_not_installed_is_one_line_at_the_start(training, tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else find(name))
    assert training("[tensorboard, wandb]") == 2
    assert "trainer.trackers: wandb is not installed; pip install wandb" in capsys.readouterr().err
    assert not (tmp_path / "run" / "log.jsonl").exists()
