"""The training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from tqdm import tqdm

from config.load import dump_config
from config.schema import Config
from data.dataset import PairDataset
from data.loader import Batch, to_device, train_loader
from data.sampler import StepSampler
from models.build import build_networks
from models.layers import advance_spectral_norm
from trainers import checkpoint
from trainers.build import build_phases
from trainers.distributed import World
from trainers.ema import ema_decay, update_ema
from trainers.log import RunLog
from trainers.optim import build_adam, lazy_adam, learning_rate, set_learning_rate
from trainers.phases import Terms
from trainers.precision import autocast, memory_format, resolve_precision
from trainers.samples import Sampler


class Trainer:
    """Trains one run, from its newest checkpoint on.

    A step takes one global batch: the generator's phase over all micro-batches and its optimizer step, the
    discriminator's on the same fakes, R1 where it is due, the EMA. All randomness is a function of the counters
    `step` and `nimg` (pairs seen), so a resumed run continues bit for bit.

    Args:
        config: the run. folder: its folder, result/NAME. world: the processes.
        resume: continue from the newest checkpoint where there is one.
    """

    def __init__(self, config: Config, folder: Path, world: World, resume: bool = True) -> None:
        self.config, self.folder, self.world = config, folder, world
        self.dtype = resolve_precision(config.trainer.precision, world.device)
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
        self._build()
        self.step = 0
        self.r1 = torch.zeros((), device=world.device)
        if resume:
            self._resume()

    @property
    def nimg(self) -> int:
        """Pairs seen so far."""
        return self.step * self.config.trainer.batch_size

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        settings = self.config.trainer
        return settings.max_steps or -(-settings.epochs * len(self.dataset) // settings.batch_size)

    @property
    def images_per_step(self) -> int:
        """Target images generated for one step of the rollout, over all processes."""
        return self.config.trainer.batch_size * self.dataset.num_directions

    def train(self) -> None:
        """Run to the end, or to the time limit; a checkpoint is saved when it stops."""
        settings = self.config.trainer
        deadline = time.monotonic() + 60 * (settings.max_minutes or float("inf"))
        log = RunLog(self.folder, self.step) if self.world.is_main else None
        sampler = Sampler(self.config, self.world.device) if log else None
        with self._progress() as progress:
            for batches in self._batches():
                terms = self.train_step(batches)
                progress.update()
                stop = self.world.most(int(time.monotonic() > deadline)) or self.step == self.total_steps
                if self.step % settings.log_every == 0 or stop:
                    self._log(log, progress, terms)
                if log and sampler and (self.step % settings.sample_every == 0 or stop):
                    log.image(self.step, "steps", sampler.picture(self.generator_ema, self._autocast()))
                if self.step % settings.checkpoint_every == 0 or stop:
                    self.save()
                if stop:
                    break
        if log:
            log.close()

    def train_step(self, batches: list[Batch]) -> Terms:
        """One optimizer step of each network on the micro-batches of one global batch; returns every loss term."""
        objective = self.config.objective
        self._set_learning_rates()
        batches = [self._finish(batch) for batch in batches]
        terms, windows = self._optimize(self.generator_phase, self.generator_optimizer, batches)
        terms |= self._optimize(self.discriminator_phase, self.discriminator_optimizer, windows)[0]
        if objective.r1_gamma:
            if self.step % objective.r1_interval == 0:
                r1_terms, _ = self._optimize(self.discriminator_phase, self.discriminator_optimizer, windows, r1=True)
                self.r1 = r1_terms["r1"]
            terms["r1"] = self.r1
        update_ema(
            self.generator_ema, self.generator, ema_decay(self.images_per_step, self.config.trainer.ema_half_life)
        )
        self.step += 1
        return terms

    def save(self) -> None:
        """Write a checkpoint (the main process); every process returns when it is there."""
        if self.world.is_main:
            checkpoint.save_checkpoint(self.folder / "checkpoints", self.state(), self.config.trainer.keep_checkpoints)
        self.world.barrier()

    def state(self) -> dict[str, Any]:
        """Everything that a run is: counters, config, networks, EMA and optimizers."""
        modules = {name: module.state_dict() for name, module in self._stateful().items()}
        return {"step": self.step, "nimg": self.nimg, "config": dump_config(self.config), "r1": self.r1, **modules}

    def _stateful(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_ema": self.generator_ema,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def _build(self) -> None:
        """Networks, EMA, optimizers and phases."""
        config, device = self.config, self.world.device
        layout = memory_format(self.dtype)
        networks = build_networks(config)
        self.generator, self.discriminator = (network.to(device).to(memory_format=layout) for network in networks)
        self.generator_ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        objective = config.objective
        lazy = lazy_adam(config.optim.discriminator, objective.r1_interval if objective.r1_gamma else None)
        self.base_lr = (config.optim.generator.lr, lazy.lr)
        self.generator_optimizer = build_adam(self.generator, config.optim.generator)
        self.discriminator_optimizer = build_adam(self.discriminator, lazy)
        if config.trainer.compile:
            self.generator.compile()
            self.discriminator.compile()
        phases = build_phases(config, self.generator, self.discriminator)
        self.generator_phase, self.discriminator_phase = (self._distribute(phase.to(device)) for phase in phases)

    def _distribute(self, phase: nn.Module) -> nn.Module:
        """Buffers (spectral norm's vectors) follow from the weights, so they need no broadcast."""
        if self.world.size == 1:
            return phase
        devices = [self.world.device.index] if self.world.device.type == "cuda" else None
        return DistributedDataParallel(phase, device_ids=devices, broadcast_buffers=False)

    def _resume(self) -> None:
        path = checkpoint.find_checkpoint(self.folder / "checkpoints")
        if path is None:
            return
        state = checkpoint.load_checkpoint(path, self.world.device)
        checkpoint.check_config(path, state["config"], self.config)
        for name, module in self._stateful().items():
            module.load_state_dict(state[name])
        self.step, self.r1 = state["step"], state["r1"]

    def _batches(self) -> Iterator[list[Batch]]:
        """The micro-batches of each step that is left."""
        sampler = StepSampler(
            len(self.dataset),
            self.config.trainer.batch_size,
            self.world.rank,
            self.world.size,
            self.micro_batch_size,
            self.config.seed,
            self.step,
            self.total_steps,
        )
        pin_memory = self.world.device.type == "cuda"
        loader = iter(train_loader(self.dataset, sampler, self.config.data.num_workers, pin_memory))
        while batches := list(islice(loader, self.num_micro)):
            yield batches

    def _finish(self, batch: Batch) -> Batch:
        batch = to_device(batch, self.world.device)
        layout = memory_format(self.dtype)
        return {name: x.contiguous(memory_format=layout) if x.dim() == 4 else x for name, x in batch.items()}

    def _optimize(
        self, phase: nn.Module, optimizer: Optimizer, inputs: list[Any], **options: bool
    ) -> tuple[Terms, list[Any]]:
        """Gradients accumulated over micro-batches, reduced once, and one optimizer step.

        Returns the mean of each term and what else the phase gave for each micro-batch.
        """
        optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        extras = []
        for index, item in enumerate(inputs):
            is_last = index == len(inputs) - 1
            with nullcontext() if is_last or self.world.size == 1 else phase.no_sync():  # type: ignore[operator]
                with self._autocast():
                    loss, terms, extra = phase(item, **options)
                (loss / len(inputs)).backward()
            extras.append(extra)
            totals = {name: totals.get(name, 0) + term / len(inputs) for name, term in terms.items()}
        optimizer.step()
        advance_spectral_norm(phase)
        return totals, extras

    def _autocast(self) -> Any:
        return autocast(self.world.device, self.dtype)

    def _set_learning_rates(self) -> None:
        epoch = self.nimg / len(self.dataset)
        epochs, decay = self.config.trainer.epochs, self.config.optim.decay_epochs
        for optimizer, base in zip((self.generator_optimizer, self.discriminator_optimizer), self.base_lr, strict=True):
            set_learning_rate(optimizer, learning_rate(base, epoch, epochs, decay))

    def _progress(self) -> tqdm:
        return tqdm(
            total=self.total_steps,
            initial=self.step,
            unit="step",
            desc=self.folder.name,
            disable=not self.world.is_main,
        )

    def _log(self, log: RunLog | None, progress: tqdm, terms: Terms) -> None:
        values = self.world.mean(terms)
        if log:
            log.scalars(self.step, self.nimg, values)
            shown: dict[str, object] = {
                name: f"{values[name]:.3f}" for name in ("gan", "step_nll", "d_real", "d_fake") if name in values
            }
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
