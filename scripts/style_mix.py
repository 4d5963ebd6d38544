"""Style mixing: feed another source from a step on; early steps carry identity and detail, late ones colour.

python -m scripts.style_mix --config C --name N --pose P --sources A B --switch 8 --output mix.png
python -m scripts.style_mix --config C --name N --pose P --sources A B C --grid --output grid.png
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from config.cli import add_which_iter, config_from, picture_path, run, run_parser
from images.writing import write_image
from studio.mixing import mix_grid, mix_strip
from studio.photographs import People
from studio.pipeline import StepPose

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = run_parser("Draw a person with one source until a step and with another one from there on.")
    name = "an image of the dataset, or a file with its keypoints beside it (.txt) or in pose/"
    parser.add_argument("--pose", required=True, help=f"whose pose: {name}")
    parser.add_argument("--sources", required=True, nargs="+", help=f"two or more, each {name}")
    parser.add_argument("--switch", type=int, nargs="+", help="the steps at which the next source takes over")
    parser.add_argument("--grid", action="store_true", help="all switch steps by all pairs of sources, in one picture")
    parser.add_argument("--output", type=picture_path, default="mix.png", help="the picture to write")
    add_which_iter(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if bool(arguments.switch) == arguments.grid:
        raise ValueError("give either --switch or --grid")
    if len(arguments.sources) < 2:
        raise ValueError("--sources needs two or more images")
    config = config_from(arguments)
    folder = Path(arguments.checkpoints_dir) / arguments.name
    model = StepPose.load(folder, which=arguments.which_iter, config=config)
    known = People(model, config.data)
    people = [known.source(name) for name in arguments.sources]
    pose = known.pose(arguments.pose)
    if arguments.grid:
        picture = mix_grid(model, people, pose, config.seed)
    else:
        picture = mix_strip(model, people, pose, arguments.switch, config.seed)
    write_image(arguments.output, picture)
    LOG.info("wrote %s", arguments.output)


if __name__ == "__main__":
    sys.exit(run(main))
