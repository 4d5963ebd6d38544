"""compare_runs names the first step and term that differ."""

from __future__ import annotations

import json

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


def test_the_first_difference_is_named(command, capsys, logs):
    assert command(compare_runs.main, *logs) == 1
    assert capsys.readouterr().out == "step 3: l1 1.0 and 1.00001\n"


def test_a_tolerance_lets_it_pass(command, capsys, logs):
    assert command(compare_runs.main, *logs, "--tolerance", "1e-4") == 0
    assert capsys.readouterr().out == "equal in all 3 common log steps; 1 steps are in one log only\n"


def test_a_missing_log_is_one_line(command, capsys, tmp_path):
    assert command(compare_runs.main, tmp_path, tmp_path) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "does not exist; name a run folder" in line
