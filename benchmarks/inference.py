"""Images a second at inference: StepPose against a plain loop, and what drawing a known source again saves.

python -m benchmarks.inference --config config/demo_nted.yaml --steps 1 5 20 --batch_size 4
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import torch

from config.cli import Parser, run
from config.load import load_config
from models.families import build_generator
from models.one_source import OneSource
from models.rollout import Pair
from studio.pipeline import StepPose


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/nted_256.yaml", help="YAML file")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5, 20], help="numbers of steps S")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many is shown")
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--compile", dest="compile_mode", help="a mode of torch.compile; reduce-overhead: CUDA graphs")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sys.stdout.write(f"{arguments.config}, batch {arguments.batch_size}, {device}, torch {torch.__version__}\n")
    sys.stdout.write(f"{torch.get_num_threads()} threads; images a second, the fastest of {arguments.repeats}\n")
    for num_steps in arguments.steps:
        window = ["rollout.window=null", f"schedule.num_steps={num_steps}"]
        config = load_config(arguments.config, window)
        torch.manual_seed(0)
        generator = build_generator(config.generator, config.data.pose_channels, num_steps).to(device)
        dtype = torch.bfloat16 if arguments.bf16 else torch.float32
        model = StepPose(config, generator, dtype=dtype, compile_mode=arguments.compile_mode)
        figures = measure(model, arguments.batch_size, arguments.repeats)
        sys.stdout.write(f"S = {num_steps:2}: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()) + "\n")


def measure(model: StepPose, count: int, repeats: int) -> dict[str, float]:
    """Images a second of each way of drawing `count` poses of one source."""
    pair, noise = _inputs(model, count)
    ways: dict[str, Callable[[], object]] = {
        "plain loop": lambda: plain_loop(model, pair, noise),
        "StepPose": lambda: list(model.stream(pair, noise)),
    }
    ways["one source, new"] = lambda: list(model.stream(pair, noise, OneSource(model.generator)))
    known = OneSource(model.generator)
    list(model.stream(pair, noise, known))
    ways["one source, known"] = lambda: list(model.stream(pair, noise, known))
    return {name: count / min(_seconds(way) for _ in range(repeats)) for name, way in ways.items()}


@torch.no_grad()
def plain_loop(model: StepPose, pair: Pair, noise: torch.Tensor) -> torch.Tensor:
    """The rollout written out, without autocast or compilation."""
    canvas = model.schedule.start_canvas(pair.source_image, noise)
    for number in range(model.num_steps):
        step = torch.full((len(noise),), number, device=noise.device)
        source = pair.source_image
        if model.config.rollout.degrade_source:
            source = model.schedule.degrade(source, step + 1)
        canvas = model.generator(source, pair.source_pose, pair.target_pose, canvas, step).target_image
    return canvas


def _inputs(model: StepPose, count: int) -> tuple[Pair, torch.Tensor]:
    height, width = model.image_size
    poses = torch.rand(2, count, model.config.data.pose_channels, height, width, device=model.device)
    source = torch.rand(1, 3, height, width, device=model.device) * 2 - 1
    return Pair(source.expand(count, -1, -1, -1), poses[0], poses[1]), model.noise(count)


def _seconds(way: Callable[[], object]) -> float:
    way()
    _wait_for_device()
    start = time.perf_counter()
    way()
    _wait_for_device()
    return time.perf_counter() - start


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(run(main))
