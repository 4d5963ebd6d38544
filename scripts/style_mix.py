"""Style mixing: feed another source from a step on; early steps carry identity and detail, late ones colour.

python -m scripts.style_mix --pose P --sources A B --switch 3 --output mix.png
python -m scripts.style_mix --model dptn --pose P --sources A B C --grid --output grid.png
python -m scripts.style_mix --pose P --sources A_front A_back --sources B --switch 3 --output mix.png
"""

from __future__ import annotations

import argparse
import logging
import sys

from config.cli import picture_path, run
from images.writing import write_image
from studio.commands import add_pose, add_sources, albums, drawing_parser, open_studio
from studio.mixing import mix_grid, mix_strip

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = drawing_parser("Draw a person with one source until a step and with another one from there on.")
    add_pose(parser)
    add_sources(parser, "two or more")
    parser.add_argument("--switch", type=int, nargs="+", help="the steps at which the next source takes over")
    parser.add_argument("--grid", action="store_true", help="all switch steps by all pairs of sources, in one picture")
    parser.add_argument("--output", type=picture_path, default="mix.png", help="the picture to write")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if bool(arguments.switch) == arguments.grid:
        raise ValueError("give either --switch or --grid")
    if len(albums(arguments)) < 2:
        raise ValueError("--sources needs two or more images")
    model, known, seed = open_studio(arguments)
    people = [[known.source(name) for name in album] for album in albums(arguments)]
    pose = known.pose(arguments.pose)
    if arguments.grid:
        picture = mix_grid(model, people, pose, seed)
    else:
        picture = mix_strip(model, people, pose, arguments.switch, seed)
    write_image(arguments.output, picture)
    LOG.info("wrote %s", arguments.output)


if __name__ == "__main__":
    sys.exit(run(main))
