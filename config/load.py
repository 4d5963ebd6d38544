"""YAML with `base:` inheritance and `a.b=c` overrides, to a checked `Config`."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from config.schema import Config

Origins = dict[tuple[str, ...], str]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file with what it inherits, apply overrides and check the whole.

    Args:
        path: a YAML file; its key `base` names a file, relative to it, that it builds upon.
        overrides: `a.b=value` each, the value read as YAML, later ones first served.

    Raises:
        ValueError: one line that names the key, the value, the nearest valid name and the file.
    """
    origins: Origins = {}
    values = _read(Path(path), origins, chain=())
    for override in overrides:
        values = _merge(values, _parse_override(override), f"override {override!r}", origins)
    return build_config(values, origins, str(path))


def build_config(values: Mapping[str, Any], origins: Origins | None = None, source: str = "configuration") -> Config:
    """Check a nested mapping and freeze it; raises ValueError with one line."""
    origins = origins or {}
    _check_names(values, Config, (), origins, source)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ValueError(_explain(error, origins, source)) from None


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML text; `load_config` of it gives an equal `Config`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _read(path: Path, origins: Origins, chain: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in chain:
        raise ValueError(f"{path}: `base` leads back to the file itself; remove it")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        raise ValueError(f"config file {path} does not exist{_nearest_file(path)}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, not a mapping of options")
    base = values.pop("base", None)
    inherited = _read(path.parent / str(base), origins, (*chain, path.resolve())) if base else {}
    return _merge(inherited, values, str(path), origins)


def _nearest_file(path: Path) -> str:
    names = [entry.name for entry in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, 1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""


def _parse_override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key or not all(key.split(".")):
        raise ValueError(f"override {text!r} is not of the form a.b=value")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"override {text!r}: {value!r} is not a YAML value") from None
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return nested


def _merge(
    old: Mapping[str, Any], new: Mapping[str, Any], source: str, origins: Origins, at: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`new` over `old`, mapping by mapping. A mapping that changes its `kind` starts afresh."""
    merged = dict(old)
    if "kind" in new and new["kind"] != old.get("kind"):
        merged = {}
    for key, value in new.items():
        origins[(*at, str(key))] = source
        if isinstance(value, Mapping):
            below = merged.get(key)
            below = below if isinstance(below, Mapping) else {}
            merged[str(key)] = _merge(below, value, source, origins, (*at, str(key)))
        else:
            merged[str(key)] = value
    return merged


def _sections(annotation: Any) -> Iterable[type[BaseModel]]:
    """The section classes inside an annotation (a class, a union, an Annotated)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        for part in typing.get_args(annotation):
            yield from _sections(part)


def _section_for(annotation: Any, value: Any) -> type[BaseModel] | None:
    sections = list(_sections(annotation))
    if len(sections) == 1:
        return sections[0]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return next((section for section in sections if section.model_fields["kind"].default == kind), None)


def _check_names(values: Any, section: type[BaseModel], at: tuple[str, ...], origins: Origins, source: str) -> None:
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        here = (*at, str(key))
        if key not in section.model_fields:
            raise ValueError(
                f"{origins.get(here, source)}: unknown key {'.'.join(here)} (value {value!r})"
                f"{_suggest(str(key), section.model_fields)}"
            )
        below = _section_for(section.model_fields[key].annotation, value)
        if below is not None:
            _check_names(value, below, here, origins, source)


def _suggest(name: str, valid: Iterable[str]) -> str:
    names = list(valid)
    close = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; valid names: {', '.join(names)}"


def _explain(error: ValidationError, origins: Origins, source: str) -> str:
    first = error.errors()[0]
    path = _plain_path(first["loc"])
    where = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), source)
    message = first["msg"].removeprefix("Value error, ")
    if not path:
        return f"{where}: {message}"
    value = (
        f" (value {first['input']!r})" if first["type"] != "missing" and not isinstance(first["input"], dict) else ""
    )
    expected = first.get("ctx", {}).get("expected_tags") or first.get("ctx", {}).get("expected")
    given = first["input"].get("kind") if isinstance(first["input"], dict) else first["input"]
    if expected and isinstance(given, str):
        close = difflib.get_close_matches(given, str(expected).replace("'", "").replace(" or ", ", ").split(", "), 1)
        message += f"; did you mean {close[0]}?" if close else ""
    return f"{where}: {'.'.join(path)}{value}: {message}"


def _plain_path(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Pydantic's location without the tags that it adds for unions."""
    path: list[str] = []
    annotation: Any = Config
    for part in location:
        sections = list(_sections(annotation))
        tags = [s.model_fields["kind"].default for s in sections if "kind" in s.model_fields]
        if len(sections) > 1 and part in tags:
            annotation = sections[tags.index(part)]
            continue
        path.append(str(part))
        fields = sections[0].model_fields if len(sections) == 1 else {}
        annotation = fields[str(part)].annotation if str(part) in fields else None
    return tuple(path)
