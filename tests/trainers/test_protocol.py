"""Validation under a whole protocol, the best by any of its metrics, and the run's own page."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import eval_step
import inference
import train
from metrics import networks
from scripts import run_report
from scripts.compare_runs import read_log
from tests.runs import TWO_PROCESSES, run_flags
from tests.tiny import overrides
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers.protocol import ProtocolScores
from trainers.saving import best_value
from trainers.trainer import Trainer

OFFLINE = ["trainer.eval_every=1", "trainer.eval_protocol=offline", "trainer.best_metric=fd_lite0"]


@pytest.fixture(scope="module")
def two_tested(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small dataset with pairs of two people for testing, one of whom is trained on too."""
    root = tmp_path_factory.mktemp("two")
    for path in dataset.iterdir():
        (root / path.name).symlink_to(path)
    lines = (dataset / "train_pairs.txt").read_text().splitlines()[-3:]
    pairs = (dataset / "test_pairs.txt").read_text() + "".join(f"{','.join(x.split(',')[:2])}\n" for x in lines)
    (root / "test_pairs.txt").unlink()
    (root / "test_pairs.txt").write_text(pairs)
    return root


@pytest.fixture
def training(command: Callable[..., int], two_tested: Path, tmp_path: Path) -> Callable[..., int]:
    def call(*more: str) -> int:
        flags = ["--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={tmp_path}"]
        keys = overrides("dptn", two_tested, "schedule.num_steps=2", "rollout.window=2", *OFFLINE, *more)
        return command(train.main, *flags, *keys)

    return call


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    def refuse(url: str, file: object) -> str:
        raise OSError("no network in this test")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(networks, "_copy", refuse)


@pytest.mark.long
def test_a_validation_scores_as_inference_and_eval_step_do(training, command, tmp_path):
    assert training("trainer.max_batch_per_process=1") == 0
    scores = read_log(tmp_path / "run")[2]
    flags = run_flags(tmp_path, "run")
    assert command(inference.main, *flags, "--output_dir", tmp_path / "images") == 0
    scoring = ["--generated", tmp_path / "images", "--protocol", "offline", "--cache", tmp_path / "cache"]
    assert command(eval_step.main, *flags, *scoring) == 0
    report = json.loads((tmp_path / "images_report" / "report.json").read_text())["steps"][-1]
    for metric in ("ssim", "psnr", "l1", "mae", "face_ssim", "spectrum", "fd_lite0", "recall_1", "recall_5"):
        assert scores[f"eval_{metric}"] == pytest.approx(report[metric], rel=1e-3, abs=1e-3), metric
    # which subsets of the reals it takes follows from their names, which a list and a store write differently
    assert scores["eval_kd_lite0"] == pytest.approx(report["kd_lite0"], rel=0.05)
    assert scores["eval_fd_lite0"] > 1


def test_the_best_is_kept_by_a_distance_of_its_protocol(training, tmp_path, caplog):
    assert training("trainer.max_steps=3") == 0
    values = [line["eval_fd_lite0"] for line in read_log(tmp_path / "run").values()]
    assert best_value(tmp_path / "run" / "checkpoints", "offline:fd_lite0") == min(values)
    (tmp_path / "own.yaml").write_text("base: offline\nkid_subsets: 3\n")
    assert training("trainer.max_steps=4", f"trainer.eval_protocol={tmp_path}/own.yaml") == 0
    assert f"is the best by offline:fd_lite0, trainer.best_metric is {tmp_path}/own.yaml:fd_lite0 now" in caplog.text


def test_validating_under_a_protocol_leaves_the_training_as_it_is(two_tested, tmp_path):
    ends = []
    for name, more in (("without", []), ("with", OFFLINE)):
        trainer = Trainer(tiny("nted", two_tested, *more), tmp_path / name, ALONE)
        trainer.train()
        ends.append(trainer.engine.state() | {"config": ""})
    assert same(*ends)
    random, data = torch.get_rng_state(), (trainer.validation.dataset, trainer.dataset)
    ProtocolScores(trainer.config.trainer, *data, ALONE.device, tmp_path / "cache")
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.long
def test_two_processes_score_what_one_does(training, two_tested, tmp_path):
    assert training("trainer.batch_size=4", "trainer.max_batch_per_process=2", "trainer.max_steps=1") == 0
    flags = ["--config=config/dptn_256.yaml", "--name=two", f"--checkpoints_dir={tmp_path}"]
    keys = overrides("dptn", two_tested, "schedule.num_steps=2", "rollout.window=2", *OFFLINE, "trainer.batch_size=4")
    command = [*TWO_PROCESSES, "train.py", *flags, *keys, "trainer.max_steps=1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (read_log(tmp_path / name)[1] for name in ("run", "two"))
    assert two == pytest.approx(one, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["trainer.best_metric=fid"], "trainer.best_metric is fid: protocol offline has ssim, psnr, l1, mae, spectrum"),
        (["trainer.eval_protocol=null"], "best_metric is fd_lite0: without an eval_protocol there are ssim, psnr, l1"),
        (
            ["trainer.eval_protocol=nted", "trainer.best_metric=fid"],
            "trainer.best_metric is fid, which cannot be computed here: inception_v3_google-0cc3c7bd.pth is missing",
        ),
        (["trainer.eval_protocol=ofline"], "unknown protocol 'ofline'"),
    ],
)
def test_a_best_metric_that_cannot_be_had_is_refused_at_the_start(more, says, training, no_network, capsys):
    assert training(*more) == 2
    assert says in capsys.readouterr().err


def test_what_has_no_weights_is_left_out_and_said(training, no_network, tmp_path, caplog):
    assert training("trainer.eval_protocol=nted", "trainer.best_metric=ssim_256", "trainer.max_steps=1") == 0
    line = read_log(tmp_path / "run")[1]
    assert "eval_ssim_256" in line and "eval_fid" not in line and "eval_lpips" not in line
    assert "validation goes without lpips: alexnet" in caplog.text
    assert "validation goes without fid, kid: inception_v3_google" in caplog.text


def test_a_run_has_a_page_of_its_own(training, command, tmp_path):
    assert training() == 0
    page = tmp_path / "run" / "report.html"
    text = page.read_text()
    assert "best.pt is the best by offline:fd_lite0 " in text and "after 2 steps" in text
    # a curve for each score and each loss, one for all steps of SSIM, PSNR and L1, and a strip
    line = read_log(tmp_path / "run")[2]
    single = [name for name in line if "_step_0" not in name and name not in ("step", "nimg")]
    assert text.count("<h3>") == text.count("data:image/svg+xml") == len(single) + 3
    assert text.count("data:image/png") == 1
    page.unlink()
    assert command(run_report.main, "--model", tmp_path / "run") == 0
    assert page.read_text() == text
    assert command(run_report.main, "--model", tmp_path / "none") == 2
