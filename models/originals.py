"""Names of the published checkpoints: pure functions between their state dicts and ours.

Four systems (`nted`, `nted-step`, `dptn`, `dptn-step`), two parts (`generator`, `discriminator`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import torch
from torch import Tensor

State = dict[str, Tensor]
Rule = tuple[str, str]

SYSTEMS = ("nted", "nted-step", "dptn", "dptn-step")
PARTS = ("generator", "discriminator")

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


@dataclass
class Renamed:
    """A state dict under our names, and what was left out: name -> reason."""

    state: State
    dropped: dict[str, str] = field(default_factory=dict)


def from_published(system: str, part: str, state: State) -> Renamed:
    """Published names to ours.

    Args:
        system: one of `SYSTEMS`. part: one of `PARTS`.
        state: as stored, with or without a leading `module.`; DPTN's `transformer.` stands for `PTM.`.

    Raises:
        ValueError: two names of one tensor hold different values.
    """
    plain = {re.sub(r"^transformer\.", "PTM.", key.removeprefix("module.")): value for key, value in state.items()}
    renamed = Renamed({})
    for key, value in plain.items():
        twin = _substitute(key, _TWINS)
        if key == "positional_encoding.pe":
            renamed.dropped[key] = "step images are computed on the fly"
        elif key.endswith(".kernel"):
            renamed.dropped[key] = "the blur filter is a constant"
        elif twin != key and twin in plain:
            if not torch.equal(value, plain[twin]):
                raise ValueError(
                    f"{key} and {twin} are one tensor in {system} files but differ here: the file is damaged"
                )
            renamed.dropped[key] = f"second name of {twin}"
        else:
            renamed.state[_substitute(key, RULES[system, part])] = value
    return renamed


def _substitute(key: str, rules: list[Rule]) -> str:
    for old, new in rules:
        key = re.sub(_pattern(old), _template(new), key)
    return key


def _pattern(rule: str) -> str:
    return re.escape(rule).replace(r"\{\}", r"(\d+)").replace(r"\^", "^")


def _template(rule: str) -> str:
    parts = rule.removeprefix("^").split("{}")
    return parts[0] + "".join(f"\\g<{index}>{part}" for index, part in enumerate(parts[1:], 1))
