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

    Args:
        num_items: n, the samples of an epoch.
        share: what this process takes of a batch.
        steps: of the run; a resumed one begins later.
        seed: seed of the order.

    Raises:
        ValueError: no items, or a batch size that does not divide.
    """

    def __init__(self, num_items: int, share: Share, steps: range, seed: int = 0) -> None:
        if num_items < 1:
            raise ValueError("the dataset is empty; check its pairs file")
        self.num_items, self.share, self.steps, self.seed = num_items, share, steps, seed
        self.num_micro, rest = divmod(share.batch_size, share.world_size * share.micro_batch_size)
        if rest:
            raise ValueError(
                f"batch size {share.batch_size} is not a multiple of {share.world_size} processes x "
                f"{share.micro_batch_size} samples; change trainer.batch_size or trainer.max_batch_per_process"
            )

    def __len__(self) -> int:
        return len(self.steps) * self.num_micro

    def __iter__(self) -> Iterator[list[Draw]]:
        _, micro_batch_size, rank, world_size = self.share
        orders: dict[int, np.ndarray] = {}
        for step in self.steps:
            for micro in range(self.num_micro):
                first = (micro * world_size + rank) * micro_batch_size
                yield [self._draw(step, first + i, orders) for i in range(micro_batch_size)]

    def _draw(self, step: int, position: int, orders: dict[int, np.ndarray]) -> Draw:
        epoch, place = divmod(step * self.share.batch_size + position, self.num_items)
        if epoch not in orders:
            orders.pop(epoch - 2, None)
            orders[epoch] = epoch_order(self.num_items, self.seed, epoch)
        return Draw(epoch, int(orders[epoch][place]), position == 0)


def epoch_order(num_items: int, seed: int, epoch: int) -> np.ndarray:
    """(num_items,) permutation of an epoch: NumPy's default generator seeded with (seed, epoch)."""
    return np.random.default_rng([seed, epoch]).permutation(num_items)
