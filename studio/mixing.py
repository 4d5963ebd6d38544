"""Style mixing: another source from a step on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from images.pixels import to_uint8
from models.rollout import Pair, join_pairs, switched
from studio.people import Person, Pose, draw_pose, shown_pose
from studio.pictures import labelled_grid
from studio.pipeline import StepPose

# a person by one photograph, or by several
Source = Person | Sequence[Person]


def photographs(source: Source) -> Sequence[Person]:
    """All photographs of a source."""
    return [source] if isinstance(source, Person) else source


def source_pairs(model: StepPose, people: Sequence[Source], pose: Pose) -> list[Pair]:
    """What to draw with each person as the source, in one target pose."""
    maps, pairs = draw_pose(model, pose), []
    for album in map(photographs, people):
        own = [person.maps(model) for person in album] if model.needs_source_pose else None
        pairs.append(model.several([person.image for person in album], maps, own))
    return pairs


def shown_photographs(people: Sequence[Source], names: Sequence[str]) -> tuple[list[np.ndarray], list[str]]:
    """All photographs of all sources, and the name of its source for each."""
    shown = [(one.image, name) for who, name in zip(people, names, strict=True) for one in photographs(who)]
    return [image for image, _ in shown], [name for _, name in shown]


def mix_strip(
    model: StepPose, people: Sequence[Source], pose: Pose, switches: Sequence[int], seed: int = 0
) -> np.ndarray:
    """The steps of one mix in a row, labelled: all photographs, target pose, every step with the source that it saw."""
    pairs = switched(source_pairs(model, people, pose), switches, model.num_steps)
    steps = [to_uint8(image[0]) for image in model.stream(pairs, model.noise(1, seed))]
    letters = [chr(ord("A") + index) for index in range(len(people))]
    seen = [letters[sum(step >= switch for switch in switches)] for step in range(model.num_steps)]
    pictures, labels = shown_photographs(people, [f"source {letter}" for letter in letters])
    row, labels = [*pictures, shown_pose(model, pose), *steps], [*labels, "pose"]
    return labelled_grid([row], column_labels=[*labels, *(f"step {k}: {letter}" for k, letter in enumerate(seen))])


def mix_grid(model: StepPose, people: Sequence[Source], pose: Pose, seed: int = 0) -> np.ndarray:
    """All switch steps (columns, 0 to S) for all ordered pairs of sources (rows, by first photographs), labelled."""
    pairs, count = source_pairs(model, people, pose), model.num_steps + 1
    noise = model.noise(1, seed).expand(count, -1, -1, -1)
    rows, labels = [], []
    for first, second in permutations(range(len(people)), 2):
        mixes = [switched([pairs[first], pairs[second]], [switch], model.num_steps) for switch in range(count)]
        batches = [join_pairs(batch) for batch in zip(*mixes, strict=True)]
        *_, finals = model.stream(batches, noise)
        rows.append([*(photographs(people[index])[0].image for index in (first, second)), *to_uint8(finals)])
        labels.append(f"{chr(ord('A') + first)} then {chr(ord('A') + second)}")
    headings = ["first source", "second source", *(f"switch {switch}" for switch in range(count))]
    return labelled_grid(rows, labels, headings)
