"""Draw the test pairs with the EMA generator of a run, all steps from coarse to fine.

python inference.py --config config/nted_256.yaml --name my_run --output_dir result/my_run/images [--save_steps]
"""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor
from tqdm import tqdm

from config.cli import config_from, run, run_parser
from config.schema import Config
from data.dataset import PairDataset
from data.loader import Batch, test_loader, to_device
from data.pairs import output_name
from models.build import build_schedule
from models.rollout import Pair, generate
from trainers.checkpoint import load_generator
from trainers.distributed import World, connect
from trainers.precision import autocast, resolve_precision
from trainers.strips import to_uint8

LOG = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = run_parser("Draw the test pairs with the EMA generator of a run.")
    parser.add_argument("--output_dir", required=True, help="folder of the images")
    parser.add_argument("--which_iter", type=int, help="step of the checkpoint (default: the newest)")
    parser.add_argument(
        "--save_steps", action="store_true", help="also the image of every step, in step_00, step_01 ..."
    )
    parser.add_argument("--batch_size", type=int, default=8, help="pairs at once, a process")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.batch_size < 1:
        raise ValueError(f"--batch_size is {arguments.batch_size}; it must be 1 or more")
    config = config_from(arguments)
    with connect() as world:
        draw_all(config, Path(arguments.checkpoints_dir) / arguments.name, arguments, world)


def draw_all(config: Config, folder: Path, arguments: argparse.Namespace, world: World) -> None:
    """This process's share of the test pairs."""
    generator, step = load_generator(folder, config, arguments.which_iter, world.device)
    schedule = build_schedule(config.schedule, config.data.image_size).to(world.device)
    dataset = PairDataset(config.data.root, "test", config.data.image_size, config.data.pose, seed=config.seed)
    loader = test_loader(dataset, arguments.batch_size, config.data.num_workers, world.rank, world.size)
    dtype = resolve_precision(config.trainer.precision, world.device)
    folders = step_folders(Path(arguments.output_dir), schedule.num_steps, arguments.save_steps)
    if world.is_main:
        LOG.info(
            "%d test pairs with the EMA generator of step %d, %d steps each", len(dataset), step, schedule.num_steps
        )
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(loader), unit="batch", disable=not world.is_main) as progress:
        for batch in loader:
            names = [output_name(*dataset.names(int(index))) for index in batch["index"]]
            pair, noise = as_pair(to_device(batch, world.device))
            with autocast(world.device, dtype):
                steps = generate(generator, schedule, pair, noise, config.rollout.degrade_source)
                for places, images in zip(folders, steps, strict=True):
                    write(pool, places, names, to_uint8(images) if places else None)
            progress.update()
    world.barrier()


def as_pair(batch: Batch) -> tuple[Pair, Tensor]:
    """What a rollout takes of a finished batch."""
    return Pair(batch["source_image"], batch["source_pose"], batch["target_pose"]), batch["noise"][:, 0]


def step_folders(output: Path, num_steps: int, save_steps: bool) -> list[list[Path]]:
    """Where each step's images go: all in step folders if they are asked for, the last in `output` itself."""
    folders = [[output / f"step_{step:02d}"] if save_steps else [] for step in range(num_steps)]
    folders[-1].append(output)
    for folder in {place for places in folders for place in places}:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def write(pool: ThreadPoolExecutor, folders: list[Path], names: list[str], images: np.ndarray | None) -> None:
    """PNGs of (B, H, W, 3) images, by as many threads as the pool has; waits, so that a full disk is noticed."""
    if images is None:
        return
    jobs = [(folder / name, image) for folder in folders for name, image in zip(names, images, strict=True)]
    list(pool.map(write_png, jobs))


def write_png(job: tuple[Path, np.ndarray]) -> None:
    path, image = job
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


if __name__ == "__main__":
    sys.exit(run(main))
