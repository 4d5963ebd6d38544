"""Average a run's generator over other lengths, after the training: score over length, and the checkpoint of one.

python -m scripts.post_hoc_ema --model RUN --lengths 0.02 0.05 0.1 0.15 0.2
python -m scripts.post_hoc_ema --model RUN --lengths 0.12 --output result/averaged
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.cli import Parser, run
from images.writing import write_text
from metrics.html import number, render
from metrics.pages import title_of
from metrics.plots import line_plot
from models.families import build_generator
from models.generator import Generator
from models.layers import advance_spectral_norm
from trainers.checkpoints import list_checkpoints, saved_config
from trainers.distributed import World, connect
from trainers.engine import Engine
from trainers.post_hoc import rebuild
from trainers.saving import save_checkpoint
from trainers.signals import StopRequest
from trainers.stored import CONFIG_FILE, find_model
from trainers.trainer import training_pairs
from trainers.validation import Validation

PAGE = "ema_lengths.html"


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a run: its name or folder")
    parser.add_argument("--lengths", type=float, nargs="+", required=True, help="shares of the training, below 0.28")
    parser.add_argument("--output", type=Path, help="folder to write, a model of the average of the one length")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    folder = find_model(arguments.model)
    if arguments.output is None:
        with connect() as world:
            write_scores(folder, sorted(arguments.lengths), world)
        return
    if len(arguments.lengths) > 1:
        raise ValueError("--output takes one average; give --lengths one number")
    if list_checkpoints(arguments.output / "checkpoints"):  # which the new one would take the place of
        raise ValueError(f"{arguments.output} already has checkpoints; name another --output")
    generator, newest = averaged(folder, arguments.lengths[0])
    state = {"step": newest["step"], "config": newest["config"], "generator_ema": generator.state_dict()}
    file = save_checkpoint(arguments.output / "checkpoints", state, keep=1)
    write_text(arguments.output / CONFIG_FILE, newest["config"])
    sys.stdout.write(f"wrote {file}\n")


def averaged(folder: Path, length: float) -> tuple[Generator, dict[str, Any]]:
    """The generator averaged over a length, at the newest snapshot, and that one; raises ValueError as `rebuild`."""
    weights, newest = rebuild(folder, length)
    config = saved_config(newest["config"])
    generator = build_generator(config.generator, config.data.pose_channels, config.schedule.num_steps)
    generator.load_state_dict(weights)
    advance_spectral_norm(generator, num_iterations=100)  # singular vectors are not averaged
    return generator, newest


def write_scores(folder: Path, lengths: Sequence[float], world: World) -> None:
    """A page of the run's validation scores over lengths; raises ValueError as `rebuild` and `Validation`."""
    found: list[dict[str, float]] = []
    for length in lengths:
        generator, newest = averaged(folder, length)
        if not found:
            config = saved_config(newest["config"])
            scored = {"trainer": config.trainer.model_copy(update={"eval_every": 1}), "discriminator": None}
            config = config.model_copy(update=scored)
            validation = Validation(config, world, training_pairs(config), folder / "eval_cache")
            engine = Engine(config, world)
        engine.generator_ema.load_state_dict(generator.state_dict())
        found.append(validation.scores(engine, StopRequest()))
    names = [name for name in found[0] if "_step_" not in name]
    titles = [title_of(name.removeprefix("eval_")) for name in names]
    text = render(
        "lengths.html",
        title=f"Averages of {folder.name}",
        subtitle=f"at step {newest['step']}",
        plots=[
            (title, line_plot({title: [scores[name] for scores in found]}, x=lengths, x_label="length"))
            for title, name in zip(titles, names, strict=True)
        ],
        header=["length", *titles],
        rows=[[length, *(number(s[name]) for name in names)] for length, s in zip(lengths, found, strict=True)],
    )
    if world.is_main:
        write_text(folder / PAGE, text)
        sys.stdout.write(f"wrote {folder / PAGE}\n")


if __name__ == "__main__":
    sys.exit(run(main))
