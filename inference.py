"""Draw the test pairs with the EMA generator of a run, all steps from coarse to fine.

python inference.py --config config/nted_256.yaml --name my_run --output_dir result/my_run/images --save_steps --strip
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from config.cli import add_which_iter, config_from, run, run_parser
from data.dataset import PairDataset
from data.loader import Batch, test_loader, to_device
from data.pairs import output_name
from evaluation.manifest import Manifest, check_folder, weights_hash, write_manifest
from images.pixels import to_uint8
from images.strips import step_strip
from images.video import write_animation
from images.writing import write_image
from models.device import resolve_precision
from models.rollout import Pair
from studio.pipeline import StepPose
from trainers.distributed import World, connect
from trainers.environment import environment
from trainers.validation import test_pairs

LOG = logging.getLogger(__name__)
STRIPS, ANIMATIONS = "strips", "animations"
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def parse() -> argparse.Namespace:
    parser = run_parser("Draw the test pairs with the EMA generator of a run.")
    parser.add_argument("--output_dir", required=True, help="folder of the images")
    add_which_iter(parser)
    parser.add_argument("--no_resume", action="store_true", help="accepted as published; drawing resumes nothing")
    parser.add_argument("--save_steps", action="store_true", help="every step's image too, in step_00, step_01 ...")
    parser.add_argument("--strip", action="store_true", help="source, pose, every step and target in one, in strips")
    parser.add_argument("--webp", action="store_true", help="the steps as an animated WebP, in animations")
    parser.add_argument("--batch_size", type=int, default=8, help="pairs at once, a process")
    parser.add_argument("--max_pairs", type=int, help="only the first so many test pairs")
    parser.add_argument("--compile", dest="compile_mode", choices=COMPILE_MODES, help="a mode of torch.compile")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    for name in ("batch_size", "max_pairs"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}; it must be 1 or more")
    config = config_from(arguments)
    with connect() as world:
        model = StepPose.load(
            Path(arguments.checkpoints_dir) / arguments.name,
            which=arguments.which_iter,
            config=config,
            device=world.device,
            dtype=resolve_precision(config.trainer.precision, world.device),
            compile_mode=arguments.compile_mode,
        )
        dataset = test_pairs(config)
        out = Output(dataset, model.num_steps, arguments)
        manifest = describe(model, dataset, out, arguments, world)
        check_folder(out.folder, manifest)
        world.barrier()  # all have looked at the folder before it is written to
        if world.is_main:
            write_manifest(out.folder, manifest)
        draw_share(model, dataset, out, arguments, world)
        world.barrier()


def describe(
    model: StepPose, dataset: PairDataset, out: Output, arguments: argparse.Namespace, world: World
) -> Manifest:
    """What the images are made from."""
    return Manifest(
        run=arguments.name,
        trained_steps=model.trained_steps,
        weights=weights_hash(model.generator),
        config=model.config.model_dump(mode="json"),
        seed=model.config.seed,
        steps=[folder.name for folder in out.step_folders],
        extras=out.extras,
        names=[out.name(index) for index in range(len(dataset))[: arguments.max_pairs]],
        made=environment(world),
    )


def draw_share(model: StepPose, dataset: PairDataset, out: Output, arguments: argparse.Namespace, world: World) -> None:
    """This process's share of those test pairs that an interrupted call has not drawn."""
    indices = [index for index in range(len(dataset))[: arguments.max_pairs] if not out.is_there(index)]
    world.barrier()  # all have seen the same pairs before one draws more
    loader = test_loader(
        dataset, arguments.batch_size, model.config.data.num_workers, world.rank, world.size, indices=indices
    )
    if world.is_main:
        LOG.info("%d pairs to draw, EMA generator of step %d", len(indices), model.trained_steps)
    with ThreadPoolExecutor(2) as pool, tqdm(total=len(loader), unit="batch", disable=not world.is_main) as progress:
        for raw in loader:
            batch = to_device(raw, world.device)
            steps = list(model.stream(*as_pair(batch)))
            # waits, so that a full disk is noticed; PNG coding frees the interpreter, so two threads do help
            list(pool.map(write, out.files(batch, steps)))
            progress.update()


def as_pair(batch: Batch) -> tuple[Pair, Tensor]:
    """What a rollout takes of a finished batch."""
    return Pair(batch["source_image"], batch["source_pose"], batch["target_pose"]), batch["noise"][:, 0]


File = tuple[Path, list[np.ndarray]]


class Output:
    """Where pictures go: finished images in the folder itself, the rest in folders beside them."""

    def __init__(self, dataset: PairDataset, num_steps: int, arguments: argparse.Namespace) -> None:
        self.dataset, self.folder = dataset, Path(arguments.output_dir)
        self.strip, self.webp = arguments.strip, arguments.webp
        self.step_folders = [self.folder / f"step_{step:02d}" for step in range(num_steps * arguments.save_steps)]
        self.extras = [STRIPS] * self.strip + [ANIMATIONS] * self.webp

    def name(self, index: int) -> str:
        """File name of a pair's image."""
        return output_name(*self.dataset.names(index))

    def paths(self, index: int) -> list[Path]:
        """Every file of a pair; they are written in this order, whole or not at all."""
        name = self.name(index)
        files = [folder / name for folder in [*self.step_folders, *([self.folder / STRIPS] if self.strip else [])]]
        if self.webp:
            files.append((self.folder / ANIMATIONS / name).with_suffix(".webp"))
        return [self.folder / name, *files]

    def is_there(self, index: int) -> bool:
        """Whether all files of a pair are written."""
        return all(path.is_file() for path in self.paths(index))

    def files(self, batch: Batch, steps: list[Tensor]) -> Iterator[File]:
        """Each file of a batch with its picture, or with the pictures of an animation."""
        whole = self.strip or self.webp or bool(self.step_folders)
        images = [to_uint8(step) for step in (steps if whole else steps[-1:])]
        for row, index in enumerate(batch["index"].tolist()):
            pictures = [[images[-1][row]], *([image[row]] for image in images[: len(self.step_folders)])]
            if self.strip:
                source, pose, target = (batch[key][row] for key in ("source_image", "target_pose", "target_image"))
                pictures.append(
                    [step_strip(source, pose, [step[row] for step in steps], target, self.dataset.map_channels)]
                )
            if self.webp:
                pictures.append([image[row] for image in images])
            yield from zip(self.paths(index), pictures, strict=True)


def write(file: File) -> None:
    """A PNG of an (H, W, 3) picture, or an animation of several."""
    path, pictures = file
    if path.suffix == ".webp":
        write_animation(path, pictures)
    else:
        write_image(path, pictures[0])


if __name__ == "__main__":
    sys.exit(run(main, less_memory="lower --batch_size"))
