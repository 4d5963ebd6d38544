"""Which source pixels a model reads, and where it writes what it read, as overlays.

python -m scripts.inspect_attention --config C --name N --source A --pose P --pixel 88 60 --pixel 88 150 --output_dir D
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from config.cli import add_which_iter, config_from, run, run_parser
from images.writing import write_image
from studio.inside import Pixel, look_inside, reading_sheet, texture_sheet
from studio.people import draw_pose
from studio.photographs import People
from studio.pipeline import StepPose

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = run_parser("Overlays of what a model reads from the source.")
    name = "an image of the dataset, or a file with its keypoints beside it (.txt) or in pose/"
    parser.add_argument("--source", required=True, help=f"who is drawn: {name}")
    parser.add_argument("--pose", required=True, help=f"whose pose: {name}")
    parser.add_argument("--step", type=int, help="which step to look into (default: the last)")
    parser.add_argument(
        "--pixel", type=int, nargs=2, action="append", metavar=("X", "Y"), help="target pixel (default: some joints)"
    )
    parser.add_argument("--textures", type=int, default=6, help="NTED: how many textures of each layer to show")
    parser.add_argument("--output_dir", default="attention", help="folder of the pictures")
    add_which_iter(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    config = config_from(arguments)
    folder = Path(arguments.checkpoints_dir) / arguments.name
    model = StepPose.load(folder, which=arguments.which_iter, config=config)
    known = People(model, config.data)
    source, pose = known.source(arguments.source), known.pose(arguments.pose)
    pixels = _pixels(arguments.pixel, pose.joints, model.image_size)
    pair = model.pair(source.image, draw_pose(model, pose), source.maps(model))
    step = model.num_steps - 1 if arguments.step is None else arguments.step
    inside = look_inside(model, pair, model.noise(1, config.seed), step)
    pictures = {"pixels": reading_sheet(source.image, inside, pixels)}
    for place, _ in enumerate(inside.textures):
        name = inside.places[place].replace(" ", "_")
        pictures[f"textures_{name}"] = texture_sheet(source.image, inside, place, arguments.textures)
    output = Path(arguments.output_dir)
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
