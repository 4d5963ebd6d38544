"""Train a run, or continue one: run the same command again.

torchrun --nproc_per_node=2 train.py --config config/nted_256.yaml --name my_run [key=value ...]
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import torch

from config.cli import config_from, run, run_parser
from config.load import dump_config
from trainers.distributed import connect
from trainers.log import set_aside
from trainers.trainer import Trainer

LOG = logging.getLogger(__name__)


def main() -> None:
    parser = run_parser("Train a run, or continue one: run the same command again.")
    parser.add_argument("--no_resume", action="store_true", help="start afresh; an existing run folder is set aside")
    arguments = parser.parse_args()
    if arguments.debug:
        arguments.overrides.append("trainer.log_every=1")
        torch.autograd.set_detect_anomaly(True)
    config, folder = config_from(arguments), Path(arguments.checkpoints_dir) / arguments.name
    with connect() as world:
        if arguments.no_resume and world.is_main:
            set_aside(folder)
        world.barrier()
        trainer = Trainer(config, folder, world, resume=not arguments.no_resume)
        if world.is_main:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.yaml").write_text(dump_config(config))
            LOG.info(
                "%s: step %d of %d, %s on %s", folder, trainer.engine.step, trainer.total_steps, trainer.engine.dtype, world.device
            )
        trainer.train()


if __name__ == "__main__":
    sys.exit(run(main))
