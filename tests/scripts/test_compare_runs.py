"""compare_runs names the first step and term that differ."""

from __future__ import annotations

import json
import sys

import pytest

from scripts import compare_runs


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def logs(tmp_path):
    one = [{"step": 1, "gan": 0.5, "l1": 1.0}, {"step": 2, "gan": 0.25, "l1": None}, {"step": 3, "gan": 1.0, "l1": 1.0}]
    two = [one[0], one[1], {"step": 3, "gan": 1.0, "l1": 1.00001}, {"step": 4, "gan": 1.0, "l1": 1.0}]
    return write(tmp_path / "one.jsonl", one), write(tmp_path / "two.jsonl", two)


def call(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["compare_runs", *words])
    return compare_runs.main(), capsys.readouterr().out


def test_the_first_difference_is_named(monkeypatch, capsys, logs):
    assert call(monkeypatch, capsys, *logs) == (1, "step 3: l1 1.0 and 1.00001\n")


def test_a_tolerance_lets_it_pass(monkeypatch, capsys, logs):
    code, text = call(monkeypatch, capsys, *logs, "--tolerance", "1e-4")
    assert code == 0
    assert text == "equal in all 3 common log steps; 1 steps are in one log only\n"


def test_a_missing_log_is_one_line(monkeypatch, capsys, tmp_path):
    with pytest.raises(ValueError, match="does not exist; name a run folder"):
        call(monkeypatch, capsys, str(tmp_path), str(tmp_path))
