"""Motion: frames a second against a call of `generate` a frame, and flicker against the true frames of unseen people.

python -m benchmarks.animate --runs result/one result/three [--people 6] [--frames 32] [--batch_size 8]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.several import SEED, SIZE, Album
from config.cli import Parser, run
from data.motion import smooth
from data.pose import scale_joints
from data.synthetic.layout import person_model
from data.synthetic.motion import MOTIONS, film
from images.pixels import Pixels, resize
from metrics.flicker import flicker
from metrics.resampling import bootstrap_interval
from studio.animation import animate
from studio.people import Person
from studio.pipeline import StepPose

SETS = {"front": [0], "front and back": [0, 2]}
NUMBERS = ("flicker", "person_flicker", "moving")


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", type=Path, required=True, help="folders of runs")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--frames", type=int, default=32, help="of one walk or turn")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    for folder in arguments.runs:
        model = StepPose.load(folder, device=arguments.device)
        sys.stdout.write(f"{folder}, {model.trained_steps} steps, {arguments.device}, batch {arguments.batch_size}\n")
        for name, rate in speeds(model, arguments.frames, arguments.batch_size).items():
            sys.stdout.write(f"{name:32} {rate:8.2f} frames a second\n")
        sys.stdout.write(table(model, arguments) + "\n")


def speeds(model: StepPose, num_frames: int, batch_size: int) -> dict[str, float]:
    """Frames a second of processor time (on a GPU: on the clock) of each way to draw a turn, by sources."""
    _, joints = true_frames(model, "turn", 0, num_frames)
    rates = {}
    for name, chosen in SETS.items():
        people = photographs(model, Album.drawn(0), chosen)
        ways: dict[str, Callable[[], object]] = {
            "generate, once a frame": partial(frame_by_frame, model, people, joints),
            "animate": partial(drawn_together, model, people, joints, batch_size),
        }
        for way, call in ways.items():
            call()
            rates[f"{name}: {way}"] = num_frames / _seconds(call, model.device)
    return rates


def drawn_together(model: StepPose, people: Sequence[Person], joints: np.ndarray, batch_size: int) -> list[Pixels]:
    """All frames, as the command draws them."""
    return list(animate(model, people, joints, batch_size))


def frame_by_frame(model: StepPose, people: Sequence[Person], joints: np.ndarray) -> list[Pixels]:
    """Frames by the way that knows nothing of the ones before."""
    images, own = [person.image for person in people], [person.maps(model) for person in people]
    maps = [model.pose_form.draw(pose, model.image_size) for pose in joints]
    return [model.generate(sources=images, pose=one, source_pose=own) for one in maps]


def table(model: StepPose, arguments: argparse.Namespace) -> str:
    """Flicker in grey levels by motion and treatment, the mean over people with its 95 % interval."""
    batch_size = arguments.batch_size
    treatments: dict[str, Callable[[Sequence[Person], np.ndarray], list[Pixels]]] = {
        "noise held still": lambda people, joints: drawn_together(model, people, joints, batch_size),
        "noise of its own a frame": lambda people, joints: restless(model, people, joints),
        "held, joints smoothed": lambda people, joints: drawn_together(model, people, smooth(joints, 1), batch_size),
    }
    lines = ["| motion | | " + " | ".join(NUMBERS) + " |", "|---|---|" + "---|" * len(NUMBERS)]
    for motion in MOTIONS:
        films = [true_frames(model, motion, number, arguments.frames) for number in range(arguments.people)]
        albums = [photographs(model, Album.drawn(number), SETS["front and back"]) for number in range(arguments.people)]
        rows = {"truth": [flicker(truth, truth) for truth, _ in films]}
        for treatment, draw in treatments.items():
            rows[treatment] = [
                flicker(draw(a, joints), truth) for (truth, joints), a in zip(films, albums, strict=True)
            ]
        lines += [f"| {motion} | {name} | {_cells(found)} |" for name, found in rows.items()]
    return "\n".join(lines)


def true_frames(model: StepPose, motion: str, number: int, num_frames: int) -> tuple[list[Pixels], np.ndarray]:
    """Frames of an unseen person at the model's size, and (T, 18, 2) joints in their pixels."""
    frames, joints = zip(*film(person_model(SEED, number, SIZE[0]), motion, num_frames, SIZE), strict=True)
    scaled = [scale_joints(one, SIZE, model.image_size) for one in joints]
    return [resize(frame, model.image_size) for frame in frames], np.stack(scaled)


def photographs(model: StepPose, album: Album, chosen: Sequence[int]) -> list[Person]:
    """The chosen photographs of a person, as a model takes them."""
    joints = [scale_joints(album.photo_joints[view], SIZE, model.image_size) for view in chosen]
    images = [resize(album.photos[view], model.image_size) for view in chosen]
    return [Person(*parts) for parts in zip(images, joints, strict=True)]


def restless(model: StepPose, people: Sequence[Person], joints: np.ndarray) -> list[Pixels]:
    """The same frames, each with noise of its own."""
    return [next(animate(model, people, pose[None], seed=frame)) for frame, pose in enumerate(joints)]


def _cells(found: Sequence[dict[str, float]]) -> str:
    return " | ".join(_cell(np.array([one[number] for one in found])) for number in NUMBERS)


def _cell(values: np.ndarray) -> str:
    interval = bootstrap_interval(values, [str(index) for index in range(len(values))])
    return f"{np.nanmean(values):.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    call()  # its images are on the CPU when it returns
    return clock() - start


if __name__ == "__main__":
    sys.exit(run(main))
