"""What a run is scored by: its EMA generator on test people, against the clean target."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from data.loader import Batch, test_loader, to_device
from data.pairs import PairLine, read_pairs
from evaluation.dataset import Dataset
from evaluation.score import measure
from images.names import person_of
from images.pixels import Pixels, to_uint8
from images.strips import stack, strip
from losses.face import face_crop
from metrics.evaluate import Scores
from metrics.gram import FrechetGram
from metrics.images import ImageFile, array_image
from metrics.reals import Reals, prepare_reals, set_hash
from metrics.scorer import load_scorer
from metrics.task import Task, Track
from studies.plan import Plan, Run
from trainers.trainer import Trainer
from trainers.validation import right_steps, spread

NUM_PICTURES = 6


@dataclass(frozen=True)
class Scored:
    """Scores of one point of a run.

    columns: a number of each image. means: of the columns, and what is of the whole set. head: the share of real and of
    generated images whose step the head names, step by step. persons: whose each image is. gram: for the distance of
    the protocol's embedding; None without one. picture: source, result and target of a few pairs.
    """

    columns: dict[str, np.ndarray]
    means: dict[str, float]
    head: dict[str, list[float]]
    persons: list[str]
    gram: FrechetGram | None
    picture: Pixels


class Judge:
    """Scores a trainer's EMA generator on the people that its kind of run is for.

    Args:
        plan: says how. run: whose people: those for choosing rates, or those for comparing.
        trainer: whose generator, discriminator and data. cache: folder of statistics of the reals.
    """

    def __init__(self, plan: Plan, run: Run, trainer: Trainer, cache: Path) -> None:
        self.trainer, self.cache = trainer, cache
        self.scorer = load_scorer(plan.protocol, trainer.world.device, face_crop)
        self.data = Dataset(trainer.config, plan.protocol.scored_size(trainer.config.data.image_size))
        self.lines = read_pairs(self.data.root / "test_pairs.txt")
        chosen = chosen_lines(self.lines, plan.study.validation_share, for_rates=run.trial is not None)
        self.indices = [chosen[place] for place in spread(len(chosen), min(plan.study.pairs, len(chosen)))]
        targets = sorted({self.lines[index].target for index in self.indices})
        self.reals = self.data.reals() or [self.data.image(name) for name in targets]
        with one_at_a_time(cache):
            prepare_reals(Reals(self.reals, set_hash(self.reals), self.scorer, self.data.size, cache), [None])

    def score(self, with_gram: bool) -> Scored:
        """Draw, and compare with the clean targets; raises ValueError for data that are damaged."""
        drawn, head = self._draw()
        task = self._task(drawn)
        (found, *_), _, reals = measure(task, self.scorer, self.cache)
        gram = self._gram(drawn, reals) if with_gram else None
        columns, means = found.clean.columns, means_of(found.clean)
        return Scored(columns, means, head, [str(pair.person) for pair in task.pairs], gram, self._picture(task, drawn))

    def _draw(self) -> tuple[list[Pixels], dict[str, list[float]]]:
        """The finished image of every pair, and how well the head knows the steps."""
        images: list[Pixels] = []
        right = {"real": np.zeros(0), "fake": np.zeros(0)}
        for batch, steps in self._batches():
            images.extend(to_uint8(steps[-1]))
            if self.trainer.config.has_step_head:
                for kind, shown in (("real", self._targets(batch, len(steps))), ("fake", steps)):
                    counts = [self._right(image, step) for step, image in enumerate(shown)]
                    right[kind] = np.add(right[kind], counts) if right[kind].size else np.array(counts, float)
        return images, {kind: (counts / len(images)).tolist() for kind, counts in right.items() if counts.size}

    def _batches(self) -> Iterator[tuple[Batch, list[Tensor]]]:
        validation, device = self.trainer.validation, self.trainer.world.device
        loader = test_loader(validation.dataset, validation.batch_size, num_workers=0, indices=self.indices)
        for raw in loader:
            batch = to_device(raw, device)
            yield batch, validation.draw(self.trainer.engine, batch)

    def _targets(self, batch: Batch, num_steps: int) -> list[Tensor]:
        schedule = self.trainer.validation.schedule
        return [schedule.degrade(batch["target_image"], step + 1) for step in range(num_steps)]

    def _right(self, images: Tensor, step: int) -> int:
        return right_steps(self.trainer.engine.networks["discriminator"], images, step)

    def _task(self, drawn: list[Pixels]) -> Task:
        lines = [self.lines[index] for index in self.indices]
        pairs = [self.data.pair(line.sources[0], line.target) for line in lines]
        images = {pair.name: _in_memory(pair.name, image) for pair, image in zip(pairs, drawn, strict=True)}
        return Task(pairs, [Track("final", images)], self.data.size, self.reals)

    def _gram(self, drawn: list[Pixels], reals: Reals | None) -> FrechetGram | None:
        network = self.scorer.identity
        if network is None or reals is None:
            return None
        features = network.embed(self.scorer.to_device(drawn))
        return FrechetGram.of(features, reals.statistics(network, None).finish().moments)

    def _picture(self, task: Task, drawn: list[Pixels]) -> Pixels:
        """Rows of source, result and target."""
        rows = []
        for place in spread(len(drawn), min(NUM_PICTURES, len(drawn))):
            pair = self.trainer.validation.dataset[self.indices[place]]
            source, target = (pair[f"{role}_image"].permute(1, 2, 0).numpy() for role in ("source", "target"))
            rows.append(strip([source, drawn[place], target]))
        return stack(rows)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait for other processes to leave the block: runs side by side would all compute what the first one keeps."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed, however the process ends
        yield


def chosen_lines(lines: list[PairLine], validation_share: float, for_rates: bool) -> list[int]:
    """Lines of the test list of one half of its people: those for choosing rates, or those for comparing.

    Every n-th person, by name, is for choosing; nobody is in both halves. Raises ValueError for too few people.
    """
    people = sorted({person_of(line.target) for line in lines})
    if len(people) < 2:
        raise ValueError(f"the test list is of {len(people)} person; a study needs two: one to choose rates on")
    kept_apart = set(people[:: max(2, round(1 / validation_share))])
    return [index for index, line in enumerate(lines) if (person_of(line.target) in kept_apart) == for_rates]


def means_of(scores: Scores) -> dict[str, float]:
    """The mean of each column over the images that have it, and the scores of the whole set."""
    means = {name: values[np.isfinite(values)] for name, values in scores.columns.items()}
    return {name: float(values.mean()) for name, values in means.items() if len(values)} | scores.sets


def _in_memory(name: str, image: Pixels) -> ImageFile:
    return array_image(name, lambda: image)
