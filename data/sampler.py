"""Which samples each process sees: a pure function of counters, so any run can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from data.draws import Draw


class StepSampler(Sampler[list[Draw]]):
    """Micro-batches of one process, from `start_step` to the end of the run.

    Position i of the global batch of a step is sample g = step * batch_size + i of the run: the (g mod n)-th of the
    permutation of epoch g div n, so no sample is dropped at the end of an epoch. The global batch is cut into chunks
    of `micro_batch_size`; micro-batch m of process r is chunk m * world_size + r. One process that accumulates two
    micro-batches therefore sees what two processes see.

    Args:
        num_items: n, the samples of an epoch.
        batch_size: samples an optimizer step, over all processes.
        rank, world_size: this process, and how many there are.
        micro_batch_size: samples a list; `world_size * micro_batch_size` divides `batch_size`.
        seed: seed of the order.
        start_step, num_steps: the first step of this run, and the one to stop before.

    Raises:
        ValueError: no items, or a batch size that does not divide.
    """

    def __init__(
        self,
        num_items: int,
        batch_size: int,
        rank: int,
        world_size: int,
        micro_batch_size: int,
        seed: int,
        start_step: int,
        num_steps: int,
    ) -> None:
        if num_items < 1:
            raise ValueError("the dataset is empty; check its pairs file")
        if batch_size % (world_size * micro_batch_size):
            raise ValueError(
                f"batch size {batch_size} is not a multiple of {world_size} processes x {micro_batch_size} samples; "
                "change trainer.batch_size or trainer.max_batch_per_process"
            )
        self.num_items, self.batch_size, self.seed = num_items, batch_size, seed
        self.rank, self.world_size, self.micro_batch_size = rank, world_size, micro_batch_size
        self.start_step, self.num_steps = start_step, num_steps
        self.num_micro = batch_size // (world_size * micro_batch_size)

    def __len__(self) -> int:
        return max(self.num_steps - self.start_step, 0) * self.num_micro

    def __iter__(self) -> Iterator[list[Draw]]:
        orders: dict[int, np.ndarray] = {}
        for step in range(self.start_step, self.num_steps):
            for micro in range(self.num_micro):
                first = (micro * self.world_size + self.rank) * self.micro_batch_size
                yield [self._draw(step, first + i, orders) for i in range(self.micro_batch_size)]

    def _draw(self, step: int, position: int, orders: dict[int, np.ndarray]) -> Draw:
        epoch, place = divmod(step * self.batch_size + position, self.num_items)
        if epoch not in orders:
            orders.pop(epoch - 2, None)
            orders[epoch] = epoch_order(self.num_items, self.seed, epoch)
        return Draw(epoch, int(orders[epoch][place]), position == 0)


def epoch_order(num_items: int, seed: int, epoch: int) -> np.ndarray:
    """(num_items,) permutation of an epoch: NumPy's default generator seeded with (seed, epoch)."""
    return np.random.default_rng([seed, epoch]).permutation(num_items)
