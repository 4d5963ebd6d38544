"""What every entry point shares: the published flags, and one clear line for bad input."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from config.load import load_config
from config.schema import Config

EXIT_BAD_INPUT = 2
EXIT_LOST = 3
EXIT_INTERRUPTED = 130
# what asks a command to stop: Ctrl-C; kill, timeout, torchrun and Slurm; Slurm's early warning; a closed terminal
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def run(main: Callable[[], int | None]) -> int:
    """Call an entry point; bad input becomes one line on stderr and exit code 2.

    `STEPPOSE_TRACEBACK=1` shows the whole trace instead, for developers.
    """
    is_main = os.environ.get("RANK", "0") == "0"  # of several processes one says what all have to say
    logging.basicConfig(level=logging.INFO if is_main else logging.WARNING, format="%(message)s")
    try:
        return main() or 0
    except (ValueError, OSError) as error:
        if os.environ.get("STEPPOSE_TRACEBACK"):
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return EXIT_INTERRUPTED


def run_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags of the published commands that every run takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument("--name", required=True, help="name of the run: its folder is CHECKPOINTS_DIR/NAME")
    parser.add_argument("--checkpoints_dir", default="result", help="folder of all runs")
    parser.add_argument("--seed", type=int, help="overrides `seed` of the config")
    parser.add_argument("--debug", action="store_true", help="log every step, detect anomalies (train.py alone)")
    # torch.distributed.launch passes the rank as a flag; the environment's LOCAL_RANK is what counts
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="override of an option, e.g. trainer.batch_size=8"
    )
    return parser


def picture_path(text: str) -> Path:
    """The value of a flag that names a picture to write, refused before the work if it is no picture's name."""
    path = Path(text)
    if path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(PICTURES)}")
    return path


def config_from(arguments: argparse.Namespace) -> Config:
    """The configuration that parsed flags and overrides describe; raises ValueError."""
    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    return load_config(arguments.config, overrides)
