"""Cut the strips in which other methods publish their results into a folder for each column.

    python -m scripts.split_strips STRIPS --output OUT --columns source _ target generated
    python eval_step.py --generated OUT/generated --ground_truth OUT/target

Columns that are called `_` are thrown away. Borders between the columns (and around them, as torchvision draws them)
are found, or given with --border.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from config.cli import Parser, run
from images.folders import image_files
from images.pixels import Pixels
from images.reading import read_pixels
from images.writing import write_image

LARGEST_BORDER = 32
NUM_LOOKED_AT = 20  # strips that borders are looked for in


class Cut(NamedTuple):
    """Where the columns of a strip lie, in pixels: their number and width, and the border between and around them."""

    num_columns: int
    width: int
    border: int
    is_framed: bool

    def columns(self, strip: Pixels) -> list[Pixels]:
        """The pictures of a strip."""
        edge = self.border * self.is_framed
        starts = [edge + index * (self.width + self.border) for index in range(self.num_columns)]
        return [strip[edge : strip.shape[0] - edge, start : start + self.width] for start in starts]

    def has_plain_borders(self, strip: Pixels) -> bool:
        """Whether every border is of one colour."""
        edge = self.border * self.is_framed
        starts = [edge + index * (self.width + self.border) for index in range(self.num_columns)]
        gaps = [strip[:, a + self.width : b] for a, b in pairwise(starts)]
        gaps += [strip[:edge], strip[:, :edge]] if edge else []
        return all((gap == gap[:1, :1]).all() for gap in gaps)

    def ends_at_borders(self, strips: Sequence[Pixels]) -> bool:
        """Whether every picture's first and last column of pixels is of several colours in one of the strips."""
        pictures = [self.columns(strip) for strip in strips]
        edges = [[own[index][:, side] for own in pictures] for index in range(self.num_columns) for side in (0, -1)]
        return all(any((edge != edge[:1]).any() for edge in same) for same in edges)


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strips", type=Path, help="folder of strips")
    parser.add_argument("--output", type=Path, required=True, help="gets a folder for each column")
    parser.add_argument(
        "--columns", nargs="+", required=True, metavar="NAME", help="what each column shows; _: nothing"
    )
    parser.add_argument("--border", type=int, help="pixels between two columns (default: found)")
    arguments = parser.parse_args()
    kept = [name for name in arguments.columns if name != "_"]
    if len(set(kept)) < len(kept):
        raise ValueError(f"--columns {' '.join(arguments.columns)} has one name twice; give each column its own, or _")
    files = image_files(arguments.strips)
    if not files:
        raise ValueError(f"{arguments.strips} holds no images; give the folder of strips")
    first = [read_pixels(path) for path in files[:: -(-len(files) // NUM_LOOKED_AT)]]
    cut = find_cut(first, len(arguments.columns), arguments.border)
    for path in tqdm(files, unit="strip"):
        strip = read_pixels(path)
        if strip.shape != first[0].shape:
            raise ValueError(f"{path} is {strip.shape[0]}x{strip.shape[1]}, the first strip is not; split them apart")
        name = path.relative_to(arguments.strips).with_suffix(".png")
        for column, picture in zip(arguments.columns, cut.columns(strip), strict=True):
            if column != "_":
                write_image(arguments.output / column / name, picture)
    shape = cut.columns(first[0])[0].shape
    sys.stdout.write(f"{len(files)} strips, pictures of {shape[0]}x{shape[1]}, borders of {cut.border} pixels\n")


def find_cut(strips: list[Pixels], count: int, border: int | None = None) -> Cut:
    """The cut whose borders are of one colour in all of the strips, and end where the pictures begin.

    Where pictures are white at their sides that cannot be seen: then it is the one with the narrowest border.

    Raises:
        ValueError: none fits.
    """
    total, fitting = strips[0].shape[1], []
    for size, is_framed in product(range(LARGEST_BORDER + 1) if border is None else [border], (False, True)):
        width, rest = divmod(total - size * (count - 1 + 2 * is_framed), count)
        cut = Cut(count, width, size, is_framed)
        if rest == 0 and width > 0 and all(map(cut.has_plain_borders, strips)):
            fitting.append(cut)
    if not fitting:
        raise ValueError(f"strips {total} pixels wide are not {count} columns with plain borders; mend --columns")
    return next((cut for cut in fitting if cut.ends_at_borders(strips)), fitting[0])


if __name__ == "__main__":
    sys.exit(run(main))
