"""A synthetic person's walk or turn as a pose sequence for scripts.animate: assets/motions/walk.npz was made so.

python -m scripts.make_motion --motion walk --output walk.npz
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np

from config.cli import Parser, run
from data.motion import write_motion
from data.synthetic.layout import person_model
from data.synthetic.motion import MOTIONS, film

LOG = logging.getLogger(__name__)
SIZE = (256, 176)


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", required=True, choices=MOTIONS, help="two steps on the spot, or once round")
    parser.add_argument("--frames", type=int, default=32, help="frames of one round (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="whose body moves (default: 0)")
    parser.add_argument("--output", type=Path, required=True, help="the .npz to write")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.frames < 2 or arguments.output.suffix != ".npz":
        raise ValueError(f"{arguments.output} of {arguments.frames} frames: give an .npz and two frames or more")
    model = person_model(arguments.seed, 0, SIZE[0])
    joints = np.stack([found for _, found in film(model, arguments.motion, arguments.frames, SIZE)])
    write_motion(arguments.output, joints, SIZE)
    LOG.info("wrote %s, %d frames", arguments.output, len(joints))


if __name__ == "__main__":
    sys.exit(run(main))
