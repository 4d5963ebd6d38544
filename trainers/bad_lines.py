"""Lines of the pairs file that cannot be read, where `data.on_error: skip` goes on without them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from data.loader import Batch
from data.options import DataConfig
from losses.objective import Terms
from trainers.distributed import World


class BadLines:
    """What one process has skipped since it started."""

    def __init__(self, config: DataConfig) -> None:
        self.skips, self.most = config.on_error == "skip", config.max_bad_lines
        self.lines: set[int] = set()
        self.num_new = 0

    def note(self, batches: Sequence[Batch]) -> None:
        """Take note of the samples that stand for others; raises ValueError where too many lines are bad."""
        found = [int(line) for batch in batches if self.skips for line in batch.pop("replaces") if line >= 0]
        self.num_new += len(found)
        self.lines.update(found)
        if len(self.lines) > self.most:
            raise ValueError(
                f"{len(self.lines)} lines of the training pairs cannot be read, more than data.max_bad_lines "
                f"({self.most}); find them with python -m scripts.check_data"
            )

    def terms(self, world: World) -> Terms:
        """`bad_pairs`, whose mean over the processes is how many pairs all have skipped since the last call."""
        count, self.num_new = self.num_new * world.size, 0
        return {"bad_pairs": torch.tensor(float(count), device=world.device)} if self.skips else {}
