"""A whole evaluation: reals, gallery, scores, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metrics.evaluate import TrackScores, load_gallery, score_tracks
from metrics.protocols import Protocol
from metrics.reals import Reals, prepare_reals, set_hash
from metrics.report import Report, build_report
from metrics.scorer import Scorer
from metrics.task import Task


def score_task(name: str, task: Task, scorer: Scorer, cache: Path) -> tuple[Report, list[TrackScores]] | None:
    """The report of a task and the scores behind it, on the main process; None on the others.

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
    scores = score_tracks(task, scorer, reals, gallery)
    return (build_report(name, task, scorer, scores, about), scores) if scores else None


def check_reals(content: str, protocol: Protocol) -> None:
    """Raise ValueError where a protocol accepts one real set only, and this is another."""
    if protocol.real_hash not in (None, content):
        raise ValueError(f"the reals have the hash {content}, protocol {protocol.name} expects {protocol.real_hash}")
