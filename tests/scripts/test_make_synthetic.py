"""The command that draws synthetic people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.cli import run
from scripts import make_synthetic


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    tiny = ("--people", 2, "--views", 2, "--size", 64, 44, "--workers", 1)
    monkeypatch.setattr(sys, "argv", ["make_synthetic", *map(str, tiny), *map(str, arguments)])
    return run(make_synthetic.main)


def test_a_folder_is_written_and_not_overwritten_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "synthetic"
    assert call(monkeypatch, "--out", out) == 0
    assert len(list(out.rglob("*.jpg"))) == 4 and (out / "train_pairs.txt").is_file()
    capsys.readouterr()
    assert call(monkeypatch, "--out", out) == 2
    message = capsys.readouterr().err
    assert "already holds files" in message and "--overwrite" in message and message.count("\n") == 1
    assert call(monkeypatch, "--out", out, "--overwrite", "--people", 1) == 0
    assert len(list(out.rglob("*.jpg"))) == 2


def test_files_of_someone_else_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "img" / "photo.jpg"
    precious.parent.mkdir()
    precious.write_bytes(b"precious")
    assert call(monkeypatch, "--out", tmp_path, "--overwrite") == 2
    assert "not made here" in capsys.readouterr().err
    assert precious.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("option", "value"), [("--people", 0), ("--views", 0), ("--views", 51), ("--seed", -1), ("--workers", 0)]
)
def test_a_value_out_of_range_is_one_clear_line(
    option: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--out", tmp_path / "new", option, value) == 2
    message = capsys.readouterr().err
    assert option in message and str(value) in message and message.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_size_out_of_range_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--out", tmp_path / "new", "--size", 8, 8) == 2
    assert "--size 8 is outside of 32 to 4096" in capsys.readouterr().err
