"""What every command does with its flags, its environment and too little memory, tried on commands as they are."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import inference
import train
from config.cli import EXIT_BAD_INPUT, Parser, image_size, run
from tests.tiny import overrides

ROOT = Path(__file__).parents[2]
PUBLISHED = {"--config", "--name", "--checkpoints_dir", "--output_dir"}
# the commands of a run, whose flags are the published ones
OF_RUNS = {"train", "inference", "eval_step", "import_checkpoint", "train_step", "shapes", "several"}
COMMANDS = [path for place in ("", "scripts", "benchmarks") for path in sorted((ROOT / place).glob("*.py"))]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_share_one_way_to_parse(path):
    text = path.read_text()
    # flags cannot stand anywhere where there are commands within a command
    assert "argparse.ArgumentParser(" not in text or "add_subparsers(" in text, "use config.cli.Parser"
    assert '"--which_iter"' not in text, "use config.cli.add_which_iter"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_have_one_word_for_a_thing(path):
    """Output, data root, size, workers and batch size; `--model` where the flags of a run are not published."""
    flags, used = (set(re.findall(found + r'"(--\w+)"', path.read_text())) for found in (r"add_argument\(\s*", ""))
    others = {"--out", "--sheet", "--n_worker", "--sizes", "--data_root", "--data", "--work", "--batch"}
    assert not used & others, "its own flags, or those that it gives to other commands"
    assert not flags & (set() if path.stem in OF_RUNS else PUBLISHED)


def test_an_old_word_is_refused_with_the_new_one_and_a_flag_of_the_command_is_not(capsys):
    parser = Parser()
    parser.add_argument("--workers", type=int)
    parser.add_argument("--name")
    assert parser.parse_args(["--workers", "2", "--name", "a"]).workers == 2
    for words in (["--n_worker", "2"], ["--n_worker=2"]):
        with pytest.raises(SystemExit) as ending:
            parser.parse_args(words)
        assert ending.value.code == 2
        assert capsys.readouterr().err.strip().endswith("error: --n_worker is called --workers now")
    with pytest.raises(SystemExit):
        parser.parse_args(["--sizes", "64-48"])  # this command never had either
    assert "error: there is no flag --sizes; see --help" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--worker", "--work=2", "--wrokers"])
def test_a_flag_that_is_cut_short_or_misspelt_is_refused_with_the_nearest(word, capsys):
    parser = Parser()
    parser.add_argument("--workers", type=int)
    with pytest.raises(SystemExit):
        parser.parse_args([word, "2"])
    assert f"there is no flag {word.split('=')[0]}; did you mean --workers?" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("256-176", (256, 176)), ("1-4096", (1, 4096))])
def test_a_size_is_height_and_width(text, size):
    assert image_size(text) == size


@pytest.mark.parametrize("text", ["256", "256x176", "0-1", "4097-1", "-1-2", "a-b", "1-2-3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not H-W, e\.g\. 256-176"):
        image_size(text)


def test_overrides_may_stand_between_flags():
    parser = Parser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("overrides", nargs="*")
    parsed = parser.parse_args(["a=1", "--config", "C", "b=2", "--debug", "c=3"])
    assert (parsed.config, parsed.debug, parsed.overrides) == ("C", True, ["a=1", "b=2", "c=3"])
    assert parser.parse_args(["--config", "C"]).overrides == []


def test_the_commands_take_flags_and_overrides_in_any_order(dataset, tmp_path, command):
    """Training, and then drawing, with the flags of the published commands."""
    keys = overrides("dptn", dataset, "schedule.num_steps=2", "rollout.window=1", "trainer.max_steps=1")
    name, folder = ("--name", "run"), ("--checkpoints_dir", tmp_path)
    assert command(train.main, "seed=1", "--config", "config/dptn_256.yaml", *keys[:3], *name, *keys[3:], *folder) == 0
    assert "seed: 1" in (tmp_path / "run" / "config.yaml").read_text()
    config, more = ("--config", tmp_path / "run" / "config.yaml"), ("--no_resume", "--max_pairs", 1)
    for which, code in (("latest", 0), ("1", 0), ("7", 2)):
        words = [*config, "data.num_workers=0", *name, *folder, "--which_iter", which, *more]
        assert command(inference.main, *words, "--output_dir", tmp_path / "out") == code
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--which_iter", "newest"), ("--which_iter", "-1"), ("--name", ""), ("--name", ".."), ("--name", "/tmp"),
     ("--name", "a/../.."), ("--compile", "fastest")],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused(flag, value, tmp_path, command, capsys):
    words = ["--config", "config/dptn_256.yaml", "--name=run", "--output_dir", tmp_path / "out", f"{flag}={value}"]
    with pytest.raises(SystemExit) as ending:
        command(inference.main, *words)
    assert ending.value.code == 2
    assert flag in capsys.readouterr().err.strip().splitlines()[-1]


def cannot_allocate() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def cuda_is_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 79 GiB")


def no_array() -> None:
    np.empty(1 << 60, np.uint8)


@pytest.mark.parametrize(
    ("fill", "amount"),
    [(cannot_allocate, f"{1 << 60} bytes"), (cuda_is_full, "20.00 GiB"), (no_array, "1.00 EiB")],
)
def test_too_little_memory_is_one_line_that_says_what_to_lower(fill, amount, capsys):
    assert run(fill, "lower --batch_size") == EXIT_BAD_INPUT
    assert capsys.readouterr().err == f"error: out of memory: {amount} more cannot be had; lower --batch_size\n"


def test_any_other_error_of_pytorch_keeps_its_trace():
    with pytest.raises(RuntimeError, match="must match the size"):
        run(lambda: torch.ones(2) + torch.ones(3))


FULL = """
import runpy, sys, torch
from models import dptn
def full(*_, **__):
    torch.empty(1 << 60, dtype=torch.uint8)
dptn.DPTN.forward = full
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_training_and_drawing_name_the_option_that_needs_less_memory(dataset, tmp_path, command):
    (tmp_path / "full.py").write_text(FULL)
    keys = overrides("dptn", dataset, "schedule.num_steps=2", "rollout.window=1", "trainer.max_steps=1")
    flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}", *keys]
    assert command(train.main, *flags) == 0
    for words, option in (
        (["train.py", "trainer.max_steps=2"], "trainer.max_batch_per_process"),
        (["inference.py", f"--output_dir={tmp_path / 'out'}"], "--batch_size"),
    ):
        done = subprocess.run(
            [sys.executable, str(tmp_path / "full.py"), words[0], *flags, *words[1:]],
            env={"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True,
        )  # fmt: skip
        errors = [line for line in done.stderr.splitlines() if "error: out of memory" in line]
        assert done.returncode == 2 and len(errors) == 1 and option in errors[0], done.stderr[-2000:]
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("WORLD_SIZE", ""), ("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("RANK", "-1"), ("RANK", "1"),
                        ("LOCAL_RANK", "0.5")]
)  # fmt: skip
def test_a_malformed_environment_is_one_line(name, value, tmp_path, command, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    words = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
    assert command(train.main, *words) == EXIT_BAD_INPUT
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {name} is ") and "in the environment" in line
