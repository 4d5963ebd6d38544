"""Which samples each process sees: a pure function of counters, so any run can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from data.draws import Draw


class Share(NamedTuple):
    """What a process takes of each global batch.

    `batch_size`: samples an optimizer step, over all processes; `micro_batch_size`: samples a list, where
    `world_size * micro_batch_size` divides `batch_size`; `rank`, `world_size`: this process, and how many there are.
    """

    batch_size: int
    micro_batch_size: int
    rank: int = 0
    world_size: int = 1


class StepSampler(Sampler[list[Draw]]):
    """Micro-batches of one process.

    Position i of the global batch of a step is sample g = step * batch_size + i of the run: the (g mod n)-th of the
    permutation of epoch g div n, so no sample is dropped at the end of an epoch. The global batch is cut into chunks
    of `micro_batch_size`; micro-batch m of process r is chunk m * world_size + r. One process that accumulates two
    micro-batches therefore sees what two processes see.

    All samples of a global batch have the same number of sources, the least of what its items have. So that little is
    left out, an epoch's batches are then made of items that have equally many (`alike_together`).

    Args:
        num_items: n, the samples of an epoch.
        share: what this process takes of a batch.
        steps: of the run; a resumed one begins later.
        seed: seed of the order.
        num_sources: (n,) how many sources of each item may be drawn; None: one.

    Raises:
        ValueError: no items, or a batch size that does not divide.
    """

    def __init__(
        self, num_items: int, share: Share, steps: range, seed: int = 0, num_sources: np.ndarray | None = None
    ) -> None:
        if num_items < 1:
            raise ValueError("the dataset is empty; check its pairs file")
        self.num_items, self.share, self.steps, self.seed = num_items, share, steps, seed
        self.num_sources = np.ones(num_items, int) if num_sources is None else num_sources
        self.num_micro, rest = divmod(share.batch_size, share.world_size * share.micro_batch_size)
        if rest:
            raise ValueError(
                f"batch size {share.batch_size} is not a multiple of {share.world_size} processes x "
                f"{share.micro_batch_size} samples; change trainer.batch_size or trainer.max_batch_per_process"
            )

    def __len__(self) -> int:
        return len(self.steps) * self.num_micro

    def __iter__(self) -> Iterator[list[Draw]]:
        batch_size, micro_batch_size, rank, world_size = self.share
        orders: dict[int, np.ndarray] = {}
        for step in self.steps:
            places = [self._place(step * batch_size + position, orders) for position in range(batch_size)]
            count = int(min(self.num_sources[index] for _, index in places))
            for micro in range(self.num_micro):
                first = (micro * world_size + rank) * micro_batch_size
                mine = range(first, first + micro_batch_size)
                yield [Draw(*places[position], position == 0, count) for position in mine]

    def _place(self, sample: int, orders: dict[int, np.ndarray]) -> tuple[int, int]:
        """Epoch and index of a sample of the run."""
        epoch, place = divmod(sample, self.num_items)
        if epoch not in orders:
            orders.pop(epoch - 2, None)
            order = epoch_order(self.num_items, self.seed, epoch)
            orders[epoch] = alike_together(order, self.num_sources, self.share.batch_size, self.seed, epoch)
        return epoch, int(orders[epoch][place])


def epoch_order(num_items: int, seed: int, epoch: int) -> np.ndarray:
    """(num_items,) permutation of an epoch: NumPy's default generator seeded with (seed, epoch)."""
    return np.random.default_rng([seed, epoch]).permutation(num_items)


def alike_together(order: np.ndarray, num_sources: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """An epoch's order, changed so that the items of a global batch have equally many sources, but for a few batches.

    Those are the batches that an epoch shares with its neighbours, and those in which one number of sources gives way
    to the next. Where all items have the same number, the order stays.
    """
    if num_sources.min() == num_sources.max():
        return order
    rng = np.random.default_rng([seed, epoch, 1])
    # the first places belong to the batch that the epoch before began
    first = -epoch * len(order) % batch_size
    whole = max(0, len(order) - first) // batch_size
    # a random beginning, so that what is left over is not always of those that have the most
    alike = np.roll(order[np.argsort(num_sources[order], kind="stable")], rng.integers(len(order)))
    batches, rest = alike[: whole * batch_size].reshape(whole, batch_size), alike[whole * batch_size :]
    return np.concatenate([rest[:first], rng.permutation(batches).ravel(), rest[first:]])
