"""What is to be scored, from a run's configuration or from anyone's folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from config.schema import Config
from data.pairs import output_name, read_pairs
from evaluation.dataset import Dataset
from evaluation.manifest import FILE, Manifest, read_manifest
from images.names import dataset_of, person_of
from metrics import folders
from metrics.images import ImageFile, image_file
from metrics.protocols import Protocol
from metrics.task import COPY_SOURCE, Pair, Task, Track
from models.families import build_schedule
from models.schedules import Schedule
from trainers.checkpoints import GENERATOR_KEYS, check_config


@dataclass(frozen=True)
class Request:
    """Where images, their ground truth and the reals are: what the command line of eval_step.py says."""

    generated: Path
    protocol: Protocol
    device: torch.device
    config: Config | None = None
    name: str | None = None
    ground_truth: Path | None = None
    real: Path | None = None
    strict: bool = False


def make_task(request: Request) -> Task:
    """The task of a request; raises ValueError where files are missing or do not agree with each other."""
    manifest = read_manifest(request.generated)
    if manifest is not None:
        _check_manifest(manifest, request)
    task = _from_folders(request, manifest) if request.ground_truth else _from_config(request, manifest)
    if request.strict and any(task.unmatched.values()):
        counts = ", ".join(f"{len(names)} {side.replace('_', ' ')}" for side, names in task.unmatched.items())
        raise ValueError(f"--strict: names do not match ({counts}); run without --strict for the list of them")
    task.origin = manifest.origin() if manifest else None
    _choose_reals(request, task)
    return task


def _check_manifest(manifest: Manifest, request: Request) -> None:
    """Raise ValueError where a folder is not what its manifest says, or not what the command takes it for."""
    path = request.generated / FILE
    if request.config is not None:
        check_config(path, json.dumps(manifest.config), request.config, GENERATOR_KEYS)
    if request.name not in (None, manifest.run):
        raise ValueError(f"{path} says that the images are of run {manifest.run}, --name is {request.name}")
    wanted = set(manifest.names)
    for folder in [request.generated, *(request.generated / step for step in manifest.steps)]:
        missing = [name for name in manifest.names if not (folder / name).is_file()]
        if missing:
            raise ValueError(
                f"{folder} lacks {len(missing)} of the {len(wanted)} images of its {FILE}, the first: {missing[0]}; "
                "call inference.py again to have them drawn"
            )
    beside = [path for path in folders.list_images(request.generated) if path.parent == request.generated]
    strangers = sorted({path.name for path in beside} - wanted)
    others = {path.name for path in folders.step_folders(request.generated)} - set(manifest.steps)
    if strangers or others:
        first = sorted(others)[0] if others else strangers[0]
        raise ValueError(f"{request.generated / first} is not in {FILE}; move what is of another origin elsewhere")


def _from_config(request: Request, manifest: Manifest | None) -> Task:
    """The test pairs of a run's configuration; reals are train.lst where there is one."""
    assert request.config is not None
    dataset = Dataset(request.config, request.protocol.scored_size(request.config.data.image_size))
    listed = dataset.root / "test_pairs.txt"
    drawn_with = manifest.config["data"].get("num_sources", 1) if manifest else request.config.data.num_sources
    every = _listed(listed, drawn_with)
    if manifest and (unknown := sorted(set(manifest.names) - every.keys())):
        raise ValueError(f"{unknown[0]} of {request.generated / FILE} is no pair of {listed}; give the data it is of")
    images = folders.list_images(request.generated)
    present = folders.by_png_name([path for path in images if path.parent == request.generated])
    names = sorted(every.keys() & present.keys())
    if not names:
        raise ValueError(f"{request.generated} holds no image of {listed}; run inference.py first")
    task = Task([dataset.pair(*every[name]) for name in names], [], dataset.size)
    task.unmatched = {
        "generated_only": sorted(present.keys() - every.keys()),
        "ground_truth_only": sorted(every.keys() - present.keys()),
    }
    _add_tracks(task, request, {name: present[name] for name in names})
    task.reals = dataset.reals()
    return task


def _listed(pairs_file: Path, num_sources: int) -> dict[str, tuple[str, ...]]:
    """Output names of a pairs file, each with its first source, target and further sources."""
    lines = read_pairs(pairs_file)
    images = [(line.sources[0], line.target, *line.sources[1:num_sources]) for line in lines]
    return {output_name(*names): names for names in images}


def _from_folders(request: Request, manifest: Manifest | None) -> Task:
    """Anyone's images beside their ground truth; step folders need a configuration, for its schedule."""
    assert request.ground_truth is not None
    matches = folders.match_folders(request.generated, request.ground_truth)
    pairs = [
        Pair(name, image_file(truth, str(truth)), _source(matches, name), _person(truth, request.ground_truth))
        for name, (_, truth) in sorted(matches.pairs.items())
    ]
    first = image_file(matches.pairs[pairs[0].name][0]).read()
    task = Task(pairs, [], request.protocol.scored_size((first.shape[0], first.shape[1])))
    task.unmatched = {"generated_only": matches.generated_only, "ground_truth_only": matches.ground_truth_only}
    _add_tracks(task, request, {name: pair[0] for name, pair in matches.pairs.items()})
    return task


def _person(truth: Path, folder: Path) -> str | None:
    """Whose image it is, where its name has a form that says so."""
    name = truth.relative_to(folder).as_posix()
    return person_of(name) if dataset_of(name) else None


def _source(matches: folders.Matches, name: str) -> ImageFile | None:
    path = matches.sources.get(name)
    return image_file(path, str(path)) if path else None


def _add_tracks(task: Task, request: Request, final: dict[str, Path]) -> None:
    """A track for each step's folder and the results; and the baseline where all sources are known."""
    steps = folders.step_folders(request.generated)
    if steps and request.config is None:
        task.decisions.append("step folders are left out: their ground truth needs the schedule of a --config")
    if steps and request.config is not None:
        schedule = build_schedule(request.config.schedule, task.size).to(request.device)
        task.tracks = _step_tracks(steps, final, schedule)
    else:
        task.tracks = [Track("final", {name: image_file(path) for name, path in final.items()})]
    sources = {pair.name: pair.source for pair in task.pairs if pair.source is not None}
    if len(sources) == len(task.pairs):
        task.tracks.append(Track(COPY_SOURCE, sources, prepared=False))
    else:
        task.decisions.append("copying the source is not scored: not all sources are known")


def _step_tracks(steps: list[Path], final: dict[str, Path], schedule: Schedule) -> list[Track]:
    """Every step's images; those of the last step are the results, which must be the same."""
    folder = steps[0].parent
    files = {name: path.relative_to(folder) for name, path in final.items()}
    if len(steps) != schedule.num_steps:
        raise ValueError(
            f"{folder} has {len(steps)} step folders, schedule.num_steps is {schedule.num_steps}; "
            "use the configuration that the images were made with"
        )
    for name, path in final.items():
        last = image_file(steps[-1] / files[name])
        if last.digest() != image_file(path).digest() and (last.read() != image_file(path).read()).any():
            raise ValueError(f"{path} is not the image of the last step, {steps[-1] / files[name]}: two runs are mixed")
    tracks = [
        Track(
            path.name,
            {name: image_file(path / file, f"{path.name}/{file}") for name, file in files.items()},
            partial(schedule.degrade, level=step + 1),
        )
        for step, path in enumerate(steps[:-1])
    ]
    return [*tracks, Track(steps[-1].name, {name: image_file(path) for name, path in final.items()})]


def _choose_reals(request: Request, task: Task) -> None:
    """The real set: what was given, else what the run's data says, else the ground truth itself, said aloud."""
    real = request.real
    if real is not None and real.is_dir():
        task.reals = [image_file(path, str(path)) for path in folders.list_images(real)]
    elif real is not None:
        listed = folders.read_image_list(real, [real.parent, real.parent / "img"])
        task.reals = [image_file(path, str(path)) for path in listed]
    if not task.reals:
        task.reals = list({pair.target.name: pair.target for pair in task.pairs}.values())
        task.decisions.append("no real set was given: distances of sets are to the ground truth of the scored pairs")
