"""Draw the person of a photograph in the pose of another one, or of a file of keypoints.

python -m scripts.draw --source me.jpg --pose other.jpg --output out.png
python -m scripts.draw --source me.jpg --pose openpose.json --model dptn --output out.png --steps --strip
python -m scripts.draw --source me.jpg --source my_back.jpg --pose other.jpg --output out.png

Beside OUT.png lies OUT_joints.png, the joints that were used, drawn over both: look at it first. --steps adds
OUT_step_00.png and so on, --strip all of it in one picture, OUT_strip.png.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from config.cli import picture_path, run
from images.pixels import to_uint8
from images.strips import strip
from images.writing import write_image
from studio.commands import Studio, add_pose, add_source, drawing_parser, open_studio
from studio.mixing import source_pairs
from studio.people import Person, shown_pose
from studio.photographs import overlay
from studio.pictures import labelled_grid

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = drawing_parser("Draw the person of a photograph in another pose.")
    add_source(parser)
    add_pose(parser)
    parser.add_argument("--output", type=picture_path, default="out.png", help="the picture to write")
    parser.add_argument("--steps", action="store_true", help="the image of every step too, OUT_step_00 and so on")
    parser.add_argument("--strip", action="store_true", help="source, pose and every step in one, OUT_strip")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    studio = open_studio(arguments)
    sources, pose = [studio.people.source(name) for name in arguments.source], studio.people.pose(arguments.pose)
    steps = draw(studio, sources, pose)
    labels = [*["source"] * len(sources), "pose"]
    joints = labelled_grid([[overlay(person) for person in (*sources, pose)]], column_labels=labels)
    pictures = {"": steps[-1], "_joints": joints}
    if arguments.steps:
        pictures |= {f"_step_{step:02d}": image for step, image in enumerate(steps)}
    if arguments.strip:
        pictures["_strip"] = strip([*(source.image for source in sources), shown_pose(studio.model, pose), *steps])
    for ending, picture in pictures.items():
        write_image(beside(arguments.output, ending), picture)
    LOG.info("wrote %s; look at %s too", arguments.output, beside(arguments.output, "_joints"))


def draw(studio: Studio, sources: Sequence[Person], pose: Person) -> list[np.ndarray]:
    """The (H, W, 3) uint8 image of every step."""
    (pair,) = source_pairs(studio.model, [sources], pose)
    return [to_uint8(image[0]) for image in studio.model.stream(pair, studio.model.noise(1, studio.seed))]


def beside(path: Path, ending: str) -> Path:
    """A picture's path with an ending before its suffix."""
    return path.with_name(f"{path.stem}{ending}{path.suffix}")


if __name__ == "__main__":
    sys.exit(run(main))
