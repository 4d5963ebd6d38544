"""Serve a web page, on this machine alone, that draws with a trained model.

python serve.py --model nted
"""

from __future__ import annotations

import argparse
import os
import sys

from config.cli import Parser, add_which_iter, run
from trainers.stored import find_model, shipped_models


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", help="a shipped model, or a run: its name or folder (default: the shipped NTED, else the demo's)"
    )
    add_which_iter(parser)
    parser.add_argument("--root", help="dataset to choose people from (default: the model's own)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    model = arguments.model or ("nted" if "nted" in shipped_models() else "demo/nted")
    # before Gradio is imported, which would otherwise report its start to its makers
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        from studio.server import serve
    except ImportError:
        raise ValueError("the page needs Gradio: pip install -r requirements-page.txt") from None
    serve(find_model(model), arguments.which_iter, arguments.root, (arguments.host, arguments.port))


if __name__ == "__main__":
    sys.exit(run(main))
