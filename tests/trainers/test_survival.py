"""What a run survives: kills, signals, damaged files, full disks, losses that are not finite."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from data.fingerprint import NUM_IMAGES
from scripts.compare_runs import read_log
from tests.runs import TWO_PROCESSES, children, start_training
from tests.tiny import overrides
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers import saving
from trainers.checkpoints import find_checkpoint, list_checkpoints, load_checkpoint
from trainers.guard import MOST_IN_A_ROW, Diverged, Guard
from trainers.trainer import Trainer

ROUNDS = 25


def save_for_ever(folder: Path, first: int) -> None:
    for step in range(first, first + 10_000):
        state = {"step": step, "weights": torch.full((50_000,), float(step))}
        saving.save_checkpoint(folder, state, keep=2)


def test_a_kill_at_any_moment_leaves_a_whole_newest_checkpoint(tmp_path):
    """SIGKILL at random times while checkpoints are written without pause: the step never goes back."""
    random, fork, last = np.random.default_rng(0), multiprocessing.get_context("fork"), -1
    for _ in range(ROUNDS):
        process = fork.Process(target=save_for_ever, args=(tmp_path, last + 1))
        process.start()
        time.sleep(float(random.uniform(0.02, 0.12)))
        process.kill()
        process.join()
        state = saving.newest_whole(tmp_path, set_aside=False)
        if state is None:
            assert last == -1
            continue
        step = state["step"]
        assert step >= last
        assert torch.equal(state["weights"], torch.full((50_000,), float(step)))
        last = step
    assert last > 0


def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_used(dataset, tmp_path, caplog):
    config = tiny("dptn", dataset, "trainer.checkpoint_every=1")
    Trainer(config, tmp_path / "run", ALONE).train()
    newest = tmp_path / "run" / "checkpoints" / "step_00000002.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = Trainer(config, tmp_path / "run", ALONE)
    assert resumed.engine.step == 1
    assert "damaged or cut short" in caplog.text or "not a checkpoint" in caplog.text
    assert newest.with_suffix(".damaged").exists()


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    saving.save_checkpoint(tmp_path, {"step": 1}, keep=1)

    def full(state, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ValueError, match=r"No space left on device.*earlier checkpoints are untouched"):
        saving.save_checkpoint(tmp_path, {"step": 2}, keep=1)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_00000001.pt"]
    assert not list(tmp_path.glob("*.tmp"))


def test_an_interrupted_save_leaves_no_file_behind(tmp_path, monkeypatch):
    def interrupted(state, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saving.save_checkpoint(tmp_path, {"step": 1}, keep=3)
    assert not list(tmp_path.iterdir())


def test_another_config_under_the_same_name_is_refused_with_the_difference(dataset, tmp_path):
    Trainer(tiny("dptn", dataset), tmp_path / "run", ALONE).train()
    with pytest.raises(ValueError, match=r"objective\.l1: 2\.5 there, 9\.0 here"):
        Trainer(tiny("dptn", dataset, "objective.l1=9"), tmp_path / "run", ALONE)
    Trainer(tiny("dptn", dataset, "trainer.log_every=7", "trainer.max_steps=9"), tmp_path / "run", ALONE)


def test_a_run_records_what_it_was_made_with(dataset, tmp_path):
    Trainer(tiny("dptn", dataset), tmp_path / "run", ALONE).train()
    (line,) = (tmp_path / "run" / "environment.jsonl").read_text().splitlines()
    assert json.loads(line)["torch"] == torch.__version__
    assert json.loads(line)["from_step"] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_with_a_gradient_that_is_not_finite_is_left_out(bad):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer, guard = torch.optim.Adam([weight], lr=0.1, fused=True), Guard(torch.device("cpu"))
    weight.grad = torch.tensor([1.0, bad, 1.0])
    guard.step(optimizer, {})
    assert torch.equal(weight, torch.ones(3))
    weight.grad = torch.ones(3)
    guard.step(optimizer, {})
    torch.testing.assert_close(weight, torch.full((3,), 0.9))  # Adam's first step is the learning rate
    assert float(guard.skipped) == 1


def test_twenty_bad_steps_in_a_row_stop_the_run_naming_the_term():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer, guard = torch.optim.Adam([weight], fused=True), Guard(torch.device("cpu"))
    for step in range(MOST_IN_A_ROW):
        guard.check()
        weight.grad = torch.full((3,), float("nan"))
        guard.step(optimizer, {"style": torch.tensor(float("nan")), "l1": torch.tensor(float(step))})
    with pytest.raises(Diverged, match=r"20 optimizer steps in a row.*losses that are not: style\)"):
        guard.check()


def test_a_run_goes_on_after_a_bad_step_and_counts_it(dataset, tmp_path):
    trainer = Trainer(tiny("nted", dataset, "trainer.max_steps=3"), tmp_path / "run", ALONE)
    step, engine = trainer.engine.train_step, trainer.engine

    def poisoned(batches, epoch):
        if engine.step == 1:
            batches[0]["target_image"] = batches[0]["target_image"] * float("nan")
        return step(batches, epoch)

    trainer.engine.train_step = poisoned
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["skipped"] for line in lines] == [0, 2, 2]  # the generator's step and the discriminator's
    assert lines[1]["perceptual"] is None
    assert lines[2]["perceptual"] > 0
    assert all(torch.isfinite(p).all() for p in engine.networks["generator"].parameters())


def test_validation_scores_every_step_and_keeps_the_best(dataset, tmp_path):
    config = tiny("nted", dataset, "trainer.eval_every=1", "trainer.eval_pairs=3", "trainer.max_steps=3")
    Trainer(config, tmp_path / "run", ALONE).train()
    lines = list(read_log(tmp_path / "run").values())
    assert {f"eval_{m}_step_{k:02d}" for m in ("ssim", "psnr", "l1") for k in range(4)} < lines[0].keys()
    assert 0 <= lines[0]["eval_step_accuracy_real"] <= 1
    assert lines[0]["eval_ssim"] == lines[0]["eval_ssim_step_03"]
    best = max(range(3), key=lambda index: lines[index]["eval_ssim"])
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt")["step"] == best + 1


def test_a_dead_peer_ends_the_run_with_a_message(dataset, tmp_path):
    process = start_training(dataset, tmp_path, launcher=TWO_PROCESSES)
    ranks = children(process.pid)
    assert len(ranks) >= 2
    os.kill(ranks[-1], signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "another process was lost" in output or "SIGKILL" in output or "Signal 9" in output


@pytest.mark.long
def test_resume_with_another_number_of_processes_continues_the_same_data(dataset, tmp_path):
    """Two micro-batches in one process, or one in each of two, from the middle of an epoch on."""
    more = ["trainer.batch_size=4", "trainer.max_batch_per_process=2", "trainer.max_steps=3"]
    Trainer(tiny("nted", dataset, *more), tmp_path / "one", ALONE).train()
    Trainer(tiny("nted", dataset, *more[:2], "trainer.max_steps=1"), tmp_path / "two", ALONE).train()
    keys = overrides("nted", dataset, "schedule.num_steps=4", "rollout.window=2", *more)
    flags = ["train.py", "--config=config/nted_256.yaml", "--name=two", f"--checkpoints_dir={tmp_path}"]
    done = subprocess.run([*TWO_PROCESSES, *flags, *keys], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    command = [sys.executable, "-m", "scripts.compare_runs", str(tmp_path / "one"), str(tmp_path / "two")]
    compared = subprocess.run([*command, "--tolerance", "1e-3"], capture_output=True, text=True)
    assert compared.stdout.startswith("equal in all 3 common log steps"), compared.stdout


@pytest.mark.long
def test_two_processes_resume_bitwise(dataset, tmp_path):
    """Stopped in the middle of an epoch, with augmentation and random starts."""
    launcher = [*TWO_PROCESSES, "train.py"]
    for name, steps in (("through", 3), ("halves", 2), ("halves", 3)):
        flags = ["--config=config/nted_256.yaml", f"--name={name}", f"--checkpoints_dir={tmp_path}"]
        keys = overrides("nted", dataset, "schedule.num_steps=4", "rollout.window=2", f"trainer.max_steps={steps}")
        done = subprocess.run([*launcher, *flags, *keys, "trainer.batch_size=4"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "Warning" not in done.stderr
        assert done.stderr.count("keypoints from the store") == 2, "one process speaks for all, of both splits"
    states = [load_checkpoint(tmp_path / name / "checkpoints" / "step_00000003.pt") for name in ("through", "halves")]
    assert same(*states)
    assert (tmp_path / "through" / "log.jsonl").read_text() == (tmp_path / "halves" / "log.jsonl").read_text()


def test_generator_steps_that_fail_alone_count_in_a_row():
    """The discriminator's good steps in between do not hide them."""
    bad, good = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizers, guard = [torch.optim.Adam([p], fused=True) for p in (bad, good)], Guard(torch.device("cpu"))
    for _ in range(MOST_IN_A_ROW):
        bad.grad, good.grad = torch.full((2,), float("inf")), torch.ones(2)
        for optimizer in optimizers:
            guard.step(optimizer, {})
    with pytest.raises(Diverged, match="20 optimizer steps in a row"):
        guard.check()


def test_checkpoints_that_cannot_be_read_for_now_are_left_alone(tmp_path, monkeypatch):
    saving.save_checkpoint(tmp_path, {"step": 1}, keep=1)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(ValueError, match="cannot be read"):
        saving.newest_whole(tmp_path, set_aside=True)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_00000001.pt"]


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_over(tmp_path):
    saving.save_checkpoint(tmp_path, {"step": 1}, keep=1)
    find_checkpoint(tmp_path).write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"no checkpoint .* can be read"):
        saving.newest_whole(tmp_path, set_aside=True)


DAMAGED = """
import os, runpy
from data.store import ImageStore
read, count = ImageStore.read, 0
def damaged(store, key):
    global count
    count += 1
    if os.environ["RANK"] == BAD_RANK and count > NUM_GOOD:
        raise ValueError(f"image {key} is damaged")
    return read(store, key)
ImageStore.read = damaged
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.mark.parametrize(("rank", "good_steps", "num_workers"), [(1, 0, 0), (0, 2, 0), (1, 2, 1)])
@pytest.mark.long
def test_bad_data_of_one_process_is_named_once_and_all_is_saved(rank, good_steps, num_workers, dataset, tmp_path):
    script = tmp_path / "damaged.py"
    # a step of a process reads two images
    num_good = 2 * good_steps + (NUM_IMAGES if rank == 0 else 0)  # the first process looks at a few at the start
    script.write_text(DAMAGED.replace("BAD_RANK", f"'{rank}'").replace("NUM_GOOD", str(num_good)))
    launcher = [*TWO_PROCESSES, str(script)]
    flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
    keys = overrides("dptn", dataset, "schedule.num_steps=2", "rollout.window=2", "trainer.max_steps=9")
    keys += [f"data.num_workers={num_workers}"]
    environment = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run([*launcher, *flags, *keys], env=environment, capture_output=True, text=True)
    assert done.stderr.count("error: ") == 1 and "is damaged" in done.stderr, done.stderr[-2000:]
    assert "exitcode  : 2" in done.stderr
    saved = saving.newest_whole(tmp_path / "run" / "checkpoints", set_aside=False)
    assert (saved["step"] if saved else 0) == good_steps


def test_what_stops_every_process_is_said_once(dataset, tmp_path):
    untested = tmp_path / "untested"
    untested.mkdir()
    for path in dataset.iterdir():
        if path.name != "test_pairs.txt":
            (untested / path.name).symlink_to(path)
    flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
    keys = overrides("dptn", untested, "schedule.num_steps=2", "rollout.window=2")
    done = subprocess.run([*TWO_PROCESSES, "train.py", *flags, *keys], capture_output=True, text=True)
    assert done.stderr.count("error: ") == 1 and "test_pairs.txt does not exist" in done.stderr, done.stderr[-2000:]


def test_bad_data_saves_what_is_learnt(dataset, tmp_path, monkeypatch):
    trainer = Trainer(tiny("dptn", dataset, "trainer.max_steps=5"), tmp_path / "run", ALONE)
    read = trainer.dataset.store.read

    def damaged(key):
        if trainer.engine.step >= 1:
            raise ValueError(f"image {key} is damaged")
        return read(key)

    monkeypatch.setattr(trainer.dataset.store, "read", damaged)
    with pytest.raises(ValueError, match="is damaged"):
        trainer.train()
    saved = saving.newest_whole(tmp_path / "run" / "checkpoints", set_aside=False)
    assert saved["step"] == trainer.engine.step >= 1
