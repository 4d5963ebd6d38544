"""Runs of a study: they stop and go on, are scored where the study says, and leave what a report needs."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from data.pairs import read_pairs
from images.names import person_of
from scripts import study as command_module
from studies import scoring
from studies.cost import Cost
from studies.plan import Plan, Run, load_study
from studies.runs import Folders, carry_on, chosen_rate, is_finished, is_ready
from studies.scoring import chosen_lines
from tests.trainers.test_trainer import ALONE, same
from trainers.signals import StopRequest

NEVER = float("inf")
COSTS = {"one": Cost(10, 10, 5), "two": Cost(20, 20, 5)}


def plan_of(path: Path, **changes: object) -> Plan:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return Plan(load_study(path), path, COSTS)


def ended(plan: Plan, folder: Path) -> list[dict]:
    """The scored points of a run of two steps, after it went to its end; what a clock measured is left out."""
    folders, run = Folders(folder), Run("two", 0)
    assert carry_on(plan, run, folders, ALONE, StopRequest(), NEVER) and is_finished(plan, run, folders)
    points = sorted((folders.scores / run.name).glob("point_*.json"))
    return [{**json.loads(path.read_text()), "seconds": 0} for path in points]


def test_a_run_is_scored_at_its_points_and_keeps_their_checkpoints(study_file, tmp_path):
    plan = plan_of(study_file)
    found = ended(plan, tmp_path / "study")
    assert [(row["point"]["step"], row["point"]["share"], row["flops"]) for row in found] == [(2, 0.5, 40), (3, 1, 60)]
    assert all({"fd_lite0", "kd_lite0", "ssim", "psnr", "spectrum"} <= row["means"].keys() for row in found)
    assert all(len(row["head"][kind]) == 2 for row in found for kind in ("real", "fake"))
    folder = tmp_path / "study" / "runs" / "two-0"
    kept = [torch.load(path)["step"] for path in sorted((folder / "points").iterdir())]
    assert kept == [2, 3] and (folder / "config.yaml").is_file()
    columns, persons, gram = Folders(tmp_path / "study").results(Run("two", 0)).columns()
    assert len(set(persons)) == 1 and len(columns["psnr"]) == 3
    assert gram.distance(torch.ones(3).numpy()) == pytest.approx(found[-1]["means"]["fd_lite0"], rel=1e-5)


def test_a_killed_run_goes_on_to_the_same_scores(study_file, tmp_path):
    """Killed in a step, in a process of its own; it goes on in this one."""
    plan = plan_of(study_file, budget={"steps": 30})
    folder = tmp_path / "killed"
    Folders(folder).scores.mkdir(parents=True)
    flags = ["--output", str(folder), "--run", "two-0"]
    process = subprocess.Popen([sys.executable, "-m", "scripts.study", str(study_file), *flags])
    log, deadline = folder / "runs" / "two-0" / "log.jsonl", time.monotonic() + 90
    while not (log.exists() and len(log.read_text().splitlines()) > 6):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_finished(plan, Run("two", 0), Folders(folder))
    through, resumed = ended(plan, tmp_path / "through"), ended(plan, folder)
    assert [row["means"] for row in resumed] == [row["means"] for row in through]
    states = [torch.load(place / "runs/two-0/points/step_00000030.pt") for place in (tmp_path / "through", folder)]
    assert same(*[state["generator_ema"] for state in states])


def test_runs_side_by_side_wait_for_the_one_that_computes_statistics_of_the_reals(study_file, tmp_path, monkeypatch):
    def locked(folder: Path) -> bool:
        with (folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    found, cache, prepare = [], Folders(tmp_path / "study").cache, scoring.prepare_reals
    monkeypatch.setattr(scoring, "prepare_reals", lambda *given: found.append(locked(cache)) or prepare(*given))
    ended(plan_of(study_file), tmp_path / "study")
    assert found == [True] and not locked(cache) and len(list(cache.glob("*.npz"))) == 1


def test_a_run_that_is_out_of_time_stops_and_goes_on_later(study_file, tmp_path):
    plan, folders = plan_of(study_file), Folders(tmp_path / "study")
    assert not carry_on(plan, Run("two", 0), folders, ALONE, StopRequest(), deadline=0)
    assert not is_finished(plan, Run("two", 0), folders)
    assert len(ended(plan, tmp_path / "study")) == 2


def test_a_budget_in_minutes_ends_by_the_clock_over_all_of_its_stops(study_file, tmp_path):
    plan, folders = plan_of(study_file, budget={"minutes": 0.05}, arms={"one": {}, "two": {}}), Folders(tmp_path)
    run = Run("two", 0)
    assert not carry_on(plan, run, folders, ALONE, StopRequest(), time.monotonic() + 0.5)
    ended(plan, tmp_path)
    last = folders.results(run).read(plan.points(run)[-1])
    assert last.seconds == pytest.approx(3, abs=1) and last.point.step > 2


def test_points_of_another_budget_are_refused(study_file, tmp_path):
    ended(plan_of(study_file), tmp_path / "study")
    with pytest.raises(ValueError, match="scored after 2 steps, the study says 4: its budget has changed"):
        is_finished(plan_of(study_file, budget={"steps": 8}), Run("two", 0), Folders(tmp_path / "study"))


def test_runs_of_another_rate_are_refused(study_file, tmp_path):
    ended(plan_of(study_file, rates=[0.5]), tmp_path / "study")
    with pytest.raises(ValueError, match=r"two-0 was scored with 0\.5 times its learning rates, the study chooses 1:"):
        is_finished(plan_of(study_file, rates=[1]), Run("two", 0), Folders(tmp_path / "study"))
    with pytest.raises(ValueError, match="the study chooses none yet"):
        is_finished(plan_of(study_file, rates=[0.5, 1]), Run("two", 0), Folders(tmp_path / "study"))


def test_points_of_another_version_are_refused(study_file, tmp_path):
    plan = plan_of(study_file)
    ended(plan, tmp_path)
    path = tmp_path / "scores" / "two-0" / "point_1.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "rate"}))
    with pytest.raises(ValueError, match=r"point_1\.json is not as this version writes it"):
        is_finished(plan, Run("two", 0), Folders(tmp_path))


def test_rates_are_chosen_by_the_best_trial_on_people_of_their_own(study_file, tmp_path, people):
    plan, folders = plan_of(study_file, rates=[0.01, 1], rate_share=1), Folders(tmp_path / "study")
    assert chosen_rate(plan, "one", folders) is None
    scores = {}
    for run in plan.trials("one"):
        assert carry_on(plan, run, folders, ALONE, StopRequest(), NEVER)
        scores[run.trial] = folders.results(run).read(plan.points(run)[0]).means["fd_lite0"]
    assert chosen_rate(plan, "one", folders) == min(scores, key=scores.get)
    lines = read_pairs(people / "test_pairs.txt")
    whose = [{person_of(lines[i].target) for i in chosen_lines(lines, 0.5, for_rates)} for for_rates in (True, False)]
    assert whose[0] and whose[1] and not whose[0] & whose[1]
    trained = {person_of(line.target) for line in read_pairs(people / "train_pairs.txt")}
    assert not trained & (whose[0] | whose[1])
    searched = folders.results(plan.trials("one")[0]).columns()[1]
    assert set(searched) == whose[0]


def test_an_arm_starts_with_the_networks_of_another_ones_run_and_counts_what_that_took(study_file, tmp_path):
    arms = {"two": {}, "one": {"start": {"arm": "two", "point": 1}}}
    plan = plan_of(study_file, arms=arms, budget={"flops": 60}, control="two", rates=[1, 2], rate_share=1)
    folders, (first, second), run = Folders(tmp_path), plan.trials("two"), Run("one", 0)
    order = [first, second, plan.trials("one")[0], plan.trials("one")[1], Run("two", 0), run]
    ready = [[is_ready(plan, other, folders) for other in order]]
    for one in order:
        assert carry_on(plan, one, folders, ALONE, StopRequest(), NEVER)
        ready.append([is_ready(plan, other, folders) for other in order])
    assert [sum(row) for row in ready] == [2, 2, 5, 5, 5, 6, 6] and not ready[4][5]
    (point,) = plan.points(run)
    found, other = folders.results(run).read(point), folders.results(Run("two", 0)).read(plan.points(Run("two", 0))[0])
    assert point.number == 2 and point.step == 3 and found.flops == other.flops + 3 * 10 == 70
    assert found.seconds == pytest.approx(folders.results(run).seconds(3) + other.seconds)
    said = (tmp_path / "runs" / "one-0" / "start_from.txt").read_text()
    assert f"runs/two-0/points/step_{other.point.step:08d}.pt, step {other.point.step}" in said


@pytest.mark.long
def test_the_command_runs_all_side_by_side_names_what_failed_and_reports(study_file, tmp_path, command, capsys, caplog):
    values = yaml.safe_load(study_file.read_text())
    wrong = {"config": ["trainer.start_from=no_such_run"]}
    study_file.write_text(yaml.safe_dump({**values, "arms": {**values["arms"], "wrong": wrong}}))
    words = [study_file, "--output", tmp_path / "study", "--jobs", "3"]
    assert command(command_module.main, *words, "--dry_run") == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in table[1:4]] == [["one", "1", "6"], ["two", "1", "3"], ["wrong", "1", "3"]]
    assert command(command_module.main, *words) == 1
    assert "wrong-0 failed (exit code 2): error: " in caplog.text and "no_such_run" in caplog.text
    study_file.write_text(yaml.safe_dump(values))
    before = {path: path.stat().st_mtime for path in (tmp_path / "study" / "runs").rglob("*.pt")}
    assert len(before) == 2 * 4 and command(command_module.main, *words) == 0
    assert before == {path: path.stat().st_mtime for path in (tmp_path / "study" / "runs").rglob("*.pt")}
    report = json.loads((tmp_path / "study" / "report.json").read_text())
    assert report["sentences"][0].endswith("(1 and 1 runs): too few to say whether they differ.")
    page = (tmp_path / "study" / "report.html").read_text()
    assert page.count("data:image/png") == 3 and "two - one" in page


def test_people_that_are_not_there_are_missed_before_anything_runs(study_file, tmp_path, command, capfd):
    values = yaml.safe_load(study_file.read_text())
    values["arms"]["two"]["config"].append("data.root=no_such_folder")
    study_file.write_text(yaml.safe_dump({**values, "people": {"people": 8}}))
    assert command(command_module.main, study_file, "--output", tmp_path / "study") == 2
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert "no_such_folder" in error and error.endswith("; --make_data draws the study's own people")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs", "0"], "--jobs is 0"),
        (["--report"], "no run in .* is finished"),
        (["--make_data"], "names no `people` to draw"),
        (["--scale", "huge"], "has no scale 'huge'"),
        (["--run", "three-0"], "no such run; there are one-0, two-0"),
        (["trainer.batch=3"], "unknown key trainer.batch"),
    ],
)
def test_bad_input_is_one_line(words, said, study_file, tmp_path, command, capfd):
    assert command(command_module.main, study_file, "--output", tmp_path / "study", *words) == 2
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and re.search(said, error)
