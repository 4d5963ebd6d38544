"""What a trained model takes from which source when sources are mixed, faded or exchanged.

python -m benchmarks.mixing --model NAME --count 50

Every result is placed between the images of source A alone (0) and of source B alone (1), separately for its colours
(means of blocks of a sixteenth of the image's height) and for its detail (what the blocks leave over).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from config.cli import run
from models.rollout import Pair, switched
from studio.commands import drawing_parser, open_studio
from studio.mixing import source_pairs
from studio.people import Gallery, Person
from studio.pipeline import StepPose
from studio.regions import region_mask

REGION = "upper_body"


def parse() -> argparse.Namespace:
    parser = drawing_parser("Measure style mixing, fading and the exchange of a region.")
    parser.add_argument("--count", type=int, default=50, help="pairs of people, each drawn in the pose of a third")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    model, people, seed = open_studio(arguments)
    totals: dict[str, np.ndarray] = {}
    for first, second, mask in draw_people(model, people.gallery, arguments.count, seed):
        for name, parts in measure(model, first, second, mask).items():
            totals[name] = totals.get(name, 0) + parts
    shares = {name: (parts[..., 0] / parts[..., 1]).round(3).tolist() for name, parts in totals.items()}
    sys.stdout.write(table(shares) + "\n")
    sys.stdout.write(json.dumps({"name": arguments.model, "trained_steps": model.trained_steps, **shares}) + "\n")


def draw_people(model: StepPose, gallery: Gallery, count: int, seed: int) -> Iterator[tuple[Pair, Pair, Tensor]]:
    """Inputs with source A, the same with source B, and the region's mask (H, W), for `count` drawn triples."""
    names, random = gallery.names(), np.random.default_rng(seed)
    while count:
        first, second, posed = (gallery.person(str(name)) for name in random.choice(names, 3, replace=False))
        if (mask := _mask(model, posed)) is None:
            continue
        pairs = source_pairs(model, [first, second], posed.joints)
        yield pairs[0], pairs[1], mask
        count -= 1


def measure(model: StepPose, first: Pair, second: Pair, mask: Tensor) -> dict[str, np.ndarray]:
    """Numerators and denominators, last axis, of the share of source B: see `shares`.

    `mix`: (S + 1, 2) by switch step, colour and detail. `fade`: (5, 2) by weight 0, 1/4 ... 1.
    `exchange`: (2, 2) inside and outside of the region.
    """
    noise, size = model.noise(1), model.image_size
    pairs = [switched([first, second], [switch], model.num_steps) for switch in range(model.num_steps + 1)]
    mixes = [_final(model.stream(pair, noise)) for pair in pairs]
    only_second, only_first = mixes[0], mixes[-1]
    fades = [_final(model.blend(first, second, weight, noise)) for weight in (0.0, 0.25, 0.5, 0.75, 1.0)]
    exchanged = _final(model.blend(first, second, mask.view(1, 1, *size), noise))
    inside = [shares(exchanged, only_first, only_second, weight) for weight in (mask, 1 - mask)]
    return {
        "mix": np.stack([shares(image, only_first, only_second) for image in mixes]),
        "fade": np.stack([shares(image, only_first, only_second) for image in fades]),
        "exchange": np.stack(inside),
    }


def shares(image: Tensor, first: Tensor, second: Tensor, weight: Tensor | float = 1.0) -> np.ndarray:
    """(2, 2): of colour and of detail, the scalar product with B - A, and |B - A|^2; images (1, 3, H, W).

    Their quotient is 0 for the image of A alone, 1 for that of B alone. `weight`: (H, W), which pixels count.
    """
    rows = []
    for difference, full in zip(_colour_and_detail(image - first), _colour_and_detail(second - first), strict=True):
        rows.append([float((weight * difference * full).sum()), float((weight * full * full).sum())])
    return np.array(rows)


def table(results: dict[str, list[list[float]]]) -> str:
    """The three measurements as lines of text."""
    lines = ["share of source B          colour  detail"]
    titles = {
        "mix": lambda row: f"B from step {row} on",
        "fade": lambda row: f"{row * 25} % B",
        "exchange": lambda row: f"{REGION} of B, {('inside', 'outside')[row]}",
    }
    for name, rows in results.items():
        lines += [f"{titles[name](row):26} {colour:7.2f} {detail:7.2f}" for row, (colour, detail) in enumerate(rows)]
    return "\n".join(lines)


def _colour_and_detail(image: Tensor) -> tuple[Tensor, Tensor]:
    side = max(2, image.shape[-2] // 16)
    colour = interpolate(avg_pool2d(image, side, ceil_mode=True, count_include_pad=False), size=image.shape[-2:])
    return colour, image - colour


def _mask(model: StepPose, person: Person) -> Tensor | None:
    """The region in the person's pose; None where its joints are missing."""
    try:
        return torch.from_numpy(region_mask(person.joints, model.image_size, REGION))
    except ValueError:
        return None


def _final(images: Iterator[Tensor]) -> Tensor:
    *_, final = images
    return final


if __name__ == "__main__":
    sys.exit(run(main))
