"""How hard each term of a generator's loss pulls at the images, which its value does not say.

python -m benchmarks.balance --model NAME [--count 32] [key=value ...]

The length of a term's gradient with respect to the generated images (and reconstructed sources), in the lengths of
plain L1 of weight 1 on the same images; beside it the cosine to L1's. What is twenty times as long decides alone: the
others then move the images less than its changes from batch to batch do. Printed as a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor

from config.cli import Parser, run
from config.load import load_config
from data.loader import to_device, train_loader
from data.sampler import Share, StepSampler
from losses.objective import Window
from trainers.checkpoints import find_checkpoint, load_checkpoint
from trainers.distributed import connect
from trainers.engine import Engine
from trainers.phases import GeneratorPhase
from trainers.stored import CONFIG_FILE, find_model
from trainers.trainer import training_pairs

Pull = dict[str, float]  # value, length and cosine of a term


def parse() -> argparse.Namespace:
    parser = Parser(description="Compare what the terms of the generator's loss do to its images.")
    parser.add_argument("--model", required=True, help="name or path of a run that has a checkpoint")
    parser.add_argument("--count", type=int, default=32, help="training pairs to measure on")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for train.py, e.g. objective.style=1")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.count < 1:
        raise ValueError(f"--count is {arguments.count}; it must be 1 or more")
    pulls = measure(find_model(arguments.model), arguments.overrides, arguments.count)
    rows = [f"{name:14} {p['value']:10.4f} {p['length']:10.2f} {p['cosine']:8.2f}" for name, p in pulls.items()]
    sys.stdout.write("\n".join([f"{'term':14} {'value':>10} {'x L1 of 1':>10} {'cosine':>8}", *rows]) + "\n")
    sys.stdout.write(json.dumps({name: {key: round(x, 4) for key, x in p.items()} for name, p in pulls.items()}) + "\n")


def measure(folder: Path, overrides: list[str], count: int) -> dict[str, Pull]:
    """The pull of each weighted term of a run's objective, means over batches of its training pairs.

    Raises ValueError for a run without a checkpoint, and for overrides that make other networks.
    """
    config, trained = load_config(folder / CONFIG_FILE, overrides), load_config(folder / CONFIG_FILE)
    for part in ("generator", "discriminator", "schedule"):
        if getattr(config, part) != getattr(trained, part):
            raise ValueError(f"{folder} was trained with another {part}; only its losses can be given other weights")
    if (checkpoint := find_checkpoint(folder / "checkpoints")) is None:
        raise ValueError(f"no checkpoint in {folder / 'checkpoints'}; train the run first")
    found: dict[str, list[Pull]] = defaultdict(list)
    with connect() as world:
        engine = Engine(config, world)
        engine.load_state(load_checkpoint(checkpoint, world.device))
        phase, dataset = engine.phases[0].module, training_pairs(config)
        if not isinstance(phase, GeneratorPhase):  # wrapped for several processes
            raise ValueError("benchmarks.balance runs in one process, without torchrun")
        size = min(config.trainer.batch_size, config.trainer.max_batch_per_process)
        steps = range(engine.step, engine.step + -(-count // size))
        sampler = StepSampler(len(dataset), Share(size, size), steps, config.seed, dataset.num_sources)
        for batch in train_loader(dataset, sampler, num_workers=0, pin_memory=False):
            with engine.autocast():
                with torch.no_grad():
                    window = phase.window(to_device(batch, world.device))
                for name, pull in pulls_of(phase, window).items():
                    found[name].append(pull)
    return {name: {key: mean(pull[key] for pull in pulls) for key in pulls[0]} for name, pulls in found.items()}


def pulls_of(phase: GeneratorPhase, window: Window) -> dict[str, Pull]:
    """Value, length against plain L1's and cosine to it of every term that depends on a window's images."""
    generated, redrawn = window.generated.float().requires_grad_(), window.reconstructed
    pairs = [(generated, window.target)]
    if redrawn is not None:
        redrawn = redrawn.float().requires_grad_()
        pairs.append((redrawn, window.source_view))
    images = [image for image, _ in pairs]
    terms = phase.terms(replace(window, generated=generated, reconstructed=redrawn))
    plain = [_gradient(F.l1_loss(*pair), images) for pair in pairs]
    pulls = {}
    for name, term in terms.items():
        if not term.requires_grad:  # of what the generator computes beside its images
            continue
        gradient, l1 = _gradient(term, images), plain[int(name.endswith("_source"))]
        cosine = F.cosine_similarity(gradient, l1, dim=0)
        pulls[name] = {"value": term.item(), "length": float(gradient.norm() / l1.norm()), "cosine": float(cosine)}
    return pulls


def _gradient(term: Tensor, images: list[Tensor]) -> Tensor:
    """The gradient with respect to all images in one row."""
    parts = torch.autograd.grad(term, images, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts]).double()  # norms of a million numbers


if __name__ == "__main__":
    sys.exit(run(main))
