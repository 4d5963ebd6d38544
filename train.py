"""Train a run, or continue one: run the same command again.

torchrun --nproc_per_node=2 train.py --config config/nted_256.yaml --name my_run [key=value ...]

Exit codes: 0 finished or out of its time limit, 2 bad input, 3 a process or a loader worker was lost, 4 the losses
diverged, 75 stopped by a signal, all saved (the same command continues), 130 a second Ctrl-C, at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from config.cli import EXIT_BAD_INPUT, EXIT_LOST, config_from, run, run_parser
from config.schema import Config
from data.loader import LostWorker
from studies.rehearsal import missing, rehearse
from trainers.distributed import FailedElsewhere, World, connect, is_lost_process
from trainers.guard import Diverged
from trainers.lock import locked
from trainers.log import set_aside
from trainers.signals import StopRequest, stop_request
from trainers.trainer import Ending, Trainer

LOG = logging.getLogger(__name__)
EXIT_DIVERGED, EXIT_STOPPED = 4, 75
LESS_MEMORY = "lower trainer.max_batch_per_process (the rest is accumulated), or set trainer.recompute_activations=true"


def main() -> int:
    parser = run_parser("Train a run, or continue one: run the same command again.")
    parser.add_argument("--no_resume", action="store_true", help="start afresh; an existing run folder is set aside")
    parser.add_argument(
        "--timeout", type=float, default=1800, help="seconds to wait for another process until it counts as lost"
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="say what the training would take and what it lacks, and write nothing"
    )
    arguments = parser.parse_args()
    if arguments.debug:
        arguments.overrides.append("trainer.log_every=1")
        torch.autograd.set_detect_anomaly(True)
    config, folder = config_from(arguments), Path(arguments.checkpoints_dir) / arguments.name
    try:
        if arguments.dry_run:
            with connect(arguments.timeout) as world:
                return dry_run(config, folder, world)
        with stop_request() as request, connect(arguments.timeout) as world, held(folder, world, arguments.no_resume):
            return train(Trainer(config, folder, world), world, request)
    except FailedElsewhere as error:
        return error.exit_code
    except LostWorker as error:
        LOG.error("error: %s; run the same command again", error)
        return EXIT_LOST
    except Diverged as error:
        LOG.error("error: %s", error)
        return EXIT_DIVERGED
    except RuntimeError as error:
        if not is_lost_process(error):
            raise
        LOG.error("error: another process was lost or is silent (%s); run the same command again", error)
        return EXIT_LOST


@contextmanager
def held(folder: Path, world: World, afresh: bool) -> Iterator[None]:
    """The run's folder, for these processes alone; set aside first for a start `afresh`. Raises ValueError."""
    with ExitStack() as stack:
        with world.together():
            if world.is_main and afresh and folder.exists():
                with locked(folder):
                    set_aside(folder)
            if world.is_main:
                stack.enter_context(locked(folder))
        yield


def dry_run(config: Config, folder: Path, world: World) -> int:
    """Say what a training would take, or all that it lacks; returns the exit code."""
    lacks = missing(config, folder)
    lines = [f"missing: {lack}" for lack in lacks] or rehearse(config, folder, world)
    if world.is_main:
        sys.stdout.write("\n".join([*lines, f"training {'cannot' if lacks else 'can'} start"]) + "\n")
    return EXIT_BAD_INPUT if lacks else 0


def train(trainer: Trainer, world: World, request: StopRequest) -> int:
    """Train, say how it went; returns the exit code."""
    if world.is_main:
        step, total = trainer.engine.step, trainer.total_steps
        LOG.info("%s: step %d of %d, %s on %s", trainer.folder, step, total, trainer.engine.dtype, world.device)
        for remark in remarks(trainer.config):
            LOG.warning("%s", remark)
    ending = trainer.train(request)
    if ending is Ending.ASKED_TO_STOP:
        LOG.info("stopped by a signal at step %d; the same command continues", trainer.engine.step)
        return EXIT_STOPPED
    return 0


def remarks(config: Config) -> Iterator[str]:
    """What a configuration asks for that does nothing, or something else than it may seem to."""
    loop, decay, judge = config.trainer, config.optim.decay_epochs, config.discriminator
    if decay > loop.epochs:
        share = f"{100 * loop.epochs / decay:.0f} %"
        yield f"optim.decay_epochs is {decay}, trainer.epochs {loop.epochs}: learning rates start at {share} and fall"
    if loop.eval_protocol and not loop.eval_every:
        yield f"trainer.eval_protocol is {loop.eval_protocol}, but trainer.eval_every is null: nothing is validated"
    if loop.start_with != "ema" and not loop.start_from:
        yield f"trainer.start_with is {loop.start_with}, but trainer.start_from is null: the run begins afresh"
    if judge and judge.step == "projection" and config.schedule.num_steps == 1:
        yield "discriminator.step is projection, but there is one step: nothing is told"


if __name__ == "__main__":
    sys.exit(run(main, LESS_MEMORY))
