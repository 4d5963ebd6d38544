"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from config.schema import Config
from data.dataset import PairDataset
from data.loader import Batch, to_device, train_loader
from data.sampler import StepSampler
from trainers import checkpoint
from trainers.distributed import World
from trainers.engine import Engine
from trainers.log import RunLog
from trainers.phases import Terms
from trainers.samples import Sampler


class Trainer:
    """Trains one run, from its newest checkpoint on, bit for bit as if it had never stopped.

    Args:
        config: the run. folder: its folder, result/NAME. world: the processes.
        resume: continue from the newest checkpoint where there is one.
    """

    def __init__(self, config: Config, folder: Path, world: World, resume: bool = True) -> None:
        self.config, self.folder, self.world = config, folder, world
        self.micro_batch_size, self.num_micro = micro_batches(config, world.size)
        self.dataset = PairDataset(
            config.data.root,
            "train",
            config.data.image_size,
            config.data.pose,
            augment_scale=config.data.augment_scale,
            num_directions=2 if config.rollout.bidirectional else 1,
            seed=config.seed,
        )
        self.engine = Engine(config, world)
        if resume:
            self._resume()

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        settings = self.config.trainer
        return settings.max_steps or -(-settings.epochs * len(self.dataset) // settings.batch_size)

    def train(self) -> None:
        """Run to the end, or to the time limit; a checkpoint is saved when it stops."""
        settings, engine = self.config.trainer, self.engine
        deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))
        log = RunLog(self.folder, engine.step) if self.world.is_main else None
        sampler = Sampler(self.config, self.world.device) if log else None
        with self._progress() as progress:
            for batches in self._batches():
                terms = engine.train_step(batches, epoch=engine.nimg / len(self.dataset))
                progress.update()
                stop = self.world.most(int(time.monotonic() > deadline)) or engine.step == self.total_steps
                if stop or engine.step % settings.log_every == 0:
                    self._log(log, progress, terms)
                if log and sampler and (stop or engine.step % settings.sample_every == 0):
                    log.image(engine.step, "steps", sampler.picture(engine.generator_ema, engine.autocast()))
                if stop or engine.step % settings.checkpoint_every == 0:
                    self.save()
                if stop:
                    break
        if log:
            log.close()

    def save(self) -> None:
        """Write a checkpoint (the main process); every process returns when it is there."""
        if self.world.is_main:
            keep = self.config.trainer.keep_checkpoints
            checkpoint.save_checkpoint(self.folder / "checkpoints", self.engine.state(), keep)
        self.world.barrier()

    def _resume(self) -> None:
        path = checkpoint.find_checkpoint(self.folder / "checkpoints")
        if path is None:
            return
        state = checkpoint.load_checkpoint(path, self.world.device)
        checkpoint.check_config(path, state["config"], self.config)
        self.engine.load_state(state)

    def _batches(self) -> Iterator[list[Batch]]:
        """The micro-batches of each step that is left, on the device."""
        sampler = StepSampler(
            len(self.dataset),
            self.config.trainer.batch_size,
            self.world.rank,
            self.world.size,
            self.micro_batch_size,
            self.config.seed,
            self.engine.step,
            self.total_steps,
        )
        pin_memory = self.world.device.type == "cuda"
        loader = iter(train_loader(self.dataset, sampler, self.config.data.num_workers, pin_memory))
        while batches := list(islice(loader, self.num_micro)):
            yield [to_device(batch, self.world.device) for batch in batches]

    def _progress(self) -> tqdm:
        silent = not self.world.is_main
        return tqdm(
            total=self.total_steps, initial=self.engine.step, unit="step", desc=self.folder.name, disable=silent
        )

    def _log(self, log: RunLog | None, progress: tqdm, terms: Terms) -> None:
        values = self.world.mean(terms)
        if log:
            log.scalars(self.engine.step, self.engine.nimg, values)
            names = ("gan", "step_nll", "d_real", "d_fake")
            shown: dict[str, object] = {name: f"{values[name]:.3f}" for name in names if name in values}
            progress.set_postfix(shown)


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
