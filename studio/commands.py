"""What the commands that draw share: which model, which dataset, which noise, and how joints are found."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from config.cli import Parser, add_which_iter
from data.detectors import DETECTORS
from studio.photographs import People
from studio.pipeline import StepPose

SOURCE = "a photograph with its keypoints beside it or without, or an image of the dataset"
POSE = f"{SOURCE}, or a file of keypoints (.txt, or OpenPose's .json)"


class Studio(NamedTuple):
    """A model, whom it may draw, and the seed of its noise."""

    model: StepPose
    people: People
    seed: int


def drawing_parser(description: str) -> Parser:
    """A parser with the flags that `open_studio` takes."""
    parser = Parser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="nted", help="a shipped model, nted or dptn, or a run: its name or folder")
    add_which_iter(parser)
    parser.add_argument("--root", help="dataset whose images may be named (default: the model's own)")
    parser.add_argument("--seed", type=int, help="seed of the noise (default: the model's own)")
    parser.add_argument(
        "--detector", choices=(*DETECTORS, "none"), default="rcnn", help="finds joints where no file has them"
    )
    return parser


def open_studio(arguments: argparse.Namespace) -> Studio:
    """What parsed flags name; raises ValueError where there is no such model."""
    model = StepPose.load(arguments.model, which=arguments.which_iter)
    data = model.config.data
    if arguments.root:
        data = data.model_copy(update={"root": arguments.root})
    seed = model.config.seed if arguments.seed is None else arguments.seed
    return Studio(model, People(model, data, DETECTORS.get(arguments.detector)), seed)
