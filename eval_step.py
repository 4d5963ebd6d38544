"""Score generated images, step by step, against ground truth.

A run of this project:   python eval_step.py --config C --name N --generated D
Anyone's images:         python eval_step.py --generated DIR --ground_truth DIR --protocol nted
The metrics themselves:  python eval_step.py --self_check
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from config.cli import run
from config.load import load_config
from config.schema import Config
from data.openpose import DEEPFASHION_FRAME, pose_file, read_keypoints
from data.pairs import output_name, read_list, read_pairs, store_key
from data.pose import face_box, to_image_frame
from data.store import ImageStore, store_path
from losses.face import face_crop
from metrics import folders, parallel
from metrics.evaluate import Pair, Track, TrackScores, equal_contents, score_tracks, summarise
from metrics.images import ImageFile, Size, array_image, image_file
from metrics.protocols import PROTOCOLS, load_protocol
from metrics.reals import real_statistics, set_hash
from metrics.report import Report, versions, write_json, write_rows
from metrics.scorer import FeatureStatistics, Scorer, load_scorer
from models.build import build_schedule
from models.schedules import Schedule
from trainers.distributed import connect

_LOG = logging.getLogger("eval_step")


@dataclass
class Task:
    """What is to be scored, wherever it comes from."""

    pairs: list[Pair]
    tracks: list[Track]
    size: Size
    reals: list[ImageFile]
    schedule: Schedule | None = None
    unmatched: dict[str, list[str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)


class Dataset:
    """Images and joints of a run's data: the raw `img/` folder where it is, else the store, which holds the same pixels."""

    def __init__(self, config: Config) -> None:
        self.root, self.size = Path(config.data.root), config.data.image_size
        self.store = None if (self.root / "img").is_dir() else ImageStore(store_path(self.root, self.size), self.size)

    def image(self, name: str) -> ImageFile:
        """An image by its name in the lists."""
        if self.store is None:
            return image_file(self.root / name, name)
        return array_image(name, partial(self.store.read, store_key(name)))

    def joints(self, name: str) -> np.ndarray | None:
        """(18, 2) joints in pixels, NaN where missing; None where there are no keypoints."""
        if self.store is not None and self.store.meta and self.store.meta.frame:
            return to_image_frame(self.store.read_keypoints(store_key(name)), self.size, frame=self.store.meta.frame)
        path = pose_file(self.root, name)
        return to_image_frame(read_keypoints(path), self.size, frame=DEEPFASHION_FRAME) if path.is_file() else None

    def pair(self, source: str, target: str) -> Pair:
        """The pair of one line of the test list."""
        joints = self.joints(target)
        face = None if joints is None else face_box(joints)
        return Pair(output_name(source, target), self.image(target), self.image(source), joints, face)


def parse_arguments() -> argparse.Namespace:
    """The command line; where there is no --config, --ground_truth stands for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="YAML file of the run: its test pairs, image size and schedule are used")
    parser.add_argument("--name", help="name of the run, for the report")
    parser.add_argument("--checkpoints_dir", default="result", help="folder of all runs (default result)")
    parser.add_argument("--seed", type=int, help="overrides `seed` of the config")
    parser.add_argument("--generated", type=Path, help="folder of generated images, perhaps with step_NN folders")
    parser.add_argument("--ground_truth", type=Path, help="folder of ground truth, for images of any method")
    parser.add_argument("--real", type=Path, help="folder or list of the real images behind FID and KID")
    parser.add_argument("--protocol", default="nted", help=f"{', '.join(PROTOCOLS)}, or a YAML file (default nted)")
    parser.add_argument("--output", type=Path, help="folder of the report (default: the one that holds --generated)")
    parser.add_argument("--cache", type=Path, default=Path("eval_cache"), help="folder of statistics of the reals")
    parser.add_argument("--strict", action="store_true", help="stop where a generated or true image has no partner")
    parser.add_argument("--self_check", action="store_true", help="check the metrics themselves and stop")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option, e.g. data.root=DIR")
    arguments = parser.parse_args()
    if not arguments.self_check and arguments.generated is None:
        raise ValueError("--generated is missing; name the folder of generated images")
    if not arguments.self_check and arguments.config is None and arguments.ground_truth is None:
        raise ValueError("give --config with --name (a run of this project) or --ground_truth (anyone's images)")
    return arguments


def task_from_config(arguments: argparse.Namespace) -> Task:
    """The test pairs of a run's configuration; reals are train.lst, or the test targets where there is none."""
    overrides = [*arguments.overrides, *([] if arguments.seed is None else [f"seed={arguments.seed}"])]
    config = load_config(arguments.config, overrides)
    dataset = Dataset(config)
    lines = read_pairs(dataset.root / "test_pairs.txt")
    every = {output_name(line.sources[0], line.target): (line.sources[0], line.target) for line in lines}
    present = {path.name: path for path in folders.list_images(arguments.generated)}
    names = sorted(every.keys() & present.keys())
    if not names:
        raise ValueError(
            f"{arguments.generated} holds no image of {dataset.root}/test_pairs.txt; run inference.py first"
        )
    schedule = build_schedule(config.schedule, dataset.size)
    task = Task([dataset.pair(*every[name]) for name in names], [], dataset.size, [], schedule)
    task.unmatched = {
        "generated_only": sorted(present.keys() - every),
        "ground_truth_only": sorted(every.keys() - present),
    }
    task.tracks = _step_tracks(arguments.generated, names, {name: present[name] for name in names}, schedule, task)
    task.tracks.append(_copy_source(task.pairs))
    listed = dataset.root / "train.lst"
    if listed.is_file():
        task.reals = [dataset.image(name) for name in read_list(listed)]
    return task


def task_from_folders(arguments: argparse.Namespace) -> Task:
    """Anyone's images beside their ground truth; steps need --config for their schedule."""
    matches = folders.match_folders(arguments.generated, arguments.ground_truth)
    files = {name: pair[0] for name, pair in matches.pairs.items()}
    truths = {path: image_file(path) for _, path in matches.pairs.values()}
    pairs = [Pair(name, truths[truth]) for name, (_, truth) in sorted(matches.pairs.items())]
    first = image_file(next(iter(files.values()))).read()
    task = Task(pairs, [], (first.shape[0], first.shape[1]), [])
    task.unmatched = {"generated_only": matches.generated_only, "ground_truth_only": matches.ground_truth_only}
    task.tracks = _step_tracks(arguments.generated, [pair.name for pair in pairs], files, None, task)
    return task


def _step_tracks(
    folder: Path, names: list[str], final: dict[str, Path], schedule: Schedule | None, task: Task
) -> list[Track]:
    """A track for each step's folder; without step folders (or a schedule to degrade by) one for the final images."""
    steps = folders.step_folders(folder)
    if steps and schedule is None:
        task.decisions.append(
            "step folders are left out: without --config there is no schedule to degrade ground truth by"
        )
    if not steps or schedule is None:
        return [Track("final", {name: image_file(path) for name, path in final.items()})]
    if len(steps) != schedule.num_steps:
        raise ValueError(
            f"{folder} has {len(steps)} step folders, schedule.num_steps is {schedule.num_steps}; use the run's config"
        )
    return [
        Track(
            f"step_{step:02d}",
            {name: image_file(path / name, f"{path.name}/{name}") for name in names},
            None if step + 1 == schedule.num_steps else partial(schedule.degrade, level=step + 1),
        )
        for step, path in enumerate(steps)
    ]


def _copy_source(pairs: list[Pair]) -> Track:
    return Track("copy_source", {pair.name: pair.source for pair in pairs if pair.source}, prepared=False)


def choose_reals(arguments: argparse.Namespace, task: Task) -> None:
    """The real set: --real, else what the run's data says, else the ground truth itself, said aloud."""
    if arguments.real is not None and arguments.real.is_dir():
        task.reals = [image_file(path, str(path)) for path in folders.list_images(arguments.real)]
    elif arguments.real is not None:
        places = [arguments.real.parent, arguments.real.parent / "img"]
        task.reals = [image_file(path, str(path)) for path in folders.read_image_list(arguments.real, places)]
    if not task.reals:
        task.reals = list({pair.target.name: pair.target for pair in task.pairs}.values())
        task.decisions.append("no real set was given: FID and KID compare with the ground truth of the scored pairs")


def evaluate(task: Task, scorer: Scorer, cache: Path) -> tuple[list[TrackScores], list[dict[str, Any]], dict[str, Any]]:
    """Scores of all tracks, their means, and what the real set was."""
    scores = score_tracks(task.pairs, task.tracks, scorer, task.size)
    reals: list[FeatureStatistics | None] = [None] * len(task.tracks)
    about: dict[str, Any] = {"count": len(task.reals), "hash": None}
    if scorer.features is not None:
        about["hash"] = set_hash(task.reals)
        degrades = [track.degrade for track in task.tracks]
        reals[:] = real_statistics(task.reals, about["hash"], degrades, scorer, task.size, cache)
    return scores, [summarise(one, real, scorer) for one, real in zip(scores, reals, strict=True)], about


def build_report(
    arguments: argparse.Namespace, task: Task, scorer: Scorer, scores: list[TrackScores], means: list[dict[str, Any]]
) -> Report:
    """Everything that the numbers need to be understood."""
    by_label = dict(zip((track.label for track in task.tracks), means, strict=True))
    copy_source = by_label.pop("copy_source", None)
    return {
        "name": arguments.name or arguments.generated.name,
        "steps": [{"step": step, "label": label, **mean} for step, (label, mean) in enumerate(by_label.items())],
        "copy_source": copy_source,
        "protocol": scorer.protocol.model_dump(mode="json"),
        "missing": [asdict(missing) for missing in scorer.missing],
        "decisions": task.decisions,
        "counts": {
            "pairs": len(task.pairs),
            "generated_only": len(task.unmatched["generated_only"]),
            "ground_truth_only": len(task.unmatched["ground_truth_only"]),
            "equal_contents": equal_contents(scores[0].rows),
        },
        "unmatched": task.unmatched,
        "image_size": list(task.size),
        "versions": versions(),
    }


def main() -> int:
    arguments = parse_arguments()
    cv2.setNumThreads(1)  # the images themselves are shared among threads
    with connect() as world:
        scorer = load_scorer(load_protocol(arguments.protocol), world.device, face_crop)
        task = task_from_config(arguments) if arguments.config else task_from_folders(arguments)
        choose_reals(arguments, task)
        scores, means, about = evaluate(task, scorer, arguments.cache)
        if parallel.rank_and_world()[0] == 0:
            report = build_report(arguments, task, scorer, scores, means)
            report["reals"] = about
            folder = arguments.output or arguments.generated.resolve().parent
            write_json(folder / "report.json", report)
            rows = [{"track": t.label, **row} for t, one in zip(task.tracks, scores, strict=True) for row in one.rows]
            write_rows(folder / "per_image.csv", rows)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
