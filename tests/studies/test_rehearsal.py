"""train.py --dry_run: what a training would take and what it lacks, from the outside."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import train
from benchmarks.worker import CountFlops
from config.load import dump_config
from losses import perceptual
from tests.tiny import overrides
from tests.trainers.test_trainer import ALONE, tiny
from trainers.trainer import Trainer

KEYS = {"nted": ["schedule.num_steps=4", "rollout.window=2"], "dptn": ["schedule.num_steps=2", "rollout.window=2"]}


@pytest.fixture
def rehearsing(command: Callable[..., int], dataset: Path, tmp_path: Path, capsys) -> Callable[..., tuple[int, str]]:
    """A dry run of the tiny run `run`; the exit code and what was printed."""

    def call(system: str, *more: str, root: Path = dataset) -> tuple[int, str]:
        flags = [f"--config=config/{system}_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}", "--dry_run"]
        code = command(train.main, *flags, *overrides(system, root, *KEYS[system], *more))
        return code, "".join(capsys.readouterr())

    return call


def number(says: str, pattern: str) -> float:
    return float(re.search(pattern, says)[1].replace(",", ""))  # type: ignore[index]


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_a_dry_run_says_what_a_training_takes_and_writes_nothing(system, rehearsing, dataset, tmp_path):
    epochs = ["trainer.max_steps=null", "trainer.epochs=100", "trainer.batch_size=2", "trainer.keep_checkpoints=2"]
    code, says = rehearsing(system, *epochs, "trainer.eval_every=5", "objective.r1_gamma=1", "objective.r1_interval=4")
    assert code == 0 and says.endswith("training can start\n")
    assert not (tmp_path / "run").exists()
    config = tiny(system, dataset, *epochs, "trainer.eval_every=5", "objective.r1_gamma=1", "objective.r1_interval=4")
    assert dump_config(config) in says
    # 9 pairs in steps of 2, 100 times
    assert "an epoch: 4.5 steps of 9 pairs\n" in says and "left: 450 of 450 steps, " in says
    trainer = Trainer(config, tmp_path / "real", ALONE)
    for name, network in trainer.engine.networks.items():
        assert number(says, rf"\n{name}: ([\d,]+) parameters\n") == sum(p.numel() for p in network.parameters())
    batches, flops = next(trainer.batches()), []
    for step in (0, 1):
        with CountFlops() as counter:
            trainer.engine.step = step
            trainer.engine.train_step(batches, 0)
        flops.append(counter.flops)
    # R1 is due at one step of four
    assert number(says, r"([\d.]+) GFLOP") == pytest.approx((flops[0] + 3 * flops[1]) / 4e9, rel=1e-3)
    trainer.save()
    size = next((tmp_path / "real" / "checkpoints").glob("*.pt")).stat().st_size
    # two kept, one that is written before the oldest goes, and the best
    assert number(says, r"disk: (\d+) checkpoints") == 4
    assert number(says, r"checkpoints of ([\d.]+) MB") == pytest.approx(size / 1e6, rel=0.15, abs=0.1)


def test_a_dry_run_names_all_that_is_missing(rehearsing, tmp_path, monkeypatch):
    def refuse() -> None:
        raise ValueError("VGG19 is not here")

    monkeypatch.setattr(perceptual, "imagenet_vgg19_state", refuse)
    vgg = ["objective.vgg.weights=imagenet", "objective.vgg.channel_divisor=1"]
    code, says = rehearsing("dptn", *vgg, "trainer.start_from=nowhere", root=tmp_path / "none")
    assert code == 2 and says.endswith("training cannot start\n")
    missing = [line.split(":")[1].strip() for line in says.splitlines() if line.startswith("missing: ")]
    assert missing == ["training data", "test data", "weights of the losses", "trainer.start_from"]


def test_a_dry_run_in_a_run_counts_what_is_left_and_leaves_damage_alone(rehearsing, dataset, tmp_path):
    Trainer(tiny("dptn", dataset, "trainer.max_steps=2"), tmp_path / "run", ALONE).train()
    damaged = tmp_path / "run" / "checkpoints" / "step_00000003.pt"
    damaged.write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    code, says = rehearsing("dptn", "trainer.max_steps=12")
    assert code == 0, says
    assert "left: 10 of 12 steps, " in says
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    code, says = rehearsing("dptn", "seed=1")
    assert code == 2 and "belongs to another config (seed: 0 there, 1 here)" in says
    code, says = rehearsing("dptn")
    assert code == 0 and "all 2 steps are done" in says


def test_snapshots_are_kept_for_the_whole_run_and_count(rehearsing):
    keys = ["trainer.max_steps=100", "trainer.checkpoint_every=10", "trainer.keep_checkpoints=1"]
    sizes = []
    for more in ([], ["trainer.post_hoc_ema=[0.1]"]):
        says = rehearsing("dptn", *keys, *more)[1]
        sizes.append(number(says, r", ([\d.]+) GB of"))
    assert "MB and all snapshots, " in says
    # four bytes a parameter, and singular vectors, in two checkpoints and ten snapshots
    more_bytes = 12 * 4 * number(says, r"\ngenerator: ([\d,]+) parameters\n")
    assert sizes[1] - sizes[0] == pytest.approx(more_bytes / 1e9, rel=0.25)


def test_a_disk_without_room_for_the_checkpoints_is_missing(rehearsing, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 0))
    code, says = rehearsing("dptn")
    assert code == 2 and "of 0 free: free the disk" in says
