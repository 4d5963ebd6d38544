"""YAML with `base:` inheritance and `a.b=c` overrides, to a checked `Config`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from config.schema import FAMILIES, Config

Origins = dict[tuple[str, ...], str]
S = TypeVar("S", bound=BaseModel)


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
    origins, values = origins or {}, _with_new_names(values)
    parts = {name: _part_of_family(name, values[name], origins, source) for name in FAMILIES if name in values}
    return _checked(Config, {**values, **parts}, (), origins, source)


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML text; `load_config` of it gives an equal `Config`."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _with_new_names(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options of older runs by their present names: `objective.vgg` told which VGG19 the losses see."""
    objective = values.get("objective")
    if not isinstance(objective, Mapping) or not isinstance(objective.get("vgg"), Mapping):
        return values
    now = {**objective}
    vgg = now.pop("vgg")
    if "weights" in vgg:
        now["perceptual_net"] = {"imagenet": "vgg19"}.get(vgg["weights"], vgg["weights"])
    now |= {key: value for key, value in vgg.items() if key != "weights"}
    return {**values, "objective": now}


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


def _part_of_family(name: str, values: Any, origins: Origins, source: str) -> Any:
    """A section with the options of its kind."""
    if not isinstance(values, Mapping):
        return values
    family, kind = FAMILIES[name], str(values.get("kind", ""))
    if kind not in family:
        where = origins.get((name, "kind"), source)
        raise ValueError(f"{where}: {name}.kind (value {kind!r}): no such kind{_suggest(kind, family)}")
    return _checked(family[kind].Config, values, (name,), origins, source)


def _checked(section: type[S], values: Mapping[str, Any], at: tuple[str, ...], origins: Origins, source: str) -> S:
    """The section of a mapping that lies at `at` in the whole."""
    _check_names(values, section, at, origins, source)
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ValueError(_explain(error, at, origins, source)) from None


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
        below = section.model_fields[key].annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            _check_names(value, below, here, origins, source)


def _suggest(name: str, valid: Iterable[str]) -> str:
    names = list(valid)
    close = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; valid names: {', '.join(names)}"


def _explain(error: ValidationError, at: tuple[str, ...], origins: Origins, source: str) -> str:
    first = error.errors()[0]
    path = (*at, *map(str, first["loc"]))
    where = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), source)
    message = first["msg"].removeprefix("Value error, ")
    if not path:
        return f"{where}: {message}"
    if first["type"] == "literal_error":
        expected = str(first["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        message += _suggest(str(first["input"]), expected.split(", "))
    value = (
        f" (value {first['input']!r})" if first["type"] != "missing" and not isinstance(first["input"], dict) else ""
    )
    return f"{where}: {'.'.join(path)}{value}: {message}"
