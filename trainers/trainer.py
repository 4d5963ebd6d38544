"""The training loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from config.load import dump_config
from config.schema import Config
from data.dataset import PairDataset
from data.fingerprint import fingerprint
from data.loader import Batch, to_device, train_loader
from data.sampler import Share, StepSampler
from images.writing import write_text
from losses.objective import Terms
from metrics.slices import is_better_high
from trainers import post_hoc, saving, step_head
from trainers.bad_lines import BadLines
from trainers.checkpoints import checkpoint_path, load_checkpoint
from trainers.distributed import FailedElsewhere, World
from trainers.engine import Engine
from trainers.environment import record_environment
from trainers.guard import MOST_IN_A_ROW
from trainers.log import RunLog, read_log
from trainers.report import write_run_report
from trainers.signals import StopRequest
from trainers.trackers import check_trackers
from trainers.validation import Validation

LOG = logging.getLogger(__name__)


class Ending(IntEnum):
    """Why training returned; where processes differ, the largest counts."""

    GOING_ON = 0
    FINISHED = 1
    OUT_OF_TIME = 2
    ASKED_TO_STOP = 3


class Trainer:
    """Trains one run, from its newest whole checkpoint on, bit for bit as if it had never stopped.

    Args:
        config: the run. folder: its folder, result/NAME. world: the processes.
        dry_run: leave everything in the folder as it is, damaged checkpoints too.

    Raises:
        ValueError: the folder holds a run of another config.
    """

    def __init__(self, config: Config, folder: Path, world: World, dry_run: bool = False) -> None:
        self.config, self.folder, self.world = config, folder, world
        self.data: dict[str, str] = {}
        self.start_report: list[str] = []  # of a run that begins with the networks of another
        with world.together():
            self.micro_batch_size, self.num_micro = micro_batches(config, world.size)
            self.dataset = training_pairs(config)
            check_trackers(config.trainer.trackers)
            if world.is_main:
                self.data = fingerprint(self.dataset)
            self._check_folder()
            self.validation = Validation(config, world, self.dataset, folder / "eval_cache")
        self.bad_lines = BadLines(config.data)
        self.engine = Engine(config, world)
        self._resume(set_aside=not dry_run)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        settings = self.config.trainer
        return settings.max_steps or -(-settings.epochs * len(self.dataset) // settings.batch_size)

    def train(self, request: StopRequest | None = None) -> Ending:
        """Run until the last step, the time limit or a signal; a checkpoint is saved whenever it stops.

        Args:
            request: says when to stop; None: nothing does.

        Raises:
            ValueError, OSError: bad training data or a lost loader worker, when all is saved; FailedElsewhere in the
                other processes.
        """
        deadline = time.monotonic() + 60 * (self.config.trainer.max_minutes or float("inf"))
        request = request or StopRequest()
        ending = self._ending(float("inf"), request)
        if ending is not Ending.GOING_ON:
            return ending
        with self._open_log() as log, self._progress() as progress:
            for batches in self.batches():
                terms = self.engine.train_step(batches, self._epoch())
                progress.update()
                ending = self._ending(deadline, request)
                self._after_step(log, progress, terms, ending, request)
                if ending is not Ending.GOING_ON:
                    break
        return ending

    def _epoch(self) -> float:
        """Passes over the data so far; a run whose length is `max_steps` goes through its `epochs` in them."""
        settings = self.config.trainer
        if settings.max_steps:
            return settings.epochs * self.engine.step / settings.max_steps
        return self.engine.nimg / len(self.dataset)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: all of the engine, and what the training data were (the main process knows)."""
        return {**self.engine.state(), "data": self.data}

    def save(self) -> None:
        """Write a checkpoint (the main process); every process returns when it is there."""
        if self.world.is_main:
            saving.save_checkpoint(self.folder / "checkpoints", self.state(), self.config.trainer.keep_checkpoints)
            if snapshot := self.engine.snapshot():
                saving.save_snapshot(self.folder / post_hoc.FOLDER, snapshot)
        self.world.barrier()

    def _after_step(
        self, log: RunLog | None, progress: tqdm, terms: Terms, ending: Ending, request: StopRequest
    ) -> None:
        """What follows a step where it is due.

        The losses are logged before the checkpoint: a run killed in between goes back to before both. The checkpoint
        comes before what may take long or fail.
        """
        settings, step, stopping = self.config.trainer, self.engine.step, ending is not Ending.GOING_ON
        if stopping or step % settings.log_every == 0:
            values = self.world.mean(terms | self.bad_lines.terms(self.world))
            names = ("gan", "step_nll", "d_real", "d_fake")
            progress.set_postfix({name: f"{values[name]:.3f}" for name in names if name in values})
            if log:
                log.scalars(step, self.engine.nimg, values)
        if log and self.config.has_step_head and (step == step_head.JUDGED_AFTER or ending is Ending.FINISHED):
            self._judge_step_head()
        if stopping or step % settings.checkpoint_every == 0:
            self.save()
        if settings.eval_every and step % settings.eval_every == 0 and ending is not Ending.ASKED_TO_STOP:
            scores = self._validate(request)
            if log and scores:
                log.scalars(step, self.engine.nimg, scores)
        if ending is not Ending.ASKED_TO_STOP and (stopping or step % settings.sample_every == 0):
            picture = self.validation.picture(self.engine)
            if log:
                log.image(step, "steps", picture)
                if stopping and settings.eval_every:
                    write_run_report(self.folder)
        if step % MOST_IN_A_ROW == 0:
            self.engine.guard.check()

    def _judge_step_head(self) -> None:
        log, num_steps = read_log(self.folder), self.config.schedule.num_steps
        if remark := step_head.remark(log, self.engine.step, num_steps):
            LOG.warning("%s", remark)

    def _validate(self, request: StopRequest) -> dict[str, float]:
        """Scores of the EMA generator, none once a stop is asked for; the best so far is kept as `best.pt`."""
        start = time.monotonic()
        scores = self.validation.scores(self.engine, request)
        if self.world.maximum(request.received):
            return {}
        if self.world.is_main:
            self._keep_best(scores)
            LOG.info("validation at step %d took %.1f s", self.engine.step, time.monotonic() - start)
        self.world.barrier()
        return scores

    def _keep_best(self, scores: dict[str, float]) -> None:
        settings, folder = self.config.trainer, self.folder / "checkpoints"
        metric, value = settings.best_metric, scores.get(f"eval_{settings.best_metric}")
        if value is None:
            LOG.warning("no pair of this validation has a value of %s: best.pt stays as it is", metric)
            return
        # the same metric of another protocol is another one
        name = f"{settings.eval_protocol}:{metric}" if settings.eval_protocol else metric
        best = saving.best_value(folder, name)
        if best is None or (value > best if is_better_high(metric) else value < best):
            saving.save_best(folder, self.state(), name, value)

    def _ending(self, deadline: float, request: StopRequest) -> Ending:
        """The same answer on every process."""
        mine = Ending.OUT_OF_TIME if time.monotonic() > deadline else Ending.GOING_ON
        if self.engine.step >= self.total_steps:
            mine = Ending.FINISHED
        return Ending(self.world.maximum(Ending.ASKED_TO_STOP if request.received else mine))

    def _check_folder(self) -> None:
        path = self.folder / "config.yaml"
        if path.exists():
            saving.check_run(path, path.read_text(), self.config)

    def _resume(self, set_aside: bool) -> None:
        """The main process chooses the checkpoint, so that all continue from the same one."""
        folder, device = self.folder / "checkpoints", self.world.device
        state = None
        with self.world.together():
            if self.world.is_main and (state := saving.newest_whole(folder, set_aside, device)):
                path = checkpoint_path(folder, state["step"])
                saving.check_run(path, state["config"], self.config)
                saving.check_data(path, state, self.data, self.config.data.root)
        step = self.world.maximum(state["step"] if state else -1)
        if step >= 0:
            self.engine.load_state(state or load_checkpoint(checkpoint_path(folder, step), device))
        elif self.config.trainer.start_from:
            with self.world.together():
                self.start_report = self.engine.start_from_another()
            if self.world.is_main:
                LOG.info("%s", "\n".join(line for line in self.start_report if not line.startswith(" ")))

    @contextmanager
    def _open_log(self) -> Iterator[RunLog | None]:
        """The logs of the main process, closed whatever happens; None on the others."""
        if not self.world.is_main:
            yield None
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "config.yaml", dump_config(self.config))
        if self.start_report:
            write_text(self.folder / "start_from.txt", "".join(f"{line}\n" for line in self.start_report))
        record_environment(self.folder, self.world, self.engine.step)
        trackers, config = self.config.trainer.trackers, self.config.model_dump(mode="json")
        with closing(RunLog(self.folder, self.engine.step, trackers, config)) as log:
            yield log

    def batches(self) -> Iterator[list[Batch]]:
        """The micro-batches of each step that is left, on the device."""
        share = Share(self.config.trainer.batch_size, self.micro_batch_size, self.world.rank, self.world.size)
        steps = range(self.engine.step, self.total_steps)
        sampler = StepSampler(len(self.dataset), share, steps, self.config.seed, self.dataset.num_sources)
        pin_memory = self.world.device.type == "cuda"
        settings = self.config.data
        loader = iter(
            train_loader(self.dataset, sampler, settings.num_workers, pin_memory, settings.on_error == "skip")
        )
        while batches := self._fetch(loader):
            yield [to_device(batch, self.world.device) for batch in batches]

    def _fetch(self, loader: Iterator[Batch]) -> list[Batch]:
        """The micro-batches of one step, none after the last; where any process fails at it, all save and raise."""
        batches: list[Batch] = []
        try:
            with self.world.together():
                batches = list(islice(loader, self.num_micro))
                self.bad_lines.note(batches)
        except (ValueError, OSError, FailedElsewhere):
            if self.engine.step:
                self.save()
            raise
        return batches

    def _progress(self) -> tqdm:
        silent = not self.world.is_main
        return tqdm(
            total=self.total_steps, initial=self.engine.step, unit="step", desc=self.folder.name, disable=silent
        )


def training_pairs(config: Config) -> PairDataset:
    """The training pairs of a run; raises ValueError where they cannot be read."""
    return PairDataset(config.data, "train", 2 if config.rollout.bidirectional else 1, config.seed)


def micro_batches(config: Config, world_size: int) -> tuple[int, int]:
    """Pairs a micro-batch and micro-batches a step, of each process.

    Raises:
        ValueError: the global batch cannot be shared evenly.
    """
    batch_size, most = config.trainer.batch_size, config.trainer.max_batch_per_process
    if batch_size % world_size:
        raise ValueError(f"trainer.batch_size is {batch_size}, not a multiple of the {world_size} processes")
    share = batch_size // world_size
    num_micro = next(number for number in range(1, share + 1) if share % number == 0 and share // number <= most)
    return share // num_micro, num_micro
