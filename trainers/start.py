"""What a new run begins with: the networks of another one, and parts that training leaves as they are."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from config.schema import Config
from models.layers import EqualConv2d, advance_spectral_norm
from trainers.checkpoints import FORMAT, GENERATOR_KEYS, differences, saved_config
from trainers.stored import read_model

GENERATORS = {"ema": "generator_ema", "trained": "generator"}


def take_networks(networks: Mapping[str, nn.Module], config: Config) -> list[str]:
    """Put what fits of `trainer.start_from` into the networks of a new run; counters and optimizers stay there.

    Returns lines on what was taken and, indented, on every tensor that was not.

    Raises:
        ValueError: it cannot be read, or nothing of it fits the generator here.
    """
    settings = config.trainer
    file, state = read_model(str(settings.start_from))
    report = [f"starts from {file}, step {state['step']}"]
    report += [f"  {line}" for line in differences(file, state["config"], config, GENERATOR_KEYS)]
    for name, network in networks.items():
        entry = GENERATORS[settings.start_with] if name == "generator" else name
        saved = state.get(entry, {})
        grown = _grown(network, saved) if name == "generator" and _grows(state["config"], config) else {}
        num_taken, others = _take(network, saved, grown, state["format"])
        if name == "generator" and not num_taken:
            raise ValueError(
                f"trainer.start_from: {file} has no {entry} that fits here; a checkpoint of a {config.generator.kind} "
                "does, an export with trainer.start_with=ema alone"
            )
        report += [f"{entry}: {num_taken} of {len(network.state_dict())} tensors taken", *others]
    return report


def freeze(networks: Mapping[str, nn.Module], parts: Sequence[str]) -> None:
    """Let training leave the named parts of networks as they are.

    Raises:
        ValueError: a name is of no part, or nothing would be left to train of a network.
    """
    parameters = {f"{name}.{key}": p for name, network in networks.items() for key, p in network.named_parameters()}
    for part in parts:
        inside = [parameter for name, parameter in parameters.items() if f"{name}.".startswith(f"{part}.")]
        if not inside:
            known = [f"{name}.{key}" for name, network in networks.items() for key, _ in network.named_modules() if key]
            near = ", ".join(difflib.get_close_matches(part, known)) or ", ".join(known[:3])
            raise ValueError(f"trainer.freeze: there is no part {part!r}; there are {near} ...")
        for parameter in inside:
            parameter.requires_grad_(False)
    for name, network in networks.items():
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise ValueError(f"trainer.freeze={list(parts)} leaves nothing of the {name} to train; name smaller parts")


def _take(
    network: nn.Module, saved: Mapping[str, Tensor], grown: Mapping[str, Tensor], saved_format: int
) -> tuple[int, list[str]]:
    """Put the tensors that fit into a network; how many they are, and a line on each other one."""
    own = network.state_dict()
    shapes = {
        name: [str(tuple(state[name].shape)) if name in state else "none" for state in (saved, own)]
        for name in sorted(own.keys() | saved.keys())
    }
    fitting = {name: saved[name] for name, (there, here) in shapes.items() if there == here}
    others = [
        f"  {name}: {there} there, {here} here{', whose new inputs begin at zero' if name in grown else ''}"
        for name, (there, here) in shapes.items()
        if there != here
    ]
    network.load_state_dict({**fitting, **grown}, strict=False)
    if others or saved_format < FORMAT:
        # singular vectors may have come without their weights
        advance_spectral_norm(network, num_iterations=100)
    return len(fitting), others


def _grows(saved: str, config: Config) -> bool:
    """Whether a generator of one step becomes one of several, whose canvas comes after all inputs of the old one."""
    old = saved_config(saved)
    same_poses = old.data.pose_channels == config.data.pose_channels
    return old.schedule.num_steps == 1 < config.schedule.num_steps and same_poses and config.generator.canvas_is_last


def _grown(network: nn.Module, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of convolutions that have more inputs here, the first ones as saved: at first the others do nothing."""
    grown = {}
    for name, module in network.named_modules():
        key = f"{name}.weight" if f"{name}.weight" in saved else f"{name}.parametrizations.weight.original"
        if not isinstance(module, nn.Conv2d | EqualConv2d) or key not in saved:
            continue
        old, new = saved[key], module.weight
        shape = (new.shape[0], old.shape[1], *new.shape[2:])
        if old.shape == shape and shape[1] < new.shape[1]:
            # an equalised weight is divided by the root of the number of its inputs
            equalised = math.sqrt(new.shape[1] / shape[1]) if isinstance(module, EqualConv2d) else 1
            grown[key] = torch.zeros_like(new)
            grown[key][:, : shape[1]] = old * equalised
    return grown
