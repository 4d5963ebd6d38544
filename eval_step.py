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
import torch

from config.cli import Parser, run
from config.load import load_config
from config.schema import Config
from data.frames import keypoint_frame
from data.lists import check_listed
from data.openpose import DEEPFASHION_FRAME, pose_file, read_keypoints
from data.pairs import output_name, read_list, read_pairs, store_key
from data.pose import face_box, to_image_frame
from data.store import ImageStore, store_path
from images.pixels import Size
from losses.face import face_crop
from metrics import folders
from metrics.evaluate import Pair, Track, TrackScores, equal_contents, score_tracks, summarise
from metrics.html import number
from metrics.images import ImageFile, array_image, image_file, prepare, read_generated
from metrics.pages import report_page
from metrics.protocols import PROTOCOLS, Protocol, load_protocol
from metrics.reals import real_statistics, set_hash
from metrics.report import Report, markdown, metric_names, rows_path, versions, write_json, write_rows
from metrics.scorer import FeatureStatistics, Scorer, load_scorer
from metrics.self_check import CHECK_SIZE, self_check
from metrics.slices import describe, intervals, slice_means
from models.families import SCHEDULES, build_schedule
from models.schedules import Schedule, ScheduleConfig
from trainers.distributed import connect

_LOG = logging.getLogger("eval_step")
Means = dict[str, Any]
COPY_SOURCE = "copy_source"
FEW_IMAGES = 2048  # fewer than the width of the features: their covariance is singular


@dataclass
class Task:
    """What is to be scored, wherever it comes from."""

    pairs: list[Pair]
    tracks: list[Track]
    size: Size
    reals: list[ImageFile]
    unmatched: dict[str, list[str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)


class Dataset:
    """Images and joints of a run's data.

    Images come from the raw `img/` folder where it is, else from the store with the same pixels; joints from the store
    where it holds them, since it knows their frame, else from `pose/`.
    """

    def __init__(self, config: Config, size: Size) -> None:
        self.root, self.size = Path(config.data.root), size
        path, self.has_raw = store_path(self.root, self.size), (self.root / "img").is_dir()
        self.store = ImageStore(path, self.size) if path.is_dir() or not self.has_raw else None

    def image(self, name: str) -> ImageFile:
        """An image by its name in the lists."""
        if self.has_raw or self.store is None:
            return image_file(self.root / name, name)
        return array_image(name, partial(self.store.read, store_key(name)))

    def joints(self, name: str) -> np.ndarray | None:
        """(18, 2) joints in pixels, NaN where missing; None where there are no keypoints."""
        if self.store is not None and self.store.meta and self.store.meta.frame:
            return to_image_frame(self.store.read_keypoints(store_key(name)), self.size, frame=self.store.meta.frame)
        path = pose_file(self.root, name)
        frame = keypoint_frame(self.root, DEEPFASHION_FRAME)
        return to_image_frame(read_keypoints(path), self.size, frame=frame) if path.is_file() else None

    def pair(self, source: str, target: str) -> Pair:
        """The pair of one line of the test list."""
        joints = self.joints(target)
        face = None if joints is None else face_box(joints)
        return Pair(output_name(source, target), self.image(target), self.image(source), joints, face)


def parse_arguments() -> argparse.Namespace:
    """The command line; where there is no --config, --ground_truth stands for it."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="YAML file of the run: its test pairs, image size and schedule are used")
    parser.add_argument("--name", help="name of the run, for the report")
    parser.add_argument("--checkpoints_dir", default="result", help="accepted, not used: scores need images alone")
    parser.add_argument("--seed", type=int, help="overrides `seed` of the config")
    parser.add_argument("--generated", type=Path, help="folder of generated images, perhaps with step_NN folders")
    parser.add_argument("--ground_truth", type=Path, help="folder of ground truth, for images of any method")
    parser.add_argument("--real", type=Path, help="folder or list of the real images behind FID and KID")
    parser.add_argument("--protocol", default="nted", help=f"{', '.join(PROTOCOLS)}, or a YAML file (default nted)")
    parser.add_argument("--output", type=Path, help="folder of the report (default: the one that holds --generated)")
    parser.add_argument("--cache", type=Path, default=Path("eval_cache"), help="folder of statistics of the reals")
    parser.add_argument("--pckh", action="store_true", help="score poses with a detector too (slow on a CPU)")
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


def read_config(arguments: argparse.Namespace) -> Config:
    """The run's configuration with the overrides of the command line."""
    seed = [] if arguments.seed is None else [f"seed={arguments.seed}"]
    return load_config(arguments.config, [*arguments.overrides, *seed])


def task_from_config(arguments: argparse.Namespace, protocol: Protocol) -> Task:
    """The test pairs of a run's configuration; reals are train.lst where there is one."""
    config = read_config(arguments)
    dataset = Dataset(config, protocol.scored_size(config.data.image_size))
    listed, reals = dataset.root / "test_pairs.txt", dataset.root / "train.lst"
    every = {output_name(line.sources[0], line.target): (line.sources[0], line.target) for line in read_pairs(listed)}
    images = folders.list_images(arguments.generated)
    present = folders.by_png_name([path for path in images if path.parent == arguments.generated])
    names = sorted(every.keys() & present.keys())
    if not names:
        raise ValueError(f"{arguments.generated} holds no image of {listed}; run inference.py first")
    task = Task([dataset.pair(*every[name]) for name in names], [], dataset.size, [])
    task.unmatched = {
        "generated_only": sorted(present.keys() - every.keys()),
        "ground_truth_only": sorted(every.keys() - present.keys()),
    }
    schedule = build_schedule(config.schedule, dataset.size)
    _add_tracks(task, arguments, {name: present[name] for name in names}, schedule)
    names = read_list(reals) if reals.is_file() else []
    if dataset.has_raw:
        check_listed(dataset.root, names)
    task.reals = [dataset.image(name) for name in names]
    return task


def task_from_folders(arguments: argparse.Namespace, protocol: Protocol) -> Task:
    """Anyone's images beside their ground truth; step folders need --config, for its schedule."""
    matches = folders.match_folders(arguments.generated, arguments.ground_truth)
    sources = folders.find_sources(matches.pairs, arguments.ground_truth)
    pairs = [
        Pair(name, image_file(truth, str(truth)), image_file(sources[name]) if name in sources else None)
        for name, (_, truth) in sorted(matches.pairs.items())
    ]
    first = image_file(matches.pairs[pairs[0].name][0]).read()
    size = protocol.scored_size((first.shape[0], first.shape[1]))
    task = Task(pairs, [], size, [])
    task.unmatched = {"generated_only": matches.generated_only, "ground_truth_only": matches.ground_truth_only}
    schedule = build_schedule(read_config(arguments).schedule, size) if arguments.config else None
    _add_tracks(task, arguments, {name: pair[0] for name, pair in matches.pairs.items()}, schedule)
    return task


def _add_tracks(task: Task, arguments: argparse.Namespace, final: dict[str, Path], schedule: Schedule | None) -> None:
    """A track for each step's folder, or one for the final images; and the baseline where all sources are known."""
    if arguments.strict and any(task.unmatched.values()):
        counts = ", ".join(f"{len(names)} {side.replace('_', ' ')}" for side, names in task.unmatched.items())
        raise ValueError(f"--strict: names do not match ({counts}); run without --strict for the list of them")
    steps = folders.step_folders(arguments.generated)
    if steps and schedule is None:
        task.decisions.append("step folders are left out: their ground truth needs the schedule of a --config")
    if steps and schedule is not None:
        task.tracks = _step_tracks(steps, final, schedule)
    else:
        task.tracks = [Track("final", {name: image_file(path) for name, path in final.items()})]
    sources = {pair.name: pair.source for pair in task.pairs if pair.source is not None}
    if len(sources) == len(task.pairs):
        task.tracks.append(Track(COPY_SOURCE, sources, prepared=False))
    else:
        task.decisions.append("copying the source is not scored: not all sources are known")


def _step_tracks(steps: list[Path], final: dict[str, Path], schedule: Schedule) -> list[Track]:
    files = {name: path.relative_to(steps[0].parent) for name, path in final.items()}
    if len(steps) != schedule.num_steps:
        raise ValueError(
            f"{steps[0].parent} has {len(steps)} step folders, schedule.num_steps is {schedule.num_steps}; "
            "use the configuration that the images were made with"
        )
    return [
        Track(
            path.name,
            {name: image_file(path / file, f"{path.name}/{file}") for name, file in files.items()},
            None if step + 1 == schedule.num_steps else partial(schedule.degrade, level=step + 1),
        )
        for step, path in enumerate(steps)
    ]


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


def score(task: Task, scorer: Scorer, cache: Path) -> tuple[list[TrackScores], list[Means], dict[str, Any]]:
    """Scores of all tracks, their means, and what the real set was."""
    reals: list[FeatureStatistics | None] = [None] * len(task.tracks)
    about: dict[str, Any] = {"count": len(task.reals), "hash": None}
    if scorer.features is not None:
        about["hash"] = content = set_hash(task.reals)
        _check_reals(content, scorer.protocol)
        reals[:] = real_statistics(
            task.reals, content, [track.degrade for track in task.tracks], scorer, task.size, cache
        )
    scores = score_tracks(task.pairs, task.tracks, scorer, task.size)
    return scores, [summarise(one, real, scorer) for one, real in zip(scores, reals, strict=True)], about


def build_report(task: Task, scorer: Scorer, scores: list[TrackScores], means: list[Means]) -> Report:
    """Everything that the numbers need to be understood."""
    described = {pair.name: describe(pair) for pair in task.pairs}
    for one, mean in zip(scores, means, strict=True):
        mean["intervals"] = intervals(one.rows)
        for row in one.rows:
            row |= described[row["name"]]
    by_label = dict(zip((track.label for track in task.tracks), means, strict=True))
    copy_source = by_label.pop(COPY_SOURCE, None)
    return {
        "steps": [{"step": step, "label": label, **mean} for step, (label, mean) in enumerate(by_label.items())],
        "copy_source": copy_source,
        "slices": slice_means(final_rows(task, scores)),
        "protocol": scorer.protocol.model_dump(mode="json"),
        "missing": [asdict(missing) for missing in scorer.missing],
        "decisions": [*task.decisions, *remarks(task, scorer, scores)],
        "counts": {"pairs": len(task.pairs)} | {side: len(names) for side, names in task.unmatched.items()},
        "unmatched": task.unmatched,
        "image_size": list(task.size),
        "versions": versions(),
    }


def final_rows(task: Task, scores: list[TrackScores]) -> list[dict[str, Any]]:
    """The scores of the final images: the last track but the baseline."""
    return [one.rows for track, one in zip(task.tracks, scores, strict=True) if track.label != COPY_SOURCE][-1]


def remarks(task: Task, scorer: Scorer, scores: list[TrackScores]) -> list[str]:
    """What was decided about unusual images, in sentences."""
    protocol, rows, found = scorer.protocol, final_rows(task, scores), []
    for side, names in task.unmatched.items():
        if names:
            found.append(f"{len(names)} images are {side.replace('_', ' ')} and left out, the first: {names[0]}")
    images = _final(task).images.values()
    shape = next(iter(images)).read().shape[:2]
    if shape != task.size:
        form = f"columns {protocol.crop_columns} of" if protocol.squares == "frame" else "scaled from"
        found.append(f"scored at {task.size[0]}x{task.size[1]}: {form} the generated {shape[0]}x{shape[1]}")
    if (jpegs := sum(not image.name.endswith(".png") for image in images)) and protocol.file_format == "png":
        found.append(f"{jpegs} generated images are not PNG: JPEG artefacts are part of their scores")
    if copies := equal_contents(rows):
        found.append(f"{copies} generated images are copies of another one, and scored like the rest")
    if exact := sum(row["psnr"] == float("inf") for row in rows):
        found.append(f"{exact} generated images equal their ground truth: their infinite PSNR is left out of the mean")
    shortest = min(protocol.canvas or task.size)
    if any(variant.window == "uniform" and variant.size > shortest for variant in protocol.ssim.values()):
        found.append(
            f"the SSIM window is larger than the images and was shrunk to {shortest - 1 + shortest % 2} pixels"
        )
    if scorer.features is not None:
        found += _remarks_on_reals(len(task.pairs), len(task.reals), protocol)
    return found


def _remarks_on_reals(fakes: int, reals: int, protocol: Protocol) -> list[str]:
    found = []
    if min(fakes, reals) < FEW_IMAGES:
        state = "needs two images on each side" if min(fakes, reals) < 2 else "is biased upward"
        found.append(f"FID of {fakes} images against {reals} reals {state}; compare equal counts only")
    if protocol.real_count not in (None, reals):
        found.append(f"{reals} reals, the protocol's numbers use {protocol.real_count} ({protocol.real_set})")
    return found


def write_report(arguments: argparse.Namespace, task: Task, report: Report, scores: list[TrackScores]) -> Path:
    """report.json, report.md, report.html and per_image.csv; returns the path of the first."""
    output = arguments.output or arguments.generated.resolve().parent
    path = output if output.suffix == ".json" else output / "report.json"
    write_json(path, report)
    rows = [{"track": t.label, **row} for t, one in zip(task.tracks, scores, strict=True) for row in one.rows]
    write_rows(rows_path(path), rows)
    path.with_suffix(".md").write_text(markdown(report), encoding="utf-8")
    page = report_page(report, final_rows(task, scores), partial(example, task, load_protocol(arguments.protocol)))
    path.with_suffix(".html").write_text(page, encoding="utf-8")
    return path


def example(task: Task, protocol: Protocol, name: str) -> list[np.ndarray]:
    """Source (where known), ground truth and final image of a pair, all of one size."""
    pair = next(pair for pair in task.pairs if pair.name == name)
    truths = [image for image in (pair.source, pair.target) if image is not None]
    prepared = [prepare(image.read(), task.size, protocol, image.name) for image in truths]
    return [*prepared, read_generated(_final(task).images[name], task.size, protocol)]


def check_metrics(device: torch.device, protocol: Protocol) -> int:
    """`--self_check`: a line for each check; exit code 1 where one fails."""
    schedules: dict[str, ScheduleConfig] = {name: schedule.Config() for name, schedule in SCHEDULES.items()}
    degrades = {
        f"{kind}, level {level}": partial(build_schedule(section, CHECK_SIZE).degrade, level=level)
        for kind, section in schedules.items()
        for level in (1, section.num_steps // 2, section.num_steps)
    }
    checks = self_check(load_scorer(protocol, device), degrades)
    for check in checks:
        sys.stdout.write(f"{check.outcome:<8}{check.name}: {check.detail}\n")
    return int(any(check.outcome == "FAILED" for check in checks))


def _final(task: Task) -> Track:
    return [track for track in task.tracks if track.label != COPY_SOURCE][-1]


def _check_reals(content: str, protocol: Protocol) -> None:
    if protocol.real_hash not in (None, content):
        raise ValueError(f"the reals have the hash {content}, protocol {protocol.name} expects {protocol.real_hash}")


def _summary(report: Report) -> str:
    lines = [f"missing: {', '.join(item['metrics'])}: {item['reason']}" for item in report["missing"]]
    lines += [f"note: {text}" for text in report["decisions"]]
    metrics = metric_names(report)
    lines.append(" ".join(f"{cell:>12}" for cell in ["", *metrics]))
    rows = [*((step["label"], step) for step in report["steps"]), (COPY_SOURCE, report["copy_source"] or {})]
    lines += [
        " ".join(f"{cell:>12}" for cell in [label, *(number(r.get(m)) for m in metrics)]) for label, r in rows if r
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    arguments = parse_arguments()
    cv2.setNumThreads(1)  # whole images are shared among threads
    protocol = load_protocol(arguments.protocol)
    with connect() as world:
        if arguments.self_check:
            return check_metrics(world.device, protocol)
        if world.is_main:
            _LOG.info("protocol\n  %s", "\n  ".join(protocol.lines()))
        make_task = task_from_folders if arguments.ground_truth else task_from_config
        task = make_task(arguments, protocol)
        choose_reals(arguments, task)
        scorer = load_scorer(protocol, world.device, face_crop, arguments.pckh)
        scores, means, reals = score(task, scorer, arguments.cache)
        if world.is_main:
            report = {"name": arguments.name or arguments.generated.resolve().name}
            report |= build_report(task, scorer, scores, means) | {"reals": reals}
            path = write_report(arguments, task, report, scores)
            sys.stdout.write(f"{_summary(report)}{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
