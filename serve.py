"""Serve a web page, on this machine alone, that draws with trained models.

python serve.py
python serve.py --model demo/nted --model demo/dptn
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from functools import partial

import torch
from PIL import Image

from config.cli import Parser, add_which_iter, run
from data.detectors import DETECTORS
from models.allocator import keep_freed_memory
from studio.choices import Choices
from studio.pipeline import StepPose
from studio.server import serve
from trainers.stored import CONFIG_FILE, RUNS, find_model, shipped_models


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        action="append",
        help="a shipped model, or a run: its name or folder; several times for several to choose from (default: all "
        "shipped ones, else the demo's)",
    )
    add_which_iter(parser)
    parser.add_argument("--root", help="dataset to choose people from (default: each model's own, or drawn people)")
    parser.add_argument("--detector", choices=[*DETECTORS], help="finds the joints of uploaded photographs")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    return parser.parse_args()


def demo_models() -> list[str]:
    """Names of the runs that make demo trained."""
    return sorted(config.parent.relative_to(RUNS).as_posix() for config in RUNS.glob(f"demo/*/{CONFIG_FILE}"))


def main() -> None:
    arguments = parse()
    if not importlib.util.find_spec("gradio"):
        raise ValueError("the page needs Gradio: pip install -r requirements-page.txt")
    names = arguments.model or shipped_models() or demo_models() or ["demo/nted"]
    for name in names:
        find_model(name)  # the others are loaded when they are chosen; a misspelt one is told now
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        keep_freed_memory()
    detector = DETECTORS.get(arguments.detector)
    if detector:
        detector(Image.new("RGB", (64, 64)))  # fetches what it needs before somebody waits for it
    load = partial(StepPose.load, which=arguments.which_iter, device=device)
    serve(Choices(names, load, arguments.root), detector, (arguments.host, arguments.port))


if __name__ == "__main__":
    sys.exit(run(main))
