"""The order of samples is a function of counters."""

from __future__ import annotations

import pytest

from data.draws import Draw
from data.sampler import Share, StepSampler


def draws(num_items=10, batch=4, rank=0, world=1, micro=4, seed=0, start=0, steps=5) -> list[list[Draw]]:
    return list(StepSampler(num_items, Share(batch, micro, rank, world), range(start, steps), seed))


def test_every_epoch_visits_each_item_once_and_anew() -> None:
    flat = [draw for batch in draws(steps=5) for draw in batch]
    epochs = [[draw.index for draw in flat if draw.epoch == epoch] for epoch in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_a_batch_may_be_larger_than_the_dataset() -> None:
    flat = [draw for batch in draws(num_items=3, batch=8, micro=8, steps=3) for draw in batch]
    assert [draw.epoch for draw in flat] == [i // 3 for i in range(24)]


def test_two_processes_see_what_one_accumulating_process_sees() -> None:
    alone = draws(batch=8, micro=2)
    first, second = (draws(batch=8, micro=2, rank=rank, world=2) for rank in (0, 1))
    together = [batch for pair in zip(first, second, strict=True) for batch in pair]
    assert together == alone
    assert len(alone) == 5 * 4 and len(first) == 5 * 2


def test_resuming_continues_with_another_number_of_processes() -> None:
    whole = [draw for batch in draws(batch=8, micro=8, steps=6) for draw in batch]
    resumed = [draws(batch=8, micro=4, start=4, steps=6, rank=rank, world=2) for rank in (0, 1)]
    assert [draw for pair in zip(*resumed, strict=True) for batch in pair for draw in batch] == whole[32:]


def test_only_the_first_of_a_global_batch_is_first() -> None:
    flat = [draw.is_first for batch in draws(batch=8, micro=2, steps=2) for draw in batch]
    assert flat == ([True] + [False] * 7) * 2
    assert not any(draw.is_first for batch in draws(batch=8, micro=2, rank=1, world=2) for draw in batch)


def test_length_is_the_number_of_micro_batches() -> None:
    assert len(StepSampler(10, Share(8, 2, 0, 2), range(3, 5))) == 4
    assert len(StepSampler(10, Share(8, 2, 0, 2), range(7, 5))) == 0


def test_bad_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="batch size 8 is not a multiple of 3 processes x 2"):
        StepSampler(10, Share(8, 2, 0, 3), range(1))
    with pytest.raises(ValueError, match="empty"):
        StepSampler(0, Share(8, 8), range(1))
