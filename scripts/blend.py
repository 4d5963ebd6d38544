"""Appearance control: fade from one source to another, or give one the garment of another.

python -m scripts.blend --pose P --sources A B --output fade.png
python -m scripts.blend --pose P --sources A B --region upper_body --output exchange.png
python -m scripts.blend --pose P --sources A_front A_back --sources B --output fade.png
"""

from __future__ import annotations

import argparse
import logging
import sys

from config.cli import picture_path, run
from images.writing import write_image
from studio.blending import exchange_strip, interpolation_strip
from studio.commands import add_pose, add_sources, albums, drawing_parser, open_studio
from studio.regions import REGIONS, mask_from_file, region_mask

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = drawing_parser("Draw a person with the texture of two sources.")
    add_pose(parser)
    add_sources(parser, "two")
    parser.add_argument("--count", type=int, default=7, help="images of a fade, from all of A to all of B")
    parser.add_argument("--region", help=f"take this region from B: {', '.join(REGIONS)}")
    parser.add_argument("--mask", help="take the white part of this image (in the target's pose) from B")
    parser.add_argument("--output", type=picture_path, default="blend.png", help="the picture to write")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.region and arguments.mask:
        raise ValueError("give --region or --mask, not both")
    if arguments.count < 2:
        raise ValueError(f"--count is {arguments.count}; a fade has 2 images or more")
    if len(albums(arguments)) != 2:
        raise ValueError(f"--sources names {len(albums(arguments))} people; a blend has two")
    model, known, seed = open_studio(arguments)
    people = [[known.source(name) for name in album] for album in albums(arguments)]
    pose = known.pose(arguments.pose)
    if arguments.region or arguments.mask:
        if arguments.mask:
            mask = mask_from_file(arguments.mask, model.image_size)
        else:
            mask = region_mask(pose.joints, model.image_size, arguments.region)
        picture = exchange_strip(model, people, pose, mask, seed)
    else:
        picture = interpolation_strip(model, people, pose, arguments.count, seed)
    write_image(arguments.output, picture)
    LOG.info("wrote %s", arguments.output)


if __name__ == "__main__":
    sys.exit(run(main))
