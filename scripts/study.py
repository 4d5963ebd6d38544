"""Compare arms of a study under one budget: train, score, report. The same command goes on after any stop.

    python -m scripts.study config/studies/steps.yaml --make_data
    python -m scripts.study config/studies/steps.yaml --dry_run
    python -m scripts.study config/studies/steps.yaml --jobs 2 --max_minutes 60
    python -m scripts.study config/studies/steps.yaml --report

Runs are ordinary run folders in OUTPUT/runs; a report needs OUTPUT/scores alone, which is small. Exit codes: 0 done, or
out of its time limit; 1 a run failed; 2 bad input; 75 stopped by a signal, all saved.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from config.cli import Parser, run, run_command
from config.load import dump_config
from data.dataset import PairDataset
from images.pixels import digest
from images.writing import write_text
from studies.cost import Cost, cost_of
from studies.pages import write_pages
from studies.plan import ENDLESS, Plan, Run, Study, arm_config, load_study
from studies.report import build_report
from studies.runs import Folders, carry_on, is_finished, is_ready
from trainers.distributed import connect
from trainers.signals import StopRequest, stop_request

LOG = logging.getLogger("study")
EXIT_FAILED, EXIT_STOPPED = 1, 75
PAUSE = 0.2  # seconds between looks at the runs


def main() -> int:
    arguments = parse()
    seconds = 60 * (arguments.max_minutes or float("inf")) if arguments.until is None else arguments.until - time.time()
    deadline = time.monotonic() + seconds
    study = load_study(arguments.study, arguments.scale)
    study = study.model_copy(update={"config": (*study.config, *arguments.overrides)})
    name = "-".join(filter(None, (arguments.study.stem, arguments.scale)))
    folders = Folders(arguments.output or Path("result/studies") / name)
    if arguments.make_data:
        make_data(study, arguments.study)
        return 0
    if not (arguments.dry_run or arguments.report or arguments.run):
        check_data(study, arguments.study)
    plan = Plan(study, arguments.study, costs(study, arguments.study, folders, timed=arguments.dry_run))
    if arguments.dry_run:
        sys.stdout.write(schedule(plan, arguments.jobs) + "\n")
        return 0
    with stop_request() as request:
        if arguments.run:
            return run_one(plan, arguments.run, folders, request, deadline)
        code = 0 if arguments.report else Jobs(plan, folders, arguments, request, deadline).work()
    if arguments.report or (code == 0 and not left(plan, folders)):
        page = write_pages(folders.folder, build_report(plan, folders, name), plan, folders)
        sys.stdout.write(f"{page}\n")
    return code


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="YAML file of the study, e.g. config/studies/steps.yaml")
    parser.add_argument("--scale", help="one of the study's other sizes")
    parser.add_argument("--output", type=Path, help="folder of runs, scores and report (default: result/studies/NAME)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side; they share the cores, and the GPUs")
    parser.add_argument("--max_minutes", type=float, help="save and stop after this long")
    parser.add_argument("--make_data", action="store_true", help="draw the study's synthetic people and stop")
    parser.add_argument("--dry_run", action="store_true", help="say what there is to run, and for how long")
    parser.add_argument("--report", action="store_true", help="make the report of what is there, without training")
    # what this command says to the processes that it starts
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option in all arms")
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        raise ValueError(f"--jobs is {arguments.jobs}; it must be 1 or more")
    return arguments


def make_data(study: Study, path: Path) -> None:
    """Synthetic people of the study's own and their store, by the commands that a user would type."""
    if study.people is None:
        raise ValueError(f"{path} names no `people` to draw; it is made on data of your own (data.root)")
    data = arm_config(study, path, study.control).data
    (height, width), people = data.image_size, study.people
    drawn = ("--size", f"{4 * height}-{round(4 * height * 750 / 1101)}")
    counts = ("--people", people.people, "--views", people.views, "--seed", people.seed)
    run_command("-m", "scripts.make_synthetic", "--output", data.root, *counts, *drawn, "--overwrite")
    places, sizes = ("--root", data.root, "--output", data.root), ("--size", f"{height}-{width}")
    run_command("-m", "scripts.prepare_data", *places, *sizes, "--overwrite")


def check_data(study: Study, path: Path) -> None:
    """Raises ValueError where an arm's people are not there, before anything is counted or trained."""
    remedy = "; --make_data draws the study's own people" if study.people else ""
    for data in {arm_config(study, path, name).data for name in study.arms}:
        for split in ("train", "test"):
            try:
                PairDataset(data, split)
            except ValueError as error:
                raise ValueError(f"{error}{remedy}") from None


def costs(study: Study, path: Path, folders: Folders, timed: bool = False) -> dict[str, Cost]:
    """What each arm costs; counted once, and kept beside the scores for as long as its configuration is the same."""
    file = folders.scores / "costs.json"
    kept = json.loads(file.read_text()) if file.is_file() else {}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: dict[str, dict[str, Any]] = {}
    for name in study.arms:
        config = arm_config(study, path, name)
        mark, old = digest(dump_config(config).encode()), kept.get(name, {})
        if old.get("config") != mark or (timed and old.get("seconds") is None):
            LOG.info("counting operations of %s", name)
            old = {"config": mark, **asdict(cost_of(config, device, timed))}
        found[name] = old
    if found != kept:
        write_text(file, json.dumps(found, indent=1) + "\n")
    return {name: Cost(**{key: value for key, value in row.items() if key != "config"}) for name, row in found.items()}


def schedule(plan: Plan, jobs: int) -> str:
    """What `--dry_run` prints: arms, what they cost, and how long all takes."""
    header = ["arm", "runs", "steps", "GFLOP/step", "GFLOP/image", "params", "PFLOP/run", "s/step", "min/run"]
    rows, total = [header], 0.0
    for name, arm in plan.study.arms.items():
        cost, steps, minutes = plan.costs[name], plan.steps(name), plan.budget(name).minutes
        count, trials = arm.seeds or plan.study.seeds, len(plan.trials(name))
        whole = 60 * minutes if minutes else steps * (cost.seconds or 0)
        each = whole * (1 - plan.start_share(name))
        total += each * count + whole * trials * plan.study.rate_share
        own = plan.points(Run(name, 0))[-1].step
        length = ["-", "-"] if steps == ENDLESS else [str(own), f"{steps * cost.step_flops / 1e15:.3f}"]
        numbers = [f"{cost.step_flops / 1e9:.1f}", f"{cost.image_flops / 1e9:.2f}", str(cost.parameters)]
        runs = f"{count}+{trials}" if trials else str(count)
        rows.append([name, runs, length[0], *numbers, length[1], f"{cost.seconds:.3f}", f"{each / 60:.1f}"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.append("runs: compared + for choosing rates, which are shorter")
    lines.append(f"training alone, one run at a time: {total / 3600:.2f} hours; {jobs} side by side share the machine")
    return "\n".join(lines)


def left(plan: Plan, folders: Folders) -> list[Run]:
    """The runs that are not scored to their end, in the order in which they should run."""
    return [one for one in plan.all_runs() if not is_finished(plan, one, folders)]


def run_one(plan: Plan, name: str, folders: Folders, request: StopRequest, deadline: float) -> int:
    """What each of the processes of `Jobs` does."""
    every = {one.name: one for one in plan.all_runs()}
    if name not in every:
        raise ValueError(f"--run {name}: no such run; there are {', '.join(every)}")
    with connect() as world:
        return 0 if carry_on(plan, every[name], folders, world, request, deadline) else EXIT_STOPPED


class Jobs:
    """Some runs side by side, each in a process of its own, until all are done or it is time to stop."""

    def __init__(
        self, plan: Plan, folders: Folders, arguments: argparse.Namespace, request: StopRequest, deadline: float
    ) -> None:
        self.plan, self.folders, self.arguments = plan, folders, arguments
        self.request, self.deadline = request, deadline
        self.running: dict[Run, subprocess.Popen[bytes]] = {}
        self.failed: list[Run] = []

    def work(self) -> int:
        """Start what can be started and wait for it; the exit code of the command."""
        waiting = left(self.plan, self.folders)
        LOG.info("%s: %d runs to go", self.folders.folder, len(waiting))
        while True:
            self._collect()
            if not self._is_over():
                while len(self.running) < self.arguments.jobs and (ready := self._ready(waiting)):
                    waiting.remove(ready)
                    self._start(ready)
            if not self.running:
                break
            time.sleep(PAUSE)
        if self.request.received:
            return EXIT_STOPPED
        if left_over := left(self.plan, self.folders):
            LOG.info("%d runs are left; the same command goes on", len(left_over))
        return EXIT_FAILED if self.failed else 0

    def _is_over(self) -> bool:
        if self.request.received:
            for process in self.running.values():
                process.terminate()  # they save first
        return self.request.received or time.monotonic() >= self.deadline

    def _ready(self, waiting: list[Run]) -> Run | None:
        """The first run that may start: trials, and runs of arms whose rate is chosen, if where they start is there."""
        return next((one for one in waiting if is_ready(self.plan, one, self.folders)), None)

    def _start(self, one: Run) -> None:
        arguments = self.arguments
        flags = ["--output", str(self.folders.folder), "--run", one.name]
        flags += ["--scale", arguments.scale] if arguments.scale else []
        if self.deadline < float("inf"):
            flags += ["--until", str(time.time() + self.deadline - time.monotonic())]
        command = [sys.executable, "-m", "scripts.study", str(arguments.study), *flags, *arguments.overrides]
        log = self._log(one)
        log.parent.mkdir(parents=True, exist_ok=True)
        LOG.info("%s starts", one.name)
        with log.open("ab") as file:
            self.running[one] = subprocess.Popen(command, stdout=file, stderr=file, env=self._environment())

    def _environment(self) -> dict[str, str]:
        """The run's share of the cores, and one of the GPUs."""
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // self.arguments.jobs))
        gpus = torch.cuda.device_count()
        one = {"CUDA_VISIBLE_DEVICES": str(len(self.running) % gpus)} if gpus > 1 else {}
        return {**os.environ, "OMP_NUM_THREADS": threads, **one}

    def _collect(self) -> None:
        """Say of each run that has ended how it did."""
        for one in [one for one, process in self.running.items() if process.poll() is not None]:
            code = self.running.pop(one).returncode
            if code == 0:
                last = self.folders.results(one).read(self.plan.points(one)[-1])
                primary = self.plan.study.primary
                LOG.info("%s is done: %s %.4g", one.name, primary, last.means[primary] if last else float("nan"))
            elif code != EXIT_STOPPED and not self.request.received:  # a signal may come before it can be heard
                self.failed.append(one)
                said = self._log(one).read_text(errors="replace").strip().splitlines()
                LOG.error("%s failed (exit code %d): %s", one.name, code, said[-1] if said else "it said nothing")

    def _log(self, one: Run) -> Path:
        return self.folders.runs / one.name / "study.log"


if __name__ == "__main__":
    sys.exit(run(main, "lower --jobs, trainer.max_batch_per_process or the study's size"))
