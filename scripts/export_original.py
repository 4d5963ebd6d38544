"""Write a run's weights under the published names.

python -m scripts.export_original --model my_run --output folder
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from config.cli import Parser, add_which_iter, run
from config.schema import Config
from models.originals import SYSTEMS, misfit
from models.originals_files import NETWORKS, pack
from trainers.checkpoints import find_checkpoint, load_checkpoint, saved_config
from trainers.stored import find_model


def parse() -> argparse.Namespace:
    parser = Parser(description="Write a run's weights under the published names.")
    parser.add_argument("--model", required=True, help="a run: its name or folder")
    add_which_iter(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder for the published files")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    folder = find_model(arguments.model) / "checkpoints"
    path = find_checkpoint(folder, arguments.which_iter)
    if path is None:
        raise ValueError(f"no checkpoint in {folder}; give the --model of a run")
    state = load_checkpoint(path)
    system = published_system(saved_config(state["config"]))
    files = pack(system, {entry: state[entry] for entry in NETWORKS if entry in state})
    taken = [str(arguments.output / name) for name in files if (arguments.output / name).exists()]
    if taken:
        raise ValueError(f"{taken[0]} exists; give another --output")
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        torch.save(content, arguments.output / name)
        sys.stdout.write(f"wrote {arguments.output / name} ({system}): {path}\n")


def published_system(config: Config) -> str:
    """The published system that a run is; raises ValueError where it is none."""
    reasons = {system: misfit(system, config) for system in SYSTEMS}
    fits = [system for system, reason in reasons.items() if reason is None]
    if not fits:
        stepwise = "-step" if config.schedule.num_steps > 1 else ""
        nearest = config.generator.kind + stepwise
        reason = reasons.get(nearest, f"generator.kind is {config.generator.kind}")
        raise ValueError(f"this run is no published system: {reason}")
    return fits[0]


if __name__ == "__main__":
    sys.exit(run(main))
