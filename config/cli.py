"""What every entry point shares: the published flags, and one clear line for bad input."""

from __future__ import annotations

import argparse
import difflib
import errno
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.schema import Config

_LOG = logging.getLogger(__name__)
EXIT_BAD_INPUT = 2
EXIT_LOST = 3
EXIT_INTERRUPTED = 130
# what PyTorch's allocators say on a GPU and on the CPU; this module does without PyTorch
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
_REMEDIES = {
    errno.EMFILE: "; raise the limit of this shell with ulimit -n 4096",
    errno.ENOENT: "; check the name",
    errno.EACCES: "; choose a place that you may read and write",
    errno.EROFS: "; choose a place that may be written",
    errno.ENOSPC: "; free some disk space or choose another place",
    errno.EEXIST: "; it is a file where a folder should be: choose another place",
    errno.EISDIR: "; name a file, not a folder",
    errno.ENOTDIR: "; a part of this path is a file, not a folder",
}
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


# what flags were called before every command had the same word for a thing
_OLD_FLAGS = {
    "--checkpoints_dir": "--model FOLDER",
    "--config": "--model NAME",
    "--data_root": "--root",
    "--n_worker": "--workers",
    "--name": "--model NAME",
    "--output_dir": "--output",
    "--sheet": "--output",
    "--sizes": "--size",
}


class Parser(argparse.ArgumentParser):
    """A parser of flags, whole and not abbreviated, and overrides in any order; it knows what flags were called."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(allow_abbrev=False, **keys)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual, but overrides may stand between the flags, and a flag that is none is refused with the nearest."""
        words = sys.argv[1:] if args is None else list(args)
        known = self._option_string_actions
        for flag in (word.split("=")[0] for word in words):
            if flag in known or not flag.startswith("--") or flag == "--":
                continue
            if _OLD_FLAGS.get(flag, "").split(" ")[0] in known:
                self.error(f"{flag} is called {_OLD_FLAGS[flag]} now")
            shown = [name for name, action in known.items() if action.help != argparse.SUPPRESS]
            nearest = difflib.get_close_matches(flag, shown, n=1)
            self.error(f"there is no flag {flag}" + (f"; did you mean {nearest[0]}?" if nearest else "; see --help"))
        return self.parse_intermixed_args(words, namespace)


def run(main: Callable[[], int | None], less_memory: str = "use a machine with more memory") -> int:
    """Call an entry point; bad input, or too much for the memory, becomes one line on stderr and exit code 2.

    `less_memory` says what needs less. `STEPPOSE_TRACEBACK=1` shows the whole trace instead, for developers.
    """
    is_main = os.environ.get("RANK", "") in ("", "0")  # of several processes one says what all have to say
    logging.basicConfig(level=logging.INFO if is_main else logging.WARNING, format="%(message)s")
    try:
        return main() or 0
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        is_full = isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
        if os.environ.get("STEPPOSE_TRACEBACK") or (isinstance(error, RuntimeError) and not is_full):
            raise
        says = f"out of memory{_amount(error)}; {less_memory}" if is_full else sentence(error)
        sys.stderr.write(f"error: {' '.join(says.split())}\n")
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return EXIT_INTERRUPTED


def run_command(*arguments: object, **environment: str) -> None:
    """Run a command of the project, as `python` with these words, shown before; raises ValueError where it fails."""
    words = [str(argument) for argument in arguments]
    _LOG.info("\n$ python %s", " ".join(words))
    if subprocess.run([sys.executable, *words], env={**os.environ, **environment}, check=False).returncode:
        raise ValueError(f"`python {' '.join(words)}` failed; its own message is above")


def sentence(error: Exception) -> str:
    """An error as a person reads it; those of the system say which file, what is wrong, and what to do."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    reason = (error.strerror or str(error)).lower()
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{reason}{_REMEDIES.get(error.errno, '')}"


def run_parser(description: str) -> Parser:
    """A parser with the flags of the published commands that every run takes."""
    parser = Parser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument(
        "--name", type=run_name, required=True, help="name of the run: its folder is CHECKPOINTS_DIR/NAME"
    )
    parser.add_argument("--checkpoints_dir", default="result", help="folder of all runs")
    parser.add_argument("--seed", type=int, help="overrides `seed` of the config")
    parser.add_argument("--debug", action="store_true", help="log every step, detect anomalies (train.py alone)")
    # torch.distributed.launch passes the rank as a flag; the environment's LOCAL_RANK is what counts
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="override of an option, e.g. trainer.batch_size=8"
    )
    return parser


def add_which_iter(parser: argparse.ArgumentParser) -> None:
    """The flag that chooses a run's checkpoint: None for the newest."""
    parser.add_argument(
        "--which_iter", type=checkpoint_step, metavar="STEP", help="step of the checkpoint, or `latest` (the default)"
    )


def checkpoint_step(text: str) -> int | None:
    """The value of `--which_iter`."""
    if text == "latest":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a step nor `latest`")
    return int(text)


def run_name(text: str) -> str:
    """The value of `--name`, refused where the folder would not be inside that of all runs."""
    if not text.strip(" .") or Path(text).is_absolute() or ".." in Path(text).parts:
        raise argparse.ArgumentTypeError(f"{text!r} names no folder inside that of all runs; give a plain name")
    return text


def picture_path(text: str) -> Path:
    """The value of a flag that names a picture to write, refused before the work if it is no picture's name."""
    path = Path(text)
    if path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(PICTURES)}")
    return path


def image_size(text: str) -> tuple[int, int]:
    """The value of `--size`: `256-176` as (256, 176), height and width in pixels."""
    height, _, width = text.partition("-")
    if not (height.isdecimal() and width.isdecimal() and 0 < int(height) <= 4096 and 0 < int(width) <= 4096):
        raise argparse.ArgumentTypeError(f"{text!r} is not H-W, e.g. 256-176 (1 to 4096)")
    return int(height), int(width)


def config_from(arguments: argparse.Namespace) -> Config:
    """The configuration that parsed flags and overrides describe; raises ValueError."""
    # it knows all networks, and with them PyTorch: commands and their many processes that need none start in a tenth
    from config.load import load_config

    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    return load_config(arguments.config, overrides)


def _amount(error: BaseException) -> str:
    """How much was asked for in vain, where an error says so."""
    match = re.search(r"allocate ([\d.]+ \w+)", str(error))
    return f": {match[1]} more cannot be had" if match else ""
