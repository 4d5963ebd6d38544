"""The benchmark of a training step, as a command."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import train_step
from tests.tiny import overrides

TINY = overrides("nted", "none", "schedule.num_steps=4", "rollout.window=1", "objective.r1_gamma=1")


def report(monkeypatch, capsys, *flags: str) -> dict:
    command = ["train_step", "--config=config/nted_256.yaml", "--steps=2", "--batch_size=2", *flags, *TINY]
    monkeypatch.setattr(sys, "argv", command)
    train_step.main()
    said = capsys.readouterr().out
    assert said.splitlines()[3].startswith("| | format |")
    return json.loads(said.splitlines()[-1])


def test_two_revisions_take_steps_by_turns(monkeypatch, capsys):
    found = report(monkeypatch, capsys, "--against", "HEAD")
    this, other = found["this"], found["HEAD"]
    assert this["batch"] == other["batch"] == 2
    assert this["image_size"] == [64, 48]
    assert this["tflop"] > 0
    assert this["peak_gib"] > 0
    for clock in ("seconds", "cpu_seconds"):
        middle, least, most = found["ratios"]["HEAD"][clock]
        assert 0 < least <= middle <= most


def test_two_processes_against_one(monkeypatch, capsys):
    found = report(monkeypatch, capsys, "--processes", "2")
    assert found["2 processes"]["batch"] == 2 * found["this"]["batch"] == 4
    assert found["this"]["threads"] == found["2 processes"]["threads"] == 1


def test_a_revision_that_is_not_there_is_one_line(monkeypatch, capsys):
    with pytest.raises(ValueError, match=r"--against no_such_revision: .*; give a commit, tag or branch$"):
        report(monkeypatch, capsys, "--against", "no_such_revision")


def test_options_that_a_revision_does_not_take_are_one_line(monkeypatch, capsys):
    with pytest.raises(ValueError, match="this could not take a step"):
        report(monkeypatch, capsys, "trainer.no_such_key=1")
