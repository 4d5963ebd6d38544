"""The command that draws synthetic people."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from scripts import make_synthetic


@pytest.fixture
def call(command: Callable[..., int]) -> Callable[..., int]:
    """Draw two small people; returns the exit code."""
    return partial(command, make_synthetic.main, "--people", 2, "--views", 2, "--size", "64-44", "--workers", 1)


def test_a_folder_is_written_and_not_overwritten_unasked(
    tmp_path: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "synthetic"
    assert call("--output", out) == 0
    assert len(list(out.rglob("*.jpg"))) == 4 and (out / "train_pairs.txt").is_file()
    capsys.readouterr()
    assert call("--output", out) == 2
    message = capsys.readouterr().err
    assert "already holds files" in message and "--overwrite" in message and message.count("\n") == 1
    assert call("--output", out, "--overwrite", "--people", 1) == 0
    assert len(list(out.rglob("*.jpg"))) == 2


def test_files_of_someone_else_are_never_replaced(
    tmp_path: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "img" / "photo.jpg"
    precious.parent.mkdir()
    precious.write_bytes(b"precious")
    assert call("--output", tmp_path, "--overwrite") == 2
    assert "not made here" in capsys.readouterr().err
    assert precious.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("option", "value"), [("--people", 0), ("--views", 0), ("--views", 51), ("--seed", -1), ("--workers", 0)]
)
def test_a_value_out_of_range_is_one_clear_line(
    option: str, value: int, tmp_path: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--output", tmp_path / "new", option, value) == 2
    message = capsys.readouterr().err
    assert option in message and str(value) in message and message.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_size_out_of_range_is_one_clear_line(
    tmp_path: Path, call: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--output", tmp_path / "new", "--size", "8-8") == 2
    assert "--size 8 is outside of 32 to 4096" in capsys.readouterr().err
