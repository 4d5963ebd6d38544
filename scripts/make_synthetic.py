"""Draw a data set of synthetic dressed people with exact joints, in DeepFashion's layout.

    python -m scripts.make_synthetic --output dataset/synthetic --people 250 --views 6 --seed 0

The same people, views, seed and size give the same files with any number of workers.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from tqdm import tqdm

from config.cli import Parser, image_size, run
from data.synthetic.layout import Request, prepare_folder, write_lists, write_people

_LOG = logging.getLogger("make_synthetic")


def main() -> int:
    """Parse, draw, list."""
    arguments = _parse()
    request = Request(arguments.people, arguments.views, arguments.seed, arguments.size)
    if arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers} is below 1")
    root = Path(arguments.output)
    prepare_folder(root, arguments.overwrite)
    albums = []
    with tqdm(total=request.people * request.views, unit="image", desc="drawing people") as bar:
        for album in write_people(root, request, arguments.workers):
            albums.append(album)
            bar.update(request.views)
    counts = write_lists(root, albums)
    _LOG.info("%s: %d people; %d training and %d test lines", root, len(albums), counts["train"], counts["test"])
    return 0


def _parse() -> argparse.Namespace:
    parser = Parser(description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", required=True, help="folder to write")
    parser.add_argument("--people", type=int, default=250, help="people; every eighth one is for testing")
    parser.add_argument("--views", type=int, default=6, help="pictures of each person")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other people")
    parser.add_argument("--size", type=image_size, default=(1101, 750), metavar="H-W", help="pixels")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier run wrote to --output")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(run(main))
