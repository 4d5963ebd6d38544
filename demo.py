"""A web page that draws with a trained model.

python demo.py --name demo_nted
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from config.cli import add_which_iter, run, run_name

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--name", type=run_name, required=True, help="name of the run: its folder is CHECKPOINTS_DIR/NAME"
    )
    parser.add_argument("--checkpoints_dir", default="result", help="folder of all runs (default: result)")
    add_which_iter(parser)
    parser.add_argument("--data_root", help="dataset to choose people from (default: the run's own)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    folder = Path(arguments.checkpoints_dir) / arguments.name
    if not folder.is_dir():
        raise ValueError(f"there is no run {folder}; make demo trains two small ones")
    # before Gradio is imported, which would otherwise report its start to its makers
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        from studio.server import serve
    except ImportError:
        raise ValueError("the page needs Gradio: pip install -r requirements-demo.txt") from None
    serve(folder, arguments.which_iter, arguments.data_root, (arguments.host, arguments.port))


if __name__ == "__main__":
    sys.exit(run(main))
