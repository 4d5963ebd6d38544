"""What a study found, from the small files of its runs: curves, differences, and sentences that say no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from statistics import mean, stdev
from typing import Any

import numpy as np

from metrics.html import number
from metrics.report import metric_names, versions
from metrics.slices import is_better_high
from studies.plan import Plan, Run
from studies.results import Found
from studies.runs import Folders, chosen_rate, found_at
from studies.statistics import (
    Difference,
    Score,
    frechet_score,
    hierarchical_interval,
    holm,
    mean_score,
    people_resamples,
    resampled,
    welch,
)
from trainers.step_head import is_at_chance

Report = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """An arm's runs that are scored to the end, and all points of all of its runs, by number."""

    finished: list[tuple[Run, Found]]
    points: dict[int, list[Found]]

    def values(self, metric: str) -> list[float]:
        """A metric at the end of each run."""
        return [found.means[metric] for _, found in self.finished if metric in found.means]


def gather(plan: Plan, folders: Folders) -> dict[str, Arm]:
    """What is there of each arm; raises ValueError where a run was scored under another budget."""
    arms = {name: Arm([], {}) for name in plan.study.arms}
    for run in plan.runs():
        points = plan.points(run)
        for point in points:
            found = found_at(plan, run, point, folders)
            if found is None:
                break
            arms[run.arm].points.setdefault(point.number, []).append(found)
            if point is points[-1]:
                arms[run.arm].finished.append((run, found))
    return arms


def build_report(plan: Plan, folders: Folders, name: str) -> Report:
    """Everything that the pages show; raises ValueError where no run is finished."""
    arms = gather(plan, folders)
    if not any(arm.finished for arm in arms.values()):
        raise ValueError(f"no run in {folders.scores} is finished; run the study without --report first")
    primary = plan.study.primary
    some = next(found for arm in arms.values() for _, found in arm.finished)
    metrics = [primary, *(metric for metric in metric_names(some.means) if metric != primary)]
    differences = all_differences(plan, folders, arms, metrics)
    return {
        "name": name,
        "about": plan.study.about,
        "primary": primary,
        "metrics": metrics,
        "study": plan.study.model_dump(mode="json"),
        "protocol": plan.protocol.model_dump(mode="json"),
        "arms": {arm: _about_arm(plan, folders, arm, found, metrics) for arm, found in arms.items()},
        "curves": {metric: {arm: _curve(found, metric) for arm, found in arms.items()} for metric in metrics},
        "differences": [asdict(difference) for difference in differences],
        "sentences": [sentence(difference) for difference in differences if difference.metric == primary],
        "notes": notes(plan, arms),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def all_differences(plan: Plan, folders: Folders, arms: Mapping[str, Arm], metrics: list[str]) -> list[Difference]:
    """Every comparison of the study in every metric, the primary first; its p values alone are corrected and decide."""
    scores = {name: _scores(plan, folders, arm) for name, arm in arms.items()}
    tables: dict[tuple[str, str], np.ndarray] = {}
    people = _people(plan, folders, arms)
    found = []
    for metric in metrics:
        for pair in plan.study.compared():
            if not all(arms[name].values(metric) for name in pair):
                continue
            for name in pair:
                if metric in scores[name] and (name, metric) not in tables:
                    tables[name, metric] = resampled(scores[name][metric], people)
            found.append(_difference(pair, metric, arms, [tables.get((name, metric)) for name in pair]))
    primary = {f"{d.arm} {d.other}": d.p for d in found if d.metric == plan.study.primary and d.p is not None}
    adjusted = holm(primary)
    return [
        replace(d, adjusted=adjusted.get(f"{d.arm} {d.other}")) if d.metric == plan.study.primary else d for d in found
    ]


def _difference(
    pair: tuple[str, str], metric: str, arms: Mapping[str, Arm], tables: list[np.ndarray | None]
) -> Difference:
    arm, other = (arms[name].values(metric) for name in pair)
    span, p = welch(arm, other)
    first, second = tables
    over_both = None if first is None or second is None else hierarchical_interval(first, second)
    counts, means = (len(arm), len(other)), (mean(arm), mean(other))
    return Difference(*pair, metric, counts, means, means[0] - means[1], span, over_both, p)


def _scores(plan: Plan, folders: Folders, arm: Arm) -> dict[str, list[Score]]:
    """For each metric that people can be resampled for, the score of each run."""
    scores: dict[str, list[Score]] = {}
    for run, _ in arm.finished:
        columns, _, gram = folders.results(run).columns()
        for metric, column in columns.items():
            scores.setdefault(metric, []).append(mean_score(column))
        if gram is not None:
            scores.setdefault(f"fd_{plan.protocol.embedding}", []).append(frechet_score(gram))
    return scores


def _people(plan: Plan, folders: Folders, arms: Mapping[str, Arm]) -> list[np.ndarray]:
    """Resamples of the people whom all runs drew; raises ValueError where runs drew others."""
    every = {tuple(folders.results(run).columns()[1]) for arm in arms.values() for run, _ in arm.finished}
    if len(every) > 1:
        raise ValueError(f"runs in {folders.scores} were scored on different people; score them on one data set")
    return people_resamples(every.pop())


def sentence(d: Difference) -> str:
    """What a comparison shows, and no more."""
    counts = f"{d.seeds[0]} and {d.seeds[1]} runs"
    if d.over_seeds is None or d.adjusted is None:
        return (
            f"{d.arm} has {number(d.means[0])} and {d.other} {number(d.means[1])} in {d.metric} ({counts}): too few to "
            "say whether they differ."
        )
    seeds = _interval(d.over_seeds)
    if not d.sign:
        alone = "" if d.over_seeds[0] <= 0 <= d.over_seeds[1] else ", taken alone,"
        return (
            f"No difference between {d.arm} and {d.other} is shown in {d.metric}: these runs{alone} go with any "
            f"difference of {seeds} (95 % over seeds; {number(d.mean)} on average, p = {number(d.adjusted, 2)} after "
            f"correction, {counts})."
        )
    is_better = (d.sign > 0) == is_better_high(d.metric)
    both = f", over seeds and people {_interval(d.over_both)}" if d.over_both else ""
    where = "higher" if d.sign > 0 else "lower"
    return (
        f"{d.arm} is {'better' if is_better else 'worse'} than {d.other} in {d.metric}: "
        f"{number(abs(d.mean))} {where} (95 % of the difference: over seeds {seeds}{both}; "
        f"p = {number(d.adjusted, 2)} after correction, {counts})."
    )


def notes(plan: Plan, arms: Mapping[str, Arm]) -> list[str]:
    """What a reader must know before believing the numbers."""
    found = []
    for name, arm in arms.items():
        asked = plan.study.arms[name].seeds or plan.study.seeds
        if len(arm.finished) < asked:
            found.append(f"{name}: {len(arm.finished)} of {asked} runs are finished; the others are left out.")
        accuracies = [point.head_accuracy for _, point in arm.finished if point.head_accuracy is not None]
        num_steps = len(arm.finished[0][1].head.get("real", ())) if arm.finished else 0
        if accuracies and num_steps and is_at_chance(mean(accuracies), num_steps):
            found.append(
                f"{name}: its step head is at chance, right on {mean(accuracies):.0%} of real images where guessing is "
                f"right on {1 / num_steps:.0%}. Whatever this arm shows, it is not what a head that works does."
            )
    return found


def _about_arm(plan: Plan, folders: Folders, name: str, arm: Arm, metrics: list[str]) -> dict[str, Any]:
    """An arm's cost and scores, for the table of arms."""
    cost, ends = plan.costs[name], [found for _, found in arm.finished]
    return {
        "about": plan.study.arms[name].about,
        "config": plan.study.arms[name].config,
        "runs": len(ends),
        "rate": chosen_rate(plan, name, folders),
        "steps": round(mean(found.point.step for found in ends)) if ends else None,
        "training_flops": mean(found.flops for found in ends) if ends else None,
        "seconds": mean(found.seconds for found in ends) if ends else None,
        "image_flops": cost.image_flops,
        "parameters": cost.parameters,
        "scores": {metric: _spread(arm.values(metric)) for metric in metrics if arm.values(metric)},
        "head": {
            kind: np.mean([found.head[kind] for found in ends], axis=0).tolist()
            for kind in ("real", "fake") if ends and ends[0].head
        },
    }  # fmt: skip


def _curve(arm: Arm, metric: str) -> list[dict[str, float | int | None]]:
    """A metric at each point that some run has reached."""
    rows = []
    for _, points in sorted(arm.points.items()):
        values = [found.means[metric] for found in points if metric in found.means]
        if values:
            flops, seconds = mean(p.flops for p in points), mean(p.seconds for p in points)
            rows.append({"flops": flops, "seconds": seconds, **_spread(values)})
    return rows


def _spread(values: list[float]) -> dict[str, float | int | None]:
    return {"runs": len(values), "mean": mean(values), "deviation": stdev(values) if len(values) > 1 else None}


def _interval(span: tuple[float, float]) -> str:
    return f"{number(span[0])} to {number(span[1])}"
