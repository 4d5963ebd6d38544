"""What a sampler asks of a dataset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample: line `index` of the pairs file, in pass `epoch` over it.

    `is_first` marks the first sample of a global batch, whose rollout window starts at step 0 (docs/method.md, 3).
    """

    epoch: int
    index: int
    is_first: bool = False
