"""A contact sheet: random images with their skeletons drawn over, to see at once whether joints fit images."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.layouts import Layout
from data.openpose import Frame, between_frames
from images.pixels import Pixels, resize
from images.reading import read_image
from images.skeleton import draw_over

_COLUMNS, _ROWS, _CELL = 8, 3, (256, 176)


def contact_sheet(root: Path, layout: Layout, frame: Frame, joints: Mapping[str, np.ndarray], seed: int = 0) -> Pixels:
    """(768, 1408, 3) uint8: 24 random images of a dataset with their joints, which are pixels of `frame`."""
    names = [name for name in joints if (root / name).is_file()]
    random.Random(seed).shuffle(names)
    height, width = _CELL
    sheet = np.full((_ROWS * height, _COLUMNS * width, 3), 255, np.uint8)
    cells = itertools.product(range(0, sheet.shape[0], height), range(0, sheet.shape[1], width))
    for (y, x), name in zip(cells, names, strict=False):
        sheet[y : y + height, x : x + width] = _draw_cell(root, layout, frame, name, joints[name])
    return sheet


def _draw_cell(root: Path, layout: Layout, frame: Frame, name: str, joints: np.ndarray) -> Pixels:
    """One image of the sheet; grey where it cannot be read."""
    try:
        image = resize(layout.picture(read_image(root / name), name), _CELL)
    except ValueError:
        return np.full((*_CELL, 3), 128, np.uint8)
    return draw_over(image, between_frames(joints, frame, Frame(*_CELL, 0)))
