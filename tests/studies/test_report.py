"""Reports of studies whose answer is planted: runs of five seeds, whose scores are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from metrics.distribution import Moments
from metrics.gram import FrechetGram
from studies.cost import Cost
from studies.pages import markdown, write_pages
from studies.plan import Plan, load_study
from studies.report import build_report, sentence
from studies.results import Found
from studies.runs import Folders
from studies.scoring import Scored
from studies.statistics import Difference

NUM_PEOPLE, WIDTH = 20, 24
ARMS = {"control": 0.0, "better": 1.0, "equal": 0.0, "hidden": 1.0}
PERSONS = [f"person{number // 2}" for number in range(2 * NUM_PEOPLE)]
BLACK = np.zeros((2 * 64 + 4, 3 * 48 + 2 * 4, 3), np.uint8)


def make_plan(folder: Path, primary: str, arms: tuple[str, ...]) -> Plan:
    base = str(Path("config/unet_256.yaml").resolve())
    different = {name: {"config": [f"trainer.batch_size={number}"]} for number, name in enumerate(arms, 1)}
    values = {"base": base, "arms": different, "control": "control", "budget": {"steps": 10}, "points": 2}
    path = folder / "planted.yaml"
    path.write_text(
        yaml.safe_dump({**values, "primary": primary, "config": ["data.image_size=[64,48]"]}, sort_keys=False)
    )
    return Plan(load_study(path), path, dict.fromkeys(arms, Cost(1e9, 2e9, 1000)))


def plant(plan: Plan, folders: Folders, head: float | None = None) -> None:
    """Scores are of a person, of a seed, and better by the arm's effect: in PSNR, and nearer to the reals."""
    random = np.random.default_rng(5)
    reals = Moments.of(random.standard_normal((300, WIDTH)))
    own = random.normal(20, 3, 2 * NUM_PEOPLE)
    for run in plan.runs():
        luck = (run.seed - 2) * (2.5 if run.arm == "hidden" else 0.15)
        psnr = own + ARMS[run.arm] + luck
        features = random.standard_normal((2 * NUM_PEOPLE, WIDTH)) + 2 - ARMS[run.arm] + 0.02 * luck
        gram = FrechetGram.of(features, reals)
        means = {"psnr": float(psnr.mean()), "fd_lite0": gram.distance(np.ones(2 * NUM_PEOPLE)), "spectrum": 1.0}
        scored = Scored({"psnr": psnr}, means, {}, PERSONS, gram, BLACK)
        steps = {} if head is None else {"real": [head] * 4, "fake": [head] * 4}
        for point in plan.points(run):
            folders.results(run).write(Found(point, 1, point.step * 1e9, 60.0, means, steps, head), scored)


@pytest.fixture
def planted(tmp_path):
    def make(primary: str, arms: tuple[str, ...] = tuple(ARMS), **more: float) -> dict:
        plan, folders = make_plan(tmp_path, primary, arms), Folders(tmp_path / "study")
        plant(plan, folders, **more)
        report = build_report(plan, folders, "planted")
        write_pages(tmp_path / "study", report, plan, folders)
        return json.loads((tmp_path / "study" / "report.json").read_text())

    return make


@pytest.mark.parametrize(("primary", "where"), [("psnr", "higher"), ("fd_lite0", "lower")])
def test_a_planted_better_arm_is_found_and_a_planted_equal_one_is_not(primary, where, planted):
    better, equal, *_ = planted(primary)["sentences"]
    assert better.startswith(f"better is better than control in {primary}: ") and f" {where} (95 %" in better
    assert equal.startswith(f"No difference between equal and control is shown in {primary}: ")


def test_an_arm_that_is_better_by_less_than_its_seeds_differ_is_not_called_better(planted):
    report = planted("psnr")
    hidden = report["sentences"][2]
    row = next(d for d in report["differences"] if d["arm"] == "hidden" and d["metric"] == "psnr")
    assert hidden.startswith("No difference between hidden and control is shown")
    assert row["over_seeds"][0] < 0 < row["over_seeds"][1]


def test_a_difference_that_only_the_number_of_comparisons_hides_is_said_so():
    found = Difference("a", "b", "psnr", (5, 5), (21, 20), 1, (0.1, 1.9), (0.2, 1.8), p=0.03, adjusted=0.09)
    assert "is shown in psnr: these runs, taken alone, go with any difference of 0.1000 to 1.900 (" in sentence(found)
    assert "these runs go with any" in sentence(replace(found, over_seeds=(-0.1, 2.1), adjusted=0.2))


def test_only_the_primary_metric_is_tested_and_metrics_of_whole_sets_have_no_interval_over_people(planted):
    report = planted("psnr")
    by_metric = {metric: [d for d in report["differences"] if d["metric"] == metric] for metric in report["metrics"]}
    assert report["metrics"][0] == "psnr" and all(d["adjusted"] >= d["p"] for d in by_metric["psnr"])
    assert all(d["adjusted"] is None for d in by_metric["fd_lite0"]) and len(report["sentences"]) == 3
    assert all(d["over_both"] for d in by_metric["fd_lite0"]) and not any(d["over_both"] for d in by_metric["spectrum"])


def test_a_head_at_chance_is_said_and_one_that_works_is_not(planted):
    said = planted("psnr", ("control", "better"), head=0.26)["notes"]
    assert said[1].startswith("better: its step head is at chance, right on 26% of real images where guessing is")
    assert planted("psnr", ("control", "better"), head=0.9)["notes"] == []


def test_unfinished_runs_are_left_out_and_counted(tmp_path):
    plan, folders = make_plan(tmp_path, "psnr", ("control", "better")), Folders(tmp_path / "study")
    plant(plan, folders)
    for seed in (3, 4):
        (folders.scores / f"better-{seed}" / "point_2.json").unlink()
    report = build_report(plan, folders, "planted")
    assert report["notes"] == ["better: 3 of 5 runs are finished; the others are left out."]
    assert report["differences"][0]["seeds"] == (3, 5)
    assert [row["runs"] for row in report["curves"]["psnr"]["better"]] == [5, 3]


def test_the_pages_hold_every_arm_its_cost_and_the_same_pairs(planted, tmp_path):
    report = planted("psnr", ("control", "better"))
    page, text = ((tmp_path / "study" / name).read_text() for name in ("report.html", "report.md"))
    assert page.count("data:image/png") == 2 and "<span>better</span>" in page
    assert markdown(report) == text and "| better | 5 | 10 | 0.01000 | 1.00 | 2.000 | 0.00100 | 1.0 |" in text
    assert report["sentences"][0] in text and report["sentences"][0] in page


def test_runs_on_different_people_are_not_compared(tmp_path):
    plan, folders = make_plan(tmp_path, "psnr", ("control", "better")), Folders(tmp_path / "study")
    plant(plan, folders)
    file = folders.scores / "better-0" / "pairs.npz"
    with np.load(file) as values:
        changed = {**values, "persons": np.array([f"other{name}" for name in PERSONS])}
    np.savez(file, **changed)
    with pytest.raises(ValueError, match="were scored on different people"):
        build_report(plan, folders, "planted")
