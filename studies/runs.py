"""One run of a study: an ordinary run folder, trained from point to point of its budget and scored at each."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from metrics.slices import is_better_high
from studies.plan import ENDLESS, Plan, Point, Run
from studies.results import Found, Results
from studies.scoring import Judge
from trainers.checkpoints import checkpoint_path
from trainers.distributed import World
from trainers.engine import Engine
from trainers.lock import locked
from trainers.log import read_log
from trainers.signals import StopRequest
from trainers.step_head import recent_accuracy
from trainers.trainer import Trainer


class Until(StopRequest):
    """Stops a training at a point of its budget, at a deadline, or where another request says so.

    Args:
        request: of signals. engine: of the training. step: where to stop. deadline: when, by `time.monotonic`.
    """

    def __init__(self, request: StopRequest, engine: Engine, step: int, deadline: float) -> None:
        super().__init__()
        self.request, self.engine, self.step, self.deadline = request, engine, step, deadline

    @property
    def received(self) -> bool:
        return self.request.received or self.engine.step >= self.step or time.monotonic() >= self.deadline


class Folders:
    """Where a study's files are: ordinary run folders, the small files of scores, and statistics of the reals."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.scores, self.cache = folder, folder / "runs", folder / "scores", folder / "cache"

    def results(self, run: Run) -> Results:
        """The small files of a run."""
        return Results(self.scores, run)


def is_finished(plan: Plan, run: Run, folders: Folders) -> bool:
    """Whether all points of a run are scored; raises ValueError where that was under another budget or rate."""
    return all(found_at(plan, run, point, folders) is not None for point in plan.points(run))


def found_at(plan: Plan, run: Run, point: Point, folders: Folders) -> Found | None:
    """A scored point, None where it is not scored yet; raises ValueError where it had another budget or rate."""
    found = folders.results(run).read(point)
    if found is not None and run.trial is None and found.rate != (rate := chosen_rate(plan, run.arm, folders)):
        raise ValueError(
            f"{folders.scores / run.name} was scored with {found.rate:g} times its learning rates, the study chooses "
            f"{'none yet' if rate is None else f'{rate:g}'}: its rates have changed since; name another --output"
        )
    return found


def chosen_rate(plan: Plan, arm: str, folders: Folders) -> float | None:
    """The factor of an arm's learning rates whose trial was best by the primary metric; None before all were made."""
    trials = plan.trials(arm)
    if not trials:
        return plan.rates(arm)[0]
    scores = {}
    for run in trials:
        (point,) = plan.points(run)
        found = folders.results(run).read(point)
        if found is None:
            return None
        scores[run.trial] = _primary(plan, found)
    sign = 1 if is_better_high(plan.study.primary) else -1
    return max(scores, key=lambda rate: sign * scores[rate])


def start_of(plan: Plan, run: Run, folders: Folders) -> tuple[Run, Found] | None:
    """The run, and its point, whose networks a run of an arm with a start begins with; None before that is reached.

    One on trial begins with what the other arm's best trial came to.
    """
    start = plan.study.arms[run.arm].start
    assert start is not None, "this arm begins from nothing"
    rate = chosen_rate(plan, start.arm, folders)
    if rate is None:
        return None
    other = Run(start.arm, run.seed, rate if run.trial else None)
    point = next(p for p in plan.points(other) if run.trial or p.number == start.point)
    found = found_at(plan, other, point, folders)
    return (other, found) if found else None


def is_ready(plan: Plan, run: Run, folders: Folders) -> bool:
    """Whether all that a run needs of other runs is there: its learning rate, and what it begins with."""
    if run.trial is None and chosen_rate(plan, run.arm, folders) is None:
        return False
    return plan.study.arms[run.arm].start is None or start_of(plan, run, folders) is not None


def carry_on(plan: Plan, run: Run, folders: Folders, world: World, request: StopRequest, deadline: float) -> bool:
    """Train and score a run from where it is; whether it reached its end.

    Args:
        request: says when to stop early. deadline: by `time.monotonic`, when to stop for now.

    Raises:
        ValueError: it is not ready, or what `Trainer` and `Judge` raise.
    """
    rate = run.trial or chosen_rate(plan, run.arm, folders)
    if rate is None or not is_ready(plan, run, folders):
        raise ValueError(f"{run.name} waits for a learning rate or for another arm's run; run the study without --run")
    folder, results = folders.runs / run.name, folders.results(run)
    start = start_of(plan, run, folders) if plan.study.arms[run.arm].start else None
    start_from = _kept(folders.runs / start[0].name, start[1].point.step) if start else None
    points = [point for point in plan.points(run) if found_at(plan, run, point, folders) is None]
    with locked(folder):
        trainer = Trainer(plan.config(run, rate, start_from), folder, world)
        judge = Judge(plan, run, trainer, folders.cache)
        for point in points:
            if not _train_to(point, trainer, results, request, deadline):
                return False
            _keep(folder, trainer.engine.step)
            _score(plan, point, rate, trainer, judge, results, start[1] if start else None)
    return True


def _train_to(point: Point, trainer: Trainer, results: Results, request: StopRequest, deadline: float) -> bool:
    """Train until a point of the budget; whether it was reached."""
    before, start = trainer.engine.step, time.monotonic()
    end = deadline
    if point.seconds is not None:
        end = min(deadline, start + point.seconds - results.seconds(before))
    # the last point is the run's own end, which draws its picture and speaks of its step head
    step = point.step if point.step < trainer.total_steps else ENDLESS
    until = Until(request, trainer.engine, step, end)
    if not until.received:
        trainer.train(until)
        results.add_time(trainer.engine.step - before, time.monotonic() - start)
    if point.seconds is not None:
        return results.seconds(trainer.engine.step) >= point.seconds
    return trainer.engine.step >= point.step


def _kept(folder: Path, step: int) -> Path:
    return checkpoint_path(folder / "points", step)


def _keep(folder: Path, step: int) -> None:
    """Keep the checkpoint of a point, which the newer ones would push out: another name of the same file."""
    kept, checkpoint = _kept(folder, step), checkpoint_path(folder / "checkpoints", step)
    kept.parent.mkdir(exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(checkpoint, kept)
    except OSError:  # a file system without links
        shutil.copy2(checkpoint, kept)


def _score(
    plan: Plan, point: Point, rate: float, trainer: Trainer, judge: Judge, results: Results, start: Found | None
) -> None:
    step, log = trainer.engine.step, read_log(trainer.folder)
    scored = judge.score(with_gram=point.share == 1)
    place = Point(point.number, point.share, step, point.seconds)
    flops, seconds = step * plan.costs[results.run.arm].step_flops, results.seconds(step)
    if start is not None:
        flops, seconds = flops + start.flops, seconds + start.seconds
    found = Found(place, rate, flops, seconds, scored.means, scored.head, recent_accuracy(log, step))
    if plan.study.primary not in found.means:
        have = ", ".join(sorted(found.means))
        raise ValueError(f"{plan.path}: primary is {plan.study.primary}, which nobody computes; there are {have}")
    results.write(found, scored)


def _primary(plan: Plan, found: Found) -> float:
    return found.means[plan.study.primary]
