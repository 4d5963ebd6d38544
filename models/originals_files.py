"""What published files hold: networks and optimizers by name, and an account of every key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from models.originals import RULES, Renamed, State, from_published, published_name, to_published

Shapes = dict[str, tuple[int, ...]]
Status = Literal["mapped", "dropped", "missing", "unexpected"]
STATUSES: tuple[Status, ...] = ("mapped", "dropped", "missing", "unexpected")

NETWORKS = {"generator": "generator", "generator_ema": "generator", "discriminator": "discriminator"}
OPTIMIZERS = {"generator_optimizer": "generator", "discriminator_optimizer": "discriminator"}
_NTED_ENTRIES = {"net_G_ema": "generator_ema", "net_G": "generator", "net_D": "discriminator"}
_DPTN_ENTRIES = {"netG": "generator_ema", "netD": "discriminator"}
_ENTRY = re.compile(r"(net|opt)_?([GD])(_ema)?")


@dataclass(frozen=True)
class Row:
    """One key: its name in the file (for a missing one, the name it would have), its shape, and what became of it."""

    status: Status
    name: str
    shape: str
    note: str


@dataclass
class Found:
    """What files hold, under our names: `networks` by `NETWORKS`, `optimizers` by `OPTIMIZERS`, rows by network."""

    networks: dict[str, Renamed] = field(default_factory=dict)
    optimizers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def unexplained(self) -> list[Row]:
        """Keys that are missing or unexpected."""
        return [row for rows in self.rows.values() for row in rows if row.status in ("missing", "unexpected")]


def examine(system: str, contents: Iterable[Mapping[str, Any]], expected: Mapping[str, Shapes]) -> Found:
    """Sort out what published files hold and account for every key.

    Args:
        system: what they are taken for. contents: each file's dict: a bare state dict, or a container of several.
        expected: part -> our names -> shapes.

    Raises:
        ValueError: a network comes twice, or a file is damaged (see `from_published`).
    """
    found = Found()
    for content in contents:
        if not any(isinstance(value, Mapping) for value in content.values()):
            _add_network(found, system, _part_of(system, content, expected), content, expected)
            continue
        for name, value in content.items():
            _add_entry(found, system, name, value, expected)
    return found


def pack(system: str, networks: Mapping[str, State]) -> dict[str, dict[str, Any]]:
    """Our networks as published files: file name -> content. DPTN's files have room for one generator: the EMA's.

    Args: networks: states by `NETWORKS`; an imported run may have no discriminator.
    """
    published = {entry: to_published(system, NETWORKS[entry], state) for entry, state in networks.items()}
    names = _DPTN_ENTRIES if system.startswith("dptn") else _NTED_ENTRIES
    entries = {name: published[entry] for name, entry in names.items() if entry in published}
    if system == "dptn":
        return {f"latest_{name.replace('net', 'net_')}.pth": state for name, state in entries.items()}
    return {f"{system}.{'pth' if system == 'dptn-step' else 'pt'}": entries}


def summary(rows: Sequence[Row]) -> list[str]:
    """A few lines about one network: counts, reasons of what was dropped, each missing or unexpected key."""
    counts = Counter(row.status for row in rows)
    reasons = Counter(re.sub("second name of .*", "a second name", row.note) for row in rows if row.status == "dropped")
    lines = [", ".join(f"{counts[status]} {status}" for status in STATUSES)]
    lines += [f"  dropped {number}: {reason}" for reason, number in reasons.items()]
    return lines + [line for row in rows if row.status in ("missing", "unexpected") for line in details([row])]


def details(rows: Iterable[Row]) -> list[str]:
    """One line a key."""
    return [f"  {row.status} {row.name} {row.shape} {row.note}".rstrip() for row in rows]


def _add_entry(found: Found, system: str, name: str, value: Any, expected: Mapping[str, Shapes]) -> None:
    entry = _entry_of(name)
    if entry in found.optimizers:
        raise ValueError(f"the files hold {name} twice; give each network once")
    if entry in OPTIMIZERS and isinstance(value, Mapping) and {"state", "param_groups"} <= value.keys():
        found.optimizers[entry] = value
    elif entry in NETWORKS and isinstance(value, Mapping):
        _add_network(found, system, entry, value, expected)
    elif _holds_tensors(value):
        found.rows.setdefault("other entries", []).append(Row("unexpected", name, _shape(value), "no known entry"))
    else:
        note = "a setting or counter of the published trainer"
        found.rows.setdefault("other entries", []).append(Row("dropped", name, _shape(value), note))


def _entry_of(name: str) -> str:
    """Our name of a container's entry such as `net_G_ema`, `netG` or `optG`; the same name where it is unknown."""
    match = _ENTRY.fullmatch(name)
    if match is None:
        return name
    part = {"G": "generator", "D": "discriminator"}[match[2]]
    return part + (match[3] or "") if match[1] == "net" else f"{part}_optimizer"


def _add_network(
    found: Found, system: str, entry: str, content: Mapping[str, Any], expected: Mapping[str, Shapes]
) -> None:
    if entry in found.networks:
        raise ValueError(f"the files hold the {entry.replace('_', ' ')} twice; give each network once")
    state = {name: value.detach() for name, value in content.items() if isinstance(value, Tensor)}
    renamed = from_published(system, NETWORKS[entry], state)
    found.networks[entry] = renamed
    strange = [Row("unexpected", name, _shape(content[name]), "no tensor") for name in content if name not in state]
    found.rows[entry] = _account(system, NETWORKS[entry], state, renamed, expected) + strange


def _part_of(system: str, state: Mapping[str, Any], expected: Mapping[str, Shapes]) -> str:
    """The part that a bare state dict is, by how many names fit."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    fits = {part: len(from_published(system, part, tensors).state.keys() & expected[part].keys()) for part in expected}
    return max(fits, key=fits.__getitem__)


def _account(system: str, part: str, published: State, renamed: Renamed, expected: Mapping[str, Shapes]) -> list[Row]:
    assert (system, part) in RULES
    rows = [Row("dropped", name, _shape(published[name]), reason) for name, reason in renamed.dropped.items()]
    for name, stored in renamed.names.items():
        shape = expected[part].get(name)
        value = renamed.state[name]
        if shape is None:
            rows.append(Row("unexpected", stored, _shape(value), "this network has no such tensor"))
        elif shape != tuple(value.shape):
            rows.append(Row("unexpected", stored, _shape(value), f"this network's is {shape}"))
        else:
            rows.append(Row("mapped", stored, _shape(value), f"-> {name}"))
    return rows + [
        Row("missing", published_name(system, part, name), str(shape), f"-> {name}")
        for name, shape in expected[part].items()
        if name not in renamed.state
    ]


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_tensors, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_tensors, value))
    return isinstance(value, Tensor) and value.dim() > 0


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
