"""A whole evaluation: reals, gallery, scores, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metrics.evaluate import TrackScores, load_gallery, score_tracks
from metrics.html import number
from metrics.reals import Reals, check_reals, prepare_reals, set_hash
from metrics.report import Report, build_report, metric_names
from metrics.scorer import Scorer
from metrics.task import COPY_SOURCE, Task


def score_task(name: str, task: Task, scorer: Scorer, cache: Path) -> tuple[Report, list[TrackScores]] | None:
    """The report of a task and the scores behind it, on the main process; None on the others. Raises like `measure`."""
    scores, about, _ = measure(task, scorer, cache)
    return (build_report(name, task, scorer, scores, about), scores) if scores else None


def measure(task: Task, scorer: Scorer, cache: Path) -> tuple[list[TrackScores], dict[str, Any], Reals | None]:
    """The scores of a task's tracks, on the main process, what there is to say of the reals, and the reals.

    Statistics of the reals are kept in the folder `cache`. Raises ValueError for an image that is damaged or of another
    size, and for reals that the protocol does not expect.
    """
    reals: Reals | None = None
    about: dict[str, Any] = {"count": len(task.reals), "hash": None}
    if scorer.networks:
        degrades = [None, *(track.degrade for track in task.tracks if track.degrade is not None)]
        about["hash"] = set_hash(task.reals)
        check_reals(about["hash"], scorer.protocol)
        reals = prepare_reals(Reals(task.reals, about["hash"], scorer, task.size, cache), degrades)
    gallery = load_gallery(task, scorer)
    if gallery is not None:
        about["gallery"] = f"{len(gallery.names)} images of {gallery.num_persons} persons"
        targets, persons = zip(*((pair.target.name, pair.person) for pair in task.pairs), strict=True)
        about["ceiling"] = gallery.ceiling(targets, persons)
    return score_tracks(task, scorer, reals, gallery), about, reals


def terminal_table(report: Report) -> str:
    """What a terminal shows: what is missing, what was decided, and the numbers of each step."""
    lines = [f"missing: {', '.join(item['metrics'])}: {item['reason']}" for item in report["missing"]]
    lines += [f"note: {text}" for text in report["decisions"]]
    metrics = metric_names(report["steps"][-1])
    rows = {step["label"]: step for step in report["steps"]} | {COPY_SOURCE: report["copy_source"]}
    rows["ground truth"] = report["ceiling"]
    rows |= {f"{step['label']} at its level": step["at_level"] for step in report["steps"]}
    table = [["", *metrics]] + [[label, *(number(row.get(m)) for m in metrics)] for label, row in rows.items() if row]
    lines += [" ".join(f"{cell:>{20 if i == 0 else 13}}" for i, cell in enumerate(cells)) for cells in table]
    return "\n".join(lines) + "\n"
