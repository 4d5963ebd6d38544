"""Work shared by processes: who takes what, and how results come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from torch import distributed

Item = TypeVar("Item")


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) outside of a process group."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def share(items: Sequence[Item]) -> Sequence[Item]:
    """The items that this process takes; each item goes to exactly one."""
    rank, world = rank_and_world()
    return items[rank::world]


def gather(value: Any) -> list[Any]:
    """The values of all processes in the order of their numbers, on every process."""
    _, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[Any] = [None] * world
    distributed.all_gather_object(values, value)
    return values


def collect(value: Any) -> list[Any]:
    """The values of all processes in the order of their numbers, on the main one; nothing on the others."""
    rank, world = rank_and_world()
    if world == 1:
        return [value]
    values: list[Any] | None = [None] * world if rank == 0 else None
    distributed.gather_object(value, values)
    return values or []
