"""Draw the person of one or more photographs in every pose of a sequence: a video, and a strip of its frames.

python -m scripts.animate --source me.jpg --poses assets/motions/walk.npz --output walk.mp4
python -m scripts.animate --source me.jpg --source back.jpg --poses openpose_folder --output me.webp --fps 12

Poses are a folder of OpenPose's .json or of keypoint .txt files, one a frame; one .json with a list of frames; or an
.npz (scripts.make_motion). Beside OUT.mp4 lies OUT_strip.png, some of its frames with their poses.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from config.cli import run
from data.motion import fill_gaps, hold, read_motion, seen, smooth
from images.pixels import Pixels
from images.video import VIDEOS, check_video, write_video
from images.writing import check_place, write_image
from studio.animation import animate, evenly
from studio.commands import add_source, drawing_parser, open_studio
from studio.people import shown_pose
from studio.pictures import labelled_grid
from studio.pipeline import StepPose

LOG = logging.getLogger(__name__)
SHOWN = 8  # frames of the strip


def parse() -> argparse.Namespace:
    parser = drawing_parser("Draw a person in every pose of a sequence.")
    add_source(parser)
    parser.add_argument("--poses", required=True, help="a folder of .json or .txt files, a .json or an .npz")
    parser.add_argument("--output", type=Path, default=Path("out.mp4"), help=f"the video to write: {', '.join(VIDEOS)}")
    parser.add_argument("--fps", type=int, default=25, help="frames a second of the video")
    parser.add_argument("--fill", type=int, default=0, help="fill gaps of up to so many frames in a joint's path")
    parser.add_argument("--smooth", type=float, default=0.0, help="smooth the joints' paths by so many frames")
    parser.add_argument("--nobody", choices=("hold", "skip"), default="hold", help="what frames without a person do")
    parser.add_argument("--batch_size", type=int, default=8, help="frames that are drawn at once")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    check(arguments)
    motion = read_motion(arguments.poses)
    model, people, seed = open_studio(arguments)
    joints = prepared(motion.in_image(model.image_size), arguments)
    frames = animate(model, [people.source(name) for name in arguments.source], joints, arguments.batch_size, seed)
    kept: dict[int, Pixels] = {}
    start = time.perf_counter()
    with tqdm(total=len(joints), unit="frame", desc="drawing") as progress:
        write_video(arguments.output, keeping(frames, evenly(SHOWN, len(joints)), kept, progress), arguments.fps)
    LOG.info("%d frames, %.1f frames a second", len(joints), len(joints) / (time.perf_counter() - start))
    strip = arguments.output.with_name(f"{arguments.output.stem}_strip.png")
    write_image(strip, frame_strip(model, joints, kept))
    LOG.info("wrote %s and %s", arguments.output, strip)


def check(arguments: argparse.Namespace) -> None:
    """Raise ValueError for what would fail after the work."""
    for name, least in (("batch_size", 1), ("fill", 0), ("smooth", 0)):
        if not getattr(arguments, name) >= least:
            raise ValueError(f"--{name} is {getattr(arguments, name)}; it must be {least} or more")
    check_video(arguments.output, arguments.fps)
    check_place(arguments.output)


def prepared(joints: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    """(T, 18, 2) joints as they are drawn: filled, smoothed, and without frames that show nobody."""
    joints = smooth(fill_gaps(joints, arguments.fill), arguments.smooth)
    shown = seen(joints)
    if not shown.all():
        LOG.info("%d of %d frames show nobody: --nobody %s", (~shown).sum(), len(shown), arguments.nobody)
    return joints[shown] if arguments.nobody == "skip" else hold(joints)


def keeping(frames: Iterator[Pixels], wanted: list[int], kept: dict[int, Pixels], progress: tqdm) -> Iterator[Pixels]:
    """The frames, of which those wanted are put into `kept` as they pass."""
    for number, frame in enumerate(frames):
        if number in wanted:
            kept[number] = frame
        progress.update()
        yield frame


def frame_strip(model: StepPose, joints: np.ndarray, kept: dict[int, Pixels]) -> Pixels:
    """Some frames in a row, above each its pose."""
    poses = [shown_pose(model, joints[number]) for number in kept]
    return labelled_grid([poses, list(kept.values())], column_labels=[f"frame {number}" for number in kept])


if __name__ == "__main__":
    sys.exit(run(main))
