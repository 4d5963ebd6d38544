"""Batches: loader processes, their errors, and the last steps on the device."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from data.dataset import PairDataset, Sample, padded
from data.draws import Draw
from data.pose import pose_maps
from images.noise import normal_noise

_LOG = logging.getLogger(__name__)
Batch = dict[str, Tensor]
NUM_OTHERS = 10
# what asks a command to stop: Ctrl-C; kill, timeout, torchrun and Slurm; Slurm's early warning; a closed terminal
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_CAUSE = "; it was killed, perhaps for lack of memory: lower data.num_workers"


class LostWorker(ChildProcessError):
    """A loader process was killed, mostly by a system that is short of memory."""


class Batches:
    """Iterable of batches over loader processes.

    Bad input met by a process is raised here as one plain ValueError, and the end of a process as `LostWorker`. The
    processes do not hear what asks a command to stop: their owner ends them.
    """

    def __init__(
        self, dataset: PairDataset, batches: Any, num_workers: int, pin_memory: bool, skip_bad: bool = False
    ) -> None:
        self._loader: DataLoader = DataLoader(
            _Guarded(dataset, skip_bad),
            batch_sampler=batches,
            collate_fn=_collate,
            num_workers=num_workers,
            pin_memory=pin_memory,
            prefetch_factor=4 if num_workers else None,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        batches = _start(self._loader)
        while (batch := _next(batches)) is not None:
            if isinstance(batch, _BadInput):
                raise ValueError(batch.message)
            yield batch


def train_loader(
    dataset: PairDataset, sampler: Sampler[list[Draw]], num_workers: int, pin_memory: bool, skip_bad: bool = False
) -> Batches:
    """Batches of the lists of draws that a `StepSampler` yields; `skip_bad` as in `test_loader`."""
    return Batches(dataset, sampler, num_workers, pin_memory, skip_bad)


def test_loader(
    dataset: PairDataset,
    batch_size: int,
    num_workers: int,
    rank: int = 0,
    world_size: int = 1,
    indices: Sequence[int] | None = None,
    skip_bad: bool = False,
) -> Batches:
    """Batches of a process's share: every `world_size`-th of `indices` (default: all), from the `rank`-th on.

    Lines with few sources come first: all of a batch have equally many.

    skip_bad: another line, a function of the draw, in place of one that cannot be read; `replaces` (B,) is then the
    index of that one, and -1 for all others.
    """
    mine = list(range(len(dataset)) if indices is None else indices)[rank::world_size]
    batches = []
    for count in np.unique(dataset.num_sources):
        alike = [Draw(0, index) for index in mine if dataset.num_sources[index] == count]
        batches += [alike[i : i + batch_size] for i in range(0, len(alike), batch_size)]
    return Batches(dataset, batches, num_workers, torch.cuda.is_available(), skip_bad)


def to_device(batch: Batch, device: torch.device | str) -> Batch:
    """Move a batch and finish it there.

    Returns:
        the batch with images float32 in [-1, 1]; poses (B, P, H, W) float32 in [0, 1], with the maps there are as
        their last channels; of N sources images (B, N, 3, H, W) and poses (B, N, P, H, W); `noise` (B, D, 3, H, W)
        standard normal, drawn from `noise_key`; the rest as it was.
    """
    batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    height, width = batch["target_image"].shape[-2:]
    for role in ("source", "target"):
        places = batch[f"{role}_image"].shape[:-3]  # (B,) or (B, N)
        batch[f"{role}_image"] = batch[f"{role}_image"].float() / 127.5 - 1
        encoded = batch[f"{role}_pose"].flatten(0, len(places) - 1)
        poses = pose_maps(encoded, (height, width)).unflatten(0, places)
        maps = batch.pop(f"{role}_maps", None)
        batch[f"{role}_pose"] = poses if maps is None else torch.cat([poses, maps.float() / 255], dim=-3)
    batch["noise"] = normal_noise(batch["noise_key"], (3, height, width))
    return batch


class _BadInput(NamedTuple):
    message: str


def _start(loader: DataLoader) -> Iterator[Batch | _BadInput]:
    """A loader's batches; its processes inherit that all that asks to stop is blocked, from their first moment on."""
    if loader.num_workers:
        # the processes are the parallelism; one that is forked from OpenCV's threads may wait for them for ever
        cv2.setNumThreads(0)
    others, on_child_death = set(multiprocessing.active_children()), signal.getsignal(signal.SIGCHLD)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        batches = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    # PyTorch's handler would raise in the middle of a step; a lost worker is found where its batch is missing
    signal.signal(signal.SIGCHLD, on_child_death)
    # PyTorch asks them to end, and insists with a signal that they do not hear
    weakref.finalize(batches, _kill, set(multiprocessing.active_children()) - others)
    return batches


def _kill(workers: set[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()


def _next(batches: Iterator[Batch | _BadInput]) -> Batch | _BadInput | None:
    """The next batch, None after the last."""
    try:
        return next(batches, None)
    except (OSError, EOFError) as error:  # a batch is fetched from the process that made it; bad input is a value
        raise LostWorker(f"a DataLoader worker was lost ({error!r}){_CAUSE}") from None
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):  # an error within one says where it was caught
            raise
        raise LostWorker(f"{error}{_CAUSE}") from None


class _Guarded(Dataset):
    """Hands bad input over as a value: an exception from a loader process would arrive as pages of traceback."""

    def __init__(self, dataset: PairDataset, skip_bad: bool) -> None:
        self.dataset, self.skip_bad = dataset, skip_bad

    def __getitems__(self, draws: list[Draw]) -> list[Sample] | _BadInput:
        try:
            return [self._good(draw) if self.skip_bad else self.dataset[draw] for draw in draws]
        except (ValueError, OSError) as error:
            return _BadInput(str(error))

    def _good(self, draw: Draw) -> Sample:
        """The sample of a draw, or the first one that can be read of a few others; raises the last one's error."""
        for attempt, index in enumerate((draw.index, *self._others(draw))):
            try:
                sample = self.dataset[replace(draw, index=index)]
                return sample | {"replaces": torch.tensor(draw.index if attempt else -1)}
            except (ValueError, OSError) as error:
                _LOG.warning("skipped: line %d of the %s pairs: %s", index + 1, self.dataset.split, error)
                bad = error
        raise bad

    def _others(self, draw: Draw) -> list[int]:
        random = np.random.default_rng([self.dataset.seed, draw.epoch, draw.index, NUM_OTHERS])
        alike = self.dataset.alike(draw)
        return alike[random.integers(len(alike), size=NUM_OTHERS)].tolist()

    def __len__(self) -> int:
        return len(self.dataset)


def collate(samples: list[Sample]) -> Batch:
    """A batch of samples."""
    return {name: default_collate(padded([sample[name] for sample in samples])) for name in samples[0]}


def _collate(samples: list[Sample] | _BadInput) -> Batch | _BadInput:
    return samples if isinstance(samples, _BadInput) else collate(samples)
