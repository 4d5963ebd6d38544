"""What a sampler asks of a dataset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample: line `index` of the pairs file, in pass `epoch` over it.

    `is_first` marks the first sample of a global batch, whose rollout window starts at step 0 (docs/method.md, 3).
    `num_sources` is how many sources of the line are drawn, the same in a whole global batch.
    """

    epoch: int
    index: int
    is_first: bool = False
    num_sources: int = 1
