"""Names of the published checkpoints: pure functions between their state dicts and ours.

Four systems (`nted`, `nted-step`, `dptn`, `dptn-step`), two parts (`generator`, `discriminator`).
What whole files hold is in `models.originals_files`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
Rule = tuple[str, str]

SYSTEMS = ("nted", "nted-step", "dptn", "dptn-step")
PARTS = ("generator", "discriminator")

# what a configuration of each system says, besides widths and sizes
_POSES = {"data.map_channels": 0}
# how published code draws poses, in pixels at any size
_STROKES = {
    "skeleton": {"radius": 4},
    "joints": {"joint_sigma": 6},
    "joints_limbs": {"joint_sigma": 6, "limb_sigma": 3},
}
_STEPS = {"generator.step_input": "added", "discriminator.step": "head"}
_OF_DPTN = {"generator.kind": "dptn", "generator.pose_attention": False, "discriminator.kind": "residual"}
_FORMS: dict[str, dict[str, Any]] = {
    "nted": _POSES | {"generator.kind": "nted", "data.pose": "skeleton", "discriminator.kind": "stylegan2"},
    "nted-step": _POSES
    | {
        "generator.kind": "nted",
        "data.pose": "skeleton",
        "discriminator.kind": "stylegan2",
        "schedule.kind": "resize",
        "rollout.degrade_source": False,
    }
    | _STEPS,
    "dptn": _POSES | _OF_DPTN | {"generator.spectral_norm": False, "data.pose": "joints"},
    "dptn-step": _POSES
    | _OF_DPTN
    | {
        "generator.source_to_both": False,
        "generator.spectral_norm": True,
        "data.pose": "joints_limbs",
        "schedule.kind": "quantize",
        "rollout.degrade_source": True,
    }
    | _STEPS,
}

# (published, ours): ^ is the start of a name, {} a number; applied from first to last, backwards on the way back
_SPECTRAL_NORM: list[Rule] = [
    (".weight_orig", ".parametrizations.weight.original"),
    (".weight_u", ".parametrizations.weight.0._u"),
    (".weight_v", ".parametrizations.weight.0._v"),
]
_DPTN_TRANSFORMER: list[Rule] = [
    ("^PTM.encoder.layers.{}.", "^PTM.CABs.{}."),
    ("^PTM.decoder.layers.{}.", "^PTM.TTBs.{}."),
    ("^PTM.decoder.norm.", "^PTM.norm."),
    (".multihead_attn.", ".cross_attn."),
    (".linear1.", ".feed_forward.0."),
    (".linear2.", ".feed_forward.2."),
    (".shortcut.0.", ".shortcut."),
]
_DPTN: list[Rule] = [
    ("^decoder{}.", "^decoder.decoder{}."),
    ("^outconv.", "^decoder.outconv."),
    ("^block{}.", "^content_encoder.block{}."),
    ("^encoder{}.", "^content_encoder.encoder{}."),
    ("^mblock{}.", "^content_encoder.mblock{}."),
    *_DPTN_TRANSFORMER,
]
_DPTN_STEP: list[Rule] = [
    ("^En_c.", "^content_encoder."),
    ("^En_s.", "^source_encoder."),
    ("^De.", "^decoder."),
    *_DPTN_TRANSFORMER,
    *_SPECTRAL_NORM,
]
_RESIDUAL: list[Rule] = [
    ("^block{}.", "^blocks.block{}."),
    ("^encoder{}.", "^blocks.encoder{}."),
    ("^fc_step.", "^step_head."),
    *_SPECTRAL_NORM,
]
_NTED: list[Rule] = [
    ("^reference_encoder.convs.{}.extraction_operations.{}.", "^extractions.{}.{}."),
    (".semantic_extraction_filter.", ".semantic_filter."),
    ("^target_image_renderer.convs.{}.", "^renderer.{}."),
    (".distribution_operation.semantic_distribution_filter.", ".distribution.semantic_filter."),
    (".to_rgb.conv.", ".to_rgb."),
]
_STYLEGAN2: list[Rule] = [
    ("^convs.0.0.", "^convs.0.conv."),
    ("^convs.0.1.", "^convs.0.activate."),
    (".conv1.0.", ".conv1.conv."),
    (".conv1.1.", ".conv1.activate."),
    (".conv2.1.", ".conv2.conv."),
    (".conv2.2.", ".conv2.activate."),
    (".skip.1.", ".skip.conv."),
    ("^final_conv.0.", "^final_conv.conv."),
    ("^final_conv.1.", "^final_conv.activate."),
    ("^fc_step.", "^step_head."),
]
RULES: dict[tuple[str, str], list[Rule]] = {
    ("nted", "generator"): _NTED,
    ("nted", "discriminator"): _STYLEGAN2,
    ("nted-step", "generator"): _NTED,
    ("nted-step", "discriminator"): _STYLEGAN2,
    ("dptn", "generator"): _DPTN,
    ("dptn", "discriminator"): _RESIDUAL,
    ("dptn-step", "generator"): _DPTN_STEP,
    ("dptn-step", "discriminator"): _RESIDUAL,
}

# second names of one tensor in DPTN's files: (name, the one that we keep)
_TWINS: list[Rule] = [
    ("mblock{}.conv1.", "mblock{}.model.2."),
    ("mblock{}.conv2.", "mblock{}.model.5."),
    ("mblock{}.bypass.", "mblock{}.shortcut.0."),
    ("outconv.conv1.", "outconv.model.2."),
]
# NTED's files store the blur filter before each convolution that it belongs to: (convolution, filter)
_BLURS: list[Rule] = [
    ("_encoder.convs.{}.conv.weight", "_encoder.convs.{}.blur.kernel"),
    ("^target_image_renderer.convs.{}.conv0.conv.weight", "^target_image_renderer.convs.{}.conv0.blur.kernel"),
    ("^target_image_renderer.convs.{}.to_rgb.conv.weight", "^target_image_renderer.convs.{}.to_rgb.upsample.kernel"),
    (".conv2.1.weight", ".conv2.0.kernel"),
    (".skip.1.weight", ".skip.0.kernel"),
]
_BUFFERS = (".kernel", ".weight_u", ".weight_v", "positional_encoding.pe")


@dataclass
class Renamed:
    """A state dict under our names.

    names: ours -> as in the file. dropped: what was left out, as in the file -> reason.
    parameters: our names in the order in which the published optimizers number them.
    """

    state: State = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)


def from_published(system: str, part: str, state: State) -> Renamed:
    """Published names to ours.

    Args:
        system: one of `SYSTEMS`. part: one of `PARTS`.
        state: as stored, with or without a leading `module.`; DPTN's `transformer.` stands for `PTM.`.

    Raises:
        ValueError: two names of one tensor hold different values, or a blur filter is not the published one.
    """
    plain = _plain_names(state)
    renamed = Renamed()
    for key, stored in plain.items():
        kept = _substitute(key, _TWINS)
        kept = kept if kept in plain else key
        reason = _drop_reason(system, key, kept, {name: state[plain[name]] for name in {key, kept}})
        name = _substitute(kept, RULES[system, part])
        if not key.endswith(_BUFFERS) and name not in renamed.parameters:
            renamed.parameters.append(name)
        if reason:
            renamed.dropped[stored] = reason
        else:
            _put_once(renamed, name, stored, state[stored])
    return renamed


def to_published(system: str, part: str, state: State) -> State:
    """Our names to the published ones: the way back of `from_published`, with second names and blur filters.

    Args: as `from_published`, `state` under our names. The tensors are shared, not copied.
    """
    published: State = {}
    for name, value in state.items():
        key = published_name(system, part, name)
        blur = _substitute(key, _BLURS) if system.startswith("nted") else key
        if blur != key and not key.startswith("target_image_renderer.convs.0."):
            published[blur] = _blur_filter(blur)
        published[key] = value
        if system.startswith("dptn"):
            published[_substitute(key, _reversed(_TWINS))] = value
    return published


def published_name(system: str, part: str, name: str) -> str:
    """The published name of one of our tensors."""
    return _substitute(name, _reversed(RULES[system, part]))


def optimizer_from_published(
    optimizer: Mapping[str, Any], renamed: Renamed, parameters: Sequence[str]
) -> dict[int, State]:
    """The moments of a published Adam, under the numbers of our parameters.

    Args:
        optimizer: its state dict. renamed: the network that it belongs to.
        parameters: our parameters' names in the order of our optimizer.

    Raises:
        ValueError: it does not belong to these parameters.
    """
    numbers = [number for group in optimizer["param_groups"] for number in group["params"]]
    if len(numbers) != len(renamed.parameters):
        raise ValueError(f"it numbers {len(numbers)} parameters, the network has {len(renamed.parameters)}")
    moments = {}
    for number, name in zip(numbers, renamed.parameters, strict=True):
        if number in optimizer["state"]:
            moments[parameters.index(name)] = _moments(optimizer["state"][number], name, renamed.state[name])
    return dict(sorted(moments.items()))


def misfit(system: str, config: Any) -> str | None:
    """Why the configuration of a run does not describe a published system; None where it does."""
    stepwise = system.endswith("-step")
    for key, expected in _FORMS[system].items():
        # a part may be null, and another kind has other options
        value = reduce(lambda part, name: getattr(part, name, None), key.split("."), config)
        if value != expected:
            return f"{key} is {value}, {system} has {expected}"
    strokes = config.data.pose_strokes.at_height(config.data.image_size[0])
    for name, expected in _STROKES[config.data.pose].items():
        if (value := getattr(strokes, name)) != expected:
            return f"data.pose_strokes draw with a {name} of {value:g} pixels, {system} with {expected}"
    num_steps = config.schedule.num_steps
    if stepwise != (num_steps > 1):
        return f"schedule.num_steps is {num_steps}, {system} has {'more than one step' if stepwise else 'one step'}"
    return None


def _plain_names(state: State) -> dict[str, str]:
    """Names without prefixes -> names in the file."""
    plain: dict[str, str] = {}
    for key in state:
        name = re.sub(r"^transformer\.", "PTM.", key.removeprefix("module."))
        if name in plain:
            raise ValueError(f"{plain[name]} and {key} are names of one tensor: the file is not a published one")
        plain[name] = key
    return plain


def _drop_reason(system: str, key: str, kept: str, tensors: State) -> str | None:
    if key.endswith("positional_encoding.pe"):
        return "step images are computed on the fly"
    if key.endswith(".kernel"):
        if not torch.allclose(tensors[key].float(), _blur_filter(key), rtol=1e-3):
            raise ValueError(f"{key} is not the filter [1, 3, 3, 1] of {system}; this network cannot be imported")
        return "the blur filter is a constant"
    if kept != key:
        if not torch.equal(tensors[key], tensors[kept]):
            raise ValueError(f"{key} and {kept} are one tensor in {system} files but differ here: the file is damaged")
        return f"second name of {kept}"
    return None


def _put_once(renamed: Renamed, name: str, stored: str, value: Tensor) -> None:
    if name in renamed.state:
        raise ValueError(f"{renamed.names[name]} and {stored} are names of one tensor: the file is not a published one")
    renamed.state[name], renamed.names[name] = value, stored


def _blur_filter(key: str) -> Tensor:
    """StyleGAN2's filter as stored under `key`; four times as large where it follows an upsampling."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64 * (4 if key.startswith("target_image_renderer.") else 1)


def _moments(saved: Mapping[str, Any], name: str, parameter: Tensor) -> State:
    first, second = saved["exp_avg"], saved["exp_avg_sq"]
    if not first.shape == second.shape == parameter.shape:
        raise ValueError(f"its moments of {name} are {tuple(first.shape)}, the parameter is {tuple(parameter.shape)}")
    return {"step": torch.tensor(float(saved["step"])), "exp_avg": first, "exp_avg_sq": second}


def _reversed(rules: list[Rule]) -> list[Rule]:
    return [(new, old) for old, new in reversed(rules)]


def _substitute(key: str, rules: list[Rule]) -> str:
    for old, new in rules:
        key = re.sub(_pattern(old), _template(new), key)
    return key


def _pattern(rule: str) -> str:
    return re.escape(rule).replace(r"\{\}", r"(\d+)").replace(r"\^", "^")


def _template(rule: str) -> str:
    parts = rule.removeprefix("^").split("{}")
    return parts[0] + "".join(f"\\g<{index}>{part}" for index, part in enumerate(parts[1:], 1))
