"""What the commands that draw share: which model, which dataset, which noise, and how joints are found."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from config.cli import Parser, add_which_iter
from data.detectors import DETECTORS
from studio.photographs import People
from studio.pipeline import StepPose

SOURCE = "a photograph with its keypoints beside it or without, or an image of the dataset"


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


def add_source(parser: Parser) -> None:
    """The flag `--source`, once for each photograph of the one person."""
    words = f"who is drawn: {SOURCE}; may be given several times"
    parser.add_argument("--source", required=True, action="append", help=words)


def add_pose(parser: Parser) -> None:
    """The flag `--pose`."""
    words = f"whose pose: {SOURCE}, or a file of keypoints (.txt, or OpenPose's .json)"
    parser.add_argument("--pose", required=True, help=words)


def add_sources(parser: Parser, number: str) -> None:
    """The flag `--sources`, of so many people as `number` says; `albums` reads it."""
    words = f"{number} people, each {SOURCE}; or given once a person, with all photographs of that one"
    parser.add_argument("--sources", required=True, nargs="+", action="append", help=words)


def albums(arguments: argparse.Namespace) -> list[list[str]]:
    """The names of each person's photographs: of one each where `--sources` is given once."""
    given: list[list[str]] = arguments.sources
    return given if len(given) > 1 else [[name] for name in given[0]]


def open_studio(arguments: argparse.Namespace) -> Studio:
    """What parsed flags name; raises ValueError where there is no such model."""
    model = StepPose.load(arguments.model, which=arguments.which_iter)
    data = model.config.data
    if arguments.root:
        data = data.model_copy(update={"root": arguments.root})
    seed = model.config.seed if arguments.seed is None else arguments.seed
    return Studio(model, People(model, data, DETECTORS.get(arguments.detector)), seed)
