"""Resuming notices other data, and another metric for the best."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import train
from data.fingerprint import fingerprint
from scripts import prepare_data
from tests.tiny import SIZE, overrides, pair_dataset
from trainers import saving
from trainers.checkpoints import FORMAT, find_checkpoint, load_checkpoint


@pytest.fixture
def trains(command, tmp_path):
    """Train, or continue, the run `run` on the data in a folder until a step; returns the exit code."""

    def call(root: Path, max_steps: int, *more: str) -> int:
        flags = ["--config", "config/dptn_256.yaml", "--name", "run", "--checkpoints_dir", tmp_path / "result"]
        keys = ["schedule.num_steps=2", "rollout.window=1", f"trainer.max_steps={max_steps}", *more]
        return command(train.main, *flags, *overrides("dptn", root, *keys))

    return call


def other_pairs(root: Path) -> None:
    """The same lines, in another order: epochs would visit others."""
    path = root / "train_pairs.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


def other_images(root: Path) -> None:
    for path in root.glob("img/**/*.jpg"):
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))


def other_keypoints(root: Path) -> None:
    for path in root.glob("pose/**/*.txt"):
        np.savetxt(path, np.loadtxt(path) * 0.9, fmt="%.1f")


def copied(dataset: Path, root: Path, change, command, *more: object) -> Path:
    """A copy of the data, changed, with a store built anew."""
    shutil.copytree(dataset, root)
    change(root)
    flags = ["--root", root, "--output", root, "--size", f"{SIZE[0]}-{SIZE[1]}", "--workers", 1, "--overwrite"]
    assert command(prepare_data.main, *flags, *more) == 0
    return root


@pytest.mark.parametrize(
    ("change", "part"), [(other_pairs, "pairs"), (other_images, "images"), (other_keypoints, "keypoints")]
)
def test_other_data_are_refused_in_one_line(change, part, trains, command, dataset, tmp_path, capsys):
    other = copied(dataset, tmp_path / "other", change, command)
    assert trains(dataset, 1) == 0
    capsys.readouterr()
    assert trains(other, 2) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"was trained on other data ({dataset}): the {part} in {other} differ" in line
    assert load_checkpoint(find_checkpoint(tmp_path / "result/run/checkpoints"))["step"] == 1


def test_moved_data_continue_with_a_line_also_in_another_format(trains, command, dataset, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    moved = copied(dataset, tmp_path / "moved", lambda _: None, command, "--format", "png")
    assert (moved / "64-48").is_dir() and trains(dataset, 1) == 0
    assert "data moved" not in caplog.text
    assert trains(moved, 2) == 0
    assert f"data moved from {dataset} to {moved}: the same" in caplog.text


def test_a_checkpoint_from_before_the_comparison_continues(trains, dataset, tmp_path):
    assert trains(dataset, 1) == 0
    path = find_checkpoint(tmp_path / "result/run/checkpoints")
    torch.save({name: value for name, value in load_checkpoint(path).items() if name != "data"}, path)
    assert trains(dataset, 2) == 0
    assert load_checkpoint(find_checkpoint(path.parent))["data"].keys() == {"pairs", "images", "keypoints"}


def test_a_fingerprint_is_the_same_every_time_and_sees_an_augmented_dataset_as_it_is(dataset):
    first, second = (pair_dataset(dataset, "train", SIZE, "skeleton", augment_scale=scale) for scale in (1.0, 1.3))
    assert fingerprint(first) == fingerprint(second)


def test_another_best_metric_begins_the_best_anew_and_says_so(trains, dataset, tmp_path, caplog):
    more = ["trainer.eval_every=1", "trainer.eval_pairs=2"]
    best, checkpoint = (tmp_path / "result/run/checkpoints" / name for name in ("best", "best.pt"))
    assert trains(dataset, 1, *more) == 0
    metric, value = best.read_text().split()
    assert metric == "ssim" and -1 <= float(value) <= 1
    assert trains(dataset, 2, *more, "trainer.best_metric=psnr") == 0
    assert caplog.text.count("is the best by ssim, trainer.best_metric is psnr now: the best begins anew") == 1
    metric, value = best.read_text().split()
    assert metric == "psnr" and float(value) > 1
    assert load_checkpoint(checkpoint)["step"] == 2


@pytest.mark.parametrize(
    ("text", "metric", "value", "says"),
    [
        ("0.5", "l1", 0.5, ""),  # from before, whose metric its checkpoint tells
        ("0.5", "ssim", None, "is the best by l1, trainer.best_metric is ssim now"),
        ("ssim 0.25", "ssim", 0.25, ""),
        ("ssim half", "ssim", None, "cannot be read"),
        ("", "ssim", None, "cannot be read"),
    ],
)
def test_the_best_value_knows_its_metric(text, metric, value, says, tmp_path, caplog):
    torch.save({"format": FORMAT, "config": "trainer: {best_metric: l1}"}, tmp_path / "best.pt")
    (tmp_path / "best").write_text(text + "\n")
    assert saving.best_value(tmp_path, metric) == value
    assert says in caplog.text and bool(caplog.text) == bool(says)
