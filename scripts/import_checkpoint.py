"""Make a run folder from published NTED or DPTN weights.

python -m scripts.import_checkpoint --system nted --input FILE --config config/nted_256_onestep.yaml --name my_run
"""

from __future__ import annotations

import argparse
import pickle
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from config.cli import config_from, run, run_parser
from config.load import dump_config, load_config
from config.schema import Config
from models.originals import SYSTEMS, misfit, optimizer_from_published
from models.originals_files import NETWORKS, OPTIMIZERS, Found, Shapes, details, examine, summary
from trainers.build import build_networks
from trainers.checkpoints import list_checkpoints
from trainers.saving import save_checkpoint

SHIPPED_CONFIGS = Path(__file__).resolve().parent.parent / "config"
# DPTN was published for square images
VARIANTS: tuple[tuple[str, ...], ...] = ((), ("data.image_size=[256,256]",))


def parse() -> argparse.Namespace:
    parser = run_parser("Make a run folder from published weights: for inference, scoring and training.")
    parser.add_argument("--system", required=True, choices=SYSTEMS, help="what the files are")
    parser.add_argument("--input", required=True, nargs="+", type=Path, help="the published file, or files")
    parser.add_argument("--trust", action="store_true", help="load a file that runs code, with all rights you have")
    parser.add_argument("--no_optimizers", action="store_true", help="leave the optimizers of the files out")
    parser.add_argument("--step", type=int, default=0, help="optimizer steps that the run counts as done")
    parser.add_argument("--verbose", action="store_true", help="show every key, not only those left out")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    config, folder = config_from(arguments), Path(arguments.checkpoints_dir) / arguments.name
    if arguments.step < 0:
        raise ValueError(f"--step is {arguments.step}; it must be 0 or more")
    if config.discriminator is None:
        raise ValueError(f"discriminator is null; import {arguments.system} with its discriminator")
    if list_checkpoints(folder / "checkpoints"):
        raise ValueError(f"{folder} already has checkpoints; use another --name")
    contents = [read_published(path, arguments.trust) for path in arguments.input]
    networks = networks_of(config)
    found = examine(arguments.system, contents, shapes(networks))
    sys.stdout.write("\n".join(report(found, arguments.verbose)) + "\n")
    check(found, arguments, config, contents)
    if arguments.no_optimizers:
        found.optimizers.clear()
    write_run(folder, config, arguments, run_state(networks, found))
    inputs = ", ".join(map(str, arguments.input))
    lines = [f"{arguments.system}: {inputs}", *report(found, verbose=True)]
    (folder / "import.txt").write_text("\n".join(lines) + "\n")
    sys.stdout.write(f"wrote {folder}; every key is listed in {folder / 'import.txt'}\n")


def read_published(path: Path, trust: bool) -> Mapping[str, Any]:
    """The dict that a published file holds, its tensors mapped from the file where its format allows.

    Raises:
        ValueError: it is missing, damaged, no dict, or needs code to load and is not trusted.
    """
    if not path.is_file():
        hint = "; options of the config go before --input or after --name" if "=" in path.name else ""
        raise ValueError(f"--input {path} is not a file{hint}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=not trust, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was refused: {refusal(str(error))}") from None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{path} refers to code that is not installed here ({error})") from None
    except (RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError) as error:
        # what the reader says of damaged bytes depends on which bytes they are
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is damaged or no PyTorch file ({reason}); get it again") from None
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{path} holds {type(content).__name__}, not a dict of networks or tensors")
    return content


def refusal(error: str) -> str:
    """Why a file does not load as plain tensors."""
    names = re.findall(r"GLOBAL ([\w.]+)", error)
    if not names:
        return "it is damaged or no PyTorch file; get it again"
    return (
        f"it refers to {names[0]}, so loading it can run any program with your rights. "
        "If you know who made it and how it reached you, add --trust"
    )


def networks_of(config: Config) -> dict[str, nn.Module]:
    """The networks of a config by part, for the names and shapes of their tensors alone."""
    with torch.device("meta"):
        return build_networks(config)


def shapes(networks: Mapping[str, nn.Module]) -> dict[str, Shapes]:
    """Names and shapes of what each network's state holds."""
    return {
        part: {name: tuple(value.shape) for name, value in network.state_dict().items()}
        for part, network in networks.items()
    }


def write_run(folder: Path, config: Config, arguments: argparse.Namespace, state: Mapping[str, Any]) -> None:
    """A checkpoint and the config of a run, as train.py writes them."""
    counters: dict[str, Any] = {"step": arguments.step, "nimg": arguments.step * config.trainer.batch_size}
    counters |= {"lazy_terms": {}, "skipped": torch.zeros(())}
    save_checkpoint(folder / "checkpoints", {**counters, "config": dump_config(config), **state}, keep=1)
    (folder / "config.yaml").write_text(dump_config(config))


def report(found: Found, verbose: bool) -> list[str]:
    """Lines about everything in the files, and what a run gets that they do not hold."""
    lines = []
    for entry, rows in found.rows.items():
        first, *rest = summary(rows)
        lines += [f"{entry}: {first}", *(details(rows) if verbose else rest)]
    lines += [f"{entry}: Adam's moments, from the file" for entry in found.optimizers]
    made = {"generator": "starts as the EMA", "generator_ema": "starts as the generator"}
    absent = [entry for entry in (*NETWORKS, *OPTIMIZERS) if entry not in found.networks | found.optimizers]
    return lines + [f"{entry}: not in the files; {made.get(entry, 'starts afresh')}" for entry in absent]


def check(found: Found, arguments: argparse.Namespace, config: Config, contents: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where files and config do not belong together; says which config fits."""
    problem = misfit(arguments.system, config)
    if found.unexplained:
        problem = f"{len(found.unexplained)} keys do not fit (listed above)"
    if problem:
        fits = fitting(contents, Path(arguments.config))
        advice = f"these files fit {' or '.join(fits)}" if fits else "no shipped config fits these files"
        raise ValueError(f"not {arguments.system} as {arguments.config} describes it: {problem}; {advice}")
    if not found.networks.keys() & {"generator", "generator_ema"}:
        raise ValueError("the files hold no generator; add the file that does to --input")


def fitting(contents: Sequence[Mapping[str, Any]], asked: Path) -> list[str]:
    """Flags under which the files account for every key, among the shipped configs and those beside the asked one."""
    found = []
    paths = {path.resolve(): path for folder in (SHIPPED_CONFIGS, asked.parent) for path in folder.glob("*.yaml")}
    for path in sorted(paths.values()):
        for overrides in VARIANTS:
            try:
                config = load_config(path, overrides)
            except ValueError:  # base.yaml, or another that does not stand alone
                continue
            systems = [system for system in SYSTEMS if misfit(system, config) is None]
            fits = [system for system in systems if _accounts(system, contents, config)]
            if fits:
                found.append(" ".join(["--system", fits[0], "--config", str(path), *overrides]))
                break
    return found


def run_state(networks: Mapping[str, nn.Module], found: Found) -> dict[str, Any]:
    """Networks and optimizers of a checkpoint, from the files alone: training makes new what they do not hold."""
    states: dict[str, Any] = {entry: renamed.state for entry, renamed in found.networks.items()}
    states.setdefault("generator", states.get("generator_ema"))
    states.setdefault("generator_ema", states["generator"])
    for entry in found.optimizers:
        part = OPTIMIZERS[entry]
        parameters = [name for name, _ in networks[part].named_parameters()]
        try:
            states[entry] = {
                "state": optimizer_from_published(found.optimizers[entry], found.networks[part], parameters)
            }
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"the files' {entry} does not belong to their network: {error}; --no_optimizers leaves it out"
            ) from None
    return states


def _accounts(system: str, contents: Sequence[Mapping[str, Any]], config: Config) -> bool:
    found = examine(system, contents, shapes(networks_of(config)))
    return bool(found.networks) and not found.unexplained


if __name__ == "__main__":
    sys.exit(run(main))
