"""Do several photographs help? Unseen synthetic people drawn from front, back, both and three views.

python -m benchmarks.several steps --config C --steps 2000 --num_sources 3 [key=value ...]
python -m benchmarks.several score --runs result/one result/several --people 100 --output result/several

`steps` prints how many steps on several sources cost as many floating-point operations as so many on one. `score` draws
every person's front, side and back from the photographs that each set of sources holds, and writes `report.md`,
`report.json` and `people.jpg`. bash benchmarks/several.sh does all of it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from config.cli import run
from config.load import load_config
from data.pose import scale_joints
from data.synthetic.layout import draw_view, person_model
from features.lite0 import EfficientNetLite0
from images.pixels import Pixels, resize, to_signed, to_tensor, to_uint8
from images.writing import write_image, write_text
from metrics.paired import SsimWindow, fit_window, ssim
from metrics.resampling import bootstrap_interval
from models.rollout import Pair
from models.sources import for_each
from studies.cost import cost_of
from studio.pictures import labelled_grid
from studio.pipeline import StepPose

SEED = 1_000_003  # of people that no training has seen
VIEWS = ("1_front", "2_side", "3_back")
SETS: dict[str, list[int]] = {"front alone": [0], "back alone": [2], "front and back": [0, 2], "three views": [0, 1, 2]}
METRICS = ("l1", "person_l1", "ssim", "lite0")
SHOWN_PEOPLE, PEOPLE_AT_ONCE = 6, 8
SIZE = (512, 352)  # people are drawn so large, then resized, as training data are


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    steps = commands.add_parser("steps")
    steps.add_argument("--config", required=True, help="YAML file")
    steps.add_argument("--steps", type=int, required=True, help="training steps on one source")
    steps.add_argument("--num_sources", type=int, default=3)
    steps.add_argument("overrides", nargs="*", metavar="key=value")
    score = commands.add_parser("score")
    score.add_argument("--runs", nargs="+", type=Path, required=True, help="folders of runs, one source first")
    score.add_argument("--people", type=int, default=100)
    score.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    score.add_argument("--output", type=Path, required=True, help="folder of the report")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.command == "steps":
        flops = [step_flops(arguments, number) for number in (1, arguments.num_sources)]
        sys.stdout.write(f"{round(arguments.steps * flops[0] / flops[1])}\n")
        return
    people = [Album.drawn(number) for number in tqdm(range(arguments.people), desc="drawing people", unit="person")]
    runs = {folder.name: StepPose.load(folder, device=arguments.device) for folder in arguments.runs}
    scorer = Scorer()
    results = {name: measure(model, people, scorer) for name, model in runs.items()}
    scores = {name: part.scores for name, part in results.items()}
    steps = {name: model.trained_steps for name, model in runs.items()}
    write_text(arguments.output / "report.json", json.dumps({"trained_steps": steps, "scores": scores}) + "\n")
    text = markdown(scores, steps)
    write_text(arguments.output / "report.md", text)
    write_image(arguments.output / "people.jpg", sheet(people, results))
    sys.stdout.write(text)


def step_flops(arguments: argparse.Namespace, num_sources: int) -> float:
    """Floating-point operations of a training step, R1 by its share."""
    config = load_config(arguments.config, [*arguments.overrides, f"data.num_sources={num_sources}"])
    return cost_of(config, torch.device("cpu")).step_flops


Scores = dict[str, dict[str, dict[str, list[float]]]]


class Album(NamedTuple):
    """A person's photographs and the targets, both from the `VIEWS`, with (18, 2) joints, all of `SIZE`."""

    photos: list[Pixels]
    photo_joints: list[np.ndarray]
    targets: list[Pixels]
    target_joints: list[np.ndarray]

    @classmethod
    def drawn(cls, number: int) -> Album:
        """Person `number`, in other poses in the targets than in the photographs."""
        model, parts = person_model(SEED, number, SIZE[0]), []
        for take in range(2):
            rngs = [np.random.default_rng([SEED, number, take, view]) for view in range(len(VIEWS))]
            drawn = [draw_view(model, name, rng, SIZE) for name, rng in zip(VIEWS, rngs, strict=True)]
            parts += [list(part) for part in zip(*drawn, strict=True)]
        return cls(*parts)


class Result(NamedTuple):
    """scores: by set of sources, view of the target and metric, a number for each person. images: by the first two."""

    scores: Scores
    images: dict[str, dict[str, list[Pixels]]]


class Scorer:
    """Distances of images from their targets, SSIM among them; smaller is nearer, but for SSIM."""

    def __init__(self) -> None:
        self.network = EfficientNetLite0()

    @torch.no_grad()
    def score(self, image: Pixels, target: Pixels) -> dict[str, float]:
        """The `METRICS`: L1 of all pixels, and of those of the person; SSIM; 1 - cosine of EfficientNet's features."""
        difference, person = np.abs(image.astype(float) - target) / 255, target.min(axis=2) < 250
        first, second = self.network(to_tensor([image, target]))
        return {
            "l1": float(difference.mean()),
            "person_l1": float(difference[person].mean()),
            "ssim": ssim(image, target, fit_window(SsimWindow(size=51), image.shape[:2])),
            "lite0": 1 - float(torch.cosine_similarity(first, second, dim=0)),
        }


def measure(model: StepPose, people: Sequence[Album], scorer: Scorer) -> Result:
    """Every person's targets from each set of photographs."""
    result = Result({}, {})
    for name, chosen in SETS.items():
        images = draw_targets(model, people, chosen)
        result.images[name] = dict(zip(VIEWS, images, strict=True))
        result.scores[name] = {}
        for view, drawn in enumerate(images):
            targets = [resize(album.targets[view], model.image_size) for album in people]
            scores = [scorer.score(*pair) for pair in zip(drawn, targets, strict=True)]
            result.scores[name][VIEWS[view]] = {metric: [one[metric] for one in scores] for metric in METRICS}
    return result


def draw_targets(model: StepPose, people: Sequence[Album], chosen: Sequence[int]) -> list[list[Pixels]]:
    """The image of each view of each person from the chosen photographs; noise follows from person and view."""
    drawn: list[Pixels] = []
    for start in range(0, len(people), PEOPLE_AT_ONCE):
        pair = pair_of(model, people[start : start + PEOPLE_AT_ONCE], chosen)
        *_, images = model.stream(pair, model.noise(len(pair.target_pose), first=start * len(VIEWS)))
        drawn += list(to_uint8(images))
    return [drawn[view :: len(VIEWS)] for view in range(len(VIEWS))]


def pair_of(model: StepPose, people: Sequence[Album], chosen: Sequence[int]) -> Pair:
    """A batch of every view of every person, all from the chosen photographs."""
    photos = [resize(album.photos[view], model.image_size) for album in people for view in chosen]
    images = to_signed(to_tensor(photos)).to(model.device)
    own = maps(model, [album.photo_joints[view] for album in people for view in chosen])
    targets = maps(model, [joints for album in people for joints in album.target_joints])
    if len(chosen) > 1:
        images, own = (part.unflatten(0, (-1, len(chosen))) for part in (images, own))
    return Pair(for_each(images, len(VIEWS)), for_each(own, len(VIEWS)), targets)


def maps(model: StepPose, joints: Sequence[np.ndarray]) -> Tensor:
    """(B, P, H, W) pose maps of joints in pictures of `SIZE`."""
    scaled = [scale_joints(one, SIZE, model.image_size) for one in joints]
    return torch.stack([model.pose_form.draw(one, model.image_size) for one in scaled]).to(model.device)


def markdown(scores: dict[str, Scores], steps: dict[str, int]) -> str:
    """A table a metric, rows by run and sources, columns by view; then the differences, taken person by person."""
    people = len(next(iter(scores.values()))["front alone"][VIEWS[0]]["l1"])
    trained = ", ".join(f"`{name}` {number} steps" for name, number in steps.items())
    lines = [f"{people} unseen people, {datetime.now(UTC):%Y-%m-%d}; {trained}; brackets: 95 % intervals by person."]
    head = ["| " + " | ".join(["run", "sources", *VIEWS]) + " |", "|---|---|" + "---|" * len(VIEWS)]
    for metric in METRICS:
        lines += ["", f"**{metric}**", "", *head]
        for run_name, sets in scores.items():
            lines += [_row(run_name, name, [views[v][metric] for v in VIEWS]) for name, views in sets.items()]
        lines += ["", f"**{metric}, differences**", "", *head]
        lines += [_row(*names, values) for names, values in differences(scores, metric).items()]
    return "\n".join(lines) + "\n"


def differences(scores: dict[str, Scores], metric: str) -> dict[tuple[str, str], list[list[float]]]:
    """By run and comparison, for each view, every person's difference."""
    rows = {}
    for name, sets in scores.items():
        for more, fewer in (("front and back", "front alone"), ("three views", "front and back")):
            rows[name, f"{more} - {fewer}"] = [_minus(sets[more][v][metric], sets[fewer][v][metric]) for v in VIEWS]
    first, *others = scores
    for other in others:
        for name in SETS:
            pairs = [(scores[other][name][view][metric], scores[first][name][view][metric]) for view in VIEWS]
            rows[f"{other} - {first}", name] = [_minus(*pair) for pair in pairs]
    return rows


def _minus(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(left, right, strict=True)]


def _row(run_name: str, sources: str, by_view: Sequence[Sequence[float]]) -> str:
    return f"| {run_name} | {sources} | " + " | ".join(map(_cell, by_view)) + " |"


def _cell(values: Sequence[float]) -> str:
    interval = bootstrap_interval(np.array(values), [str(index) for index in range(len(values))])
    shown = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
    return f"{np.mean(values):.4f}{shown}"


def sheet(people: Sequence[Album], results: dict[str, Result]) -> Pixels:
    """The first people, not the best: photographs, the true back, and what each run draws of it from each set."""
    back, rows = VIEWS[2], []
    for number, album in enumerate(people[:SHOWN_PEOPLE]):
        drawn = [part.images[name][back][number] for part in results.values() for name in SETS]
        given = (album.photos[0], album.photos[2], album.targets[2])
        rows.append([*(resize(image, drawn[0].shape[:2]) for image in given), *drawn])
    headings = [f"{run_name}: {name}" for run_name in results for name in SETS]
    return labelled_grid(rows, column_labels=["front photo", "back photo", "target", *headings])


if __name__ == "__main__":
    sys.exit(run(main))
