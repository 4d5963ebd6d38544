"""Which source pixels a model reads, and where it writes what it read, as overlays.

python -m scripts.inspect_attention --source A --pose P --pixel 22 14 --pixel 22 37 --output D
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from config.cli import run
from images.writing import write_image
from studio.commands import add_pose, add_source, drawing_parser, open_studio
from studio.inside import Pixel, look_inside, reading_sheet, texture_sheet
from studio.mixing import source_pairs

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = drawing_parser("Overlays of what a model reads from the source.")
    add_source(parser)
    add_pose(parser)
    parser.add_argument("--step", type=int, help="which step to look into (default: the last)")
    parser.add_argument(
        "--pixel", type=int, nargs=2, action="append", metavar=("X", "Y"), help="target pixel (default: some joints)"
    )
    parser.add_argument("--textures", type=int, default=6, help="NTED: how many textures of each layer to show")
    parser.add_argument("--output", default="attention", help="folder of the pictures")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    model, known, seed = open_studio(arguments)
    people, pose = [known.source(name) for name in arguments.source], known.pose(arguments.pose)
    pixels = _pixels(arguments.pixel, pose.joints, model.image_size)
    (pair,) = source_pairs(model, [people], pose)
    step = model.num_steps - 1 if arguments.step is None else arguments.step
    inside = look_inside(model, pair, model.noise(1, seed), step)
    images = [person.image for person in people]
    pictures = {"pixels": reading_sheet(images, inside, pixels)}
    for place, _ in enumerate(inside.textures):
        name = inside.places[place].replace(" ", "_")
        pictures[f"textures_{name}"] = texture_sheet(images, inside, place, arguments.textures)
    output = Path(arguments.output)
    for name, picture in pictures.items():
        write_image(output / f"{name}.png", picture)
    LOG.info("wrote %d pictures of step %d to %s", len(pictures), step, output)


def _pixels(wanted: list[list[int]] | None, joints: np.ndarray, size: tuple[int, int]) -> list[Pixel]:
    """The target pixels asked for, or nose, hands and hips where the pose has them, else the middle."""
    height, width = size
    if wanted is None:
        places = [joints[joint] for joint in (0, 4, 7, 8, 11) if np.isfinite(joints[joint]).all()]
        inside = [(int(x), int(y)) for x, y in places if 0 <= x < width and 0 <= y < height]
        return inside or [(width // 2, height // 2)]
    for x, y in wanted:
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"--pixel {x} {y} is outside of the image: x in 0..{width - 1}, y in 0..{height - 1}")
    return [(x, y) for x, y in wanted]


if __name__ == "__main__":
    sys.exit(run(main))
