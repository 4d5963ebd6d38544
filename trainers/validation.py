"""Scores of the EMA generator on a fixed few test pairs while it trains, and how well steps are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from config.schema import PAIRED_METRICS, Config
from data.dataset import PairDataset
from data.loader import Batch, test_loader, to_device
from images.pixels import to_uint8
from images.strips import pose_picture, stack, strip
from metrics.paired import SsimWindow, fit_window, l1, psnr, ssim
from models.families import build_schedule
from models.rollout import Pair, generate
from models.sources import first_source
from trainers.distributed import World
from trainers.engine import Engine
from trainers.protocol import Drawn, ProtocolScores
from trainers.signals import StopRequest

NUM_STRIPS = 4
SSIM_WINDOW = SsimWindow(size=51)  # the default protocol's, see docs/evaluation.md


class Validation:
    """Draws test pairs spread over the whole list, each process its share.

    Args:
        config: the run. world: the processes. trained: its training pairs. cache: folder for statistics of these.

    Raises:
        ValueError: test pairs that cannot be read, or as `ProtocolScores`.
    """

    def __init__(self, config: Config, world: World, trained: PairDataset, cache: Path) -> None:
        self.world = world
        self.dataset, self.skip_bad = test_pairs(config), config.data.on_error == "skip"
        self.schedule = build_schedule(config.schedule, config.data.image_size).to(world.device)
        self.degrade_source, self.batch_size = config.rollout.degrade_source, config.trainer.max_batch_per_process
        self.scores_labels = config.has_step_head
        self.num_pairs = min(config.trainer.eval_pairs, len(self.dataset))
        self.protocol = None
        if config.trainer.eval_every and config.trainer.eval_protocol:
            self.protocol = ProtocolScores(config.trainer, self.dataset, trained, world.device, cache)

    def picture(self, engine: Engine) -> np.ndarray:
        """Step strips of a few pairs, (H, W, 3) uint8: first source, pose, the image of every step, target.

        Every process draws them, since they would wait for each other anyway.
        """
        indices = spread(len(self.dataset), min(NUM_STRIPS, len(self.dataset)))
        rows = []
        for batch in test_loader(self.dataset, len(indices), 0, indices=indices, skip_bad=self.skip_bad):
            rows += self._strips(engine, to_device(batch, self.world.device))
        return stack(rows)

    def _strips(self, engine: Engine, batch: Batch) -> list[np.ndarray]:
        steps, source = self.draw(engine, batch), first_source(batch["source_image"])
        columns = [to_uint8(images) for images in (source, *steps, batch["target_image"])]
        rows = []
        for index, pose in enumerate(batch["target_pose"]):
            source, *others = (column[index] for column in columns)
            rows.append(strip([source, pose_picture(pose, self.dataset.map_channels), *others]))
        return rows

    def scores(self, engine: Engine, request: StopRequest) -> dict[str, float]:
        """Means over the pairs of all processes: SSIM, PSNR and L1 of each step, accuracy of the step labels.

        Left off, and worth nothing, once a stop is asked for: it may take longer than the one who asks will wait.

        Names are `eval_ssim_step_03` ..., `eval_ssim` ... of the last step, `eval_step_accuracy_real` and `_fake`. With
        a protocol the last step's scores are the protocol's, on the main process, e.g. `eval_fd_lite0`.
        """
        indices = spread(len(self.dataset), self.num_pairs)
        rank, size = self.world.rank, self.world.size
        totals = {name: torch.zeros((), dtype=torch.float64) for name in self._names()}
        drawn: dict[int, Drawn] = {}
        for batch in test_loader(self.dataset, self.batch_size, 0, rank, size, indices, self.skip_bad):
            if request.received:
                break
            sums, finished = self._score(engine, to_device(batch, self.world.device))
            for name, value in sums.items():
                totals[name] += value
            faces = batch["target_face"].numpy()
            drawn |= {int(line): Drawn(*one) for line, *one in zip(batch["index"], finished, faces, strict=True)}
        means = {name: value * size / self.num_pairs for name, value in self.world.mean(totals).items()}
        if self.protocol is not None and not self.world.maximum(request.received):
            means |= self.protocol.scores(drawn)
        return {f"eval_{name}": value for name, value in means.items()}

    def _names(self) -> list[str]:
        """What is scored: the same on every process, also on one without a pair."""
        by_step = [f"{metric}_step_{step:02d}" for metric in PAIRED_METRICS for step in range(self.schedule.num_steps)]
        labels = ["step_accuracy_real", "step_accuracy_fake"] if self.scores_labels else []
        return [*PAIRED_METRICS, *by_step, *labels]

    def draw(self, engine: Engine, batch: Batch) -> list[Tensor]:
        """The EMA generator's image (B, 3, H, W) of every step, for a batch on the device."""
        pair = Pair(batch["source_image"], batch["source_pose"], batch["target_pose"])
        with engine.autocast():
            noise = batch["noise"][:, 0]
            return list(generate(engine.generator_ema, self.schedule, pair, noise, self.degrade_source))

    def _score(self, engine: Engine, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """Sums over a batch, and its finished images, (B, H, W, 3) uint8."""
        sums: dict[str, float] = {}
        for step, images in enumerate(self.draw(engine, batch)):
            target = self.schedule.degrade(batch["target_image"], step + 1)
            if self.scores_labels:
                for kind, shown in (("real", target), ("fake", images)):
                    share = right_steps(engine.networks["discriminator"], shown, step) / self.schedule.num_steps
                    sums[f"step_accuracy_{kind}"] = sums.get(f"step_accuracy_{kind}", 0) + share
            finished = to_uint8(images)
            scores = [paired_scores(*pair) for pair in zip(finished, to_uint8(target), strict=True)]
            for metric in scores[0]:
                sums[f"{metric}_step_{step:02d}"] = sums[metric] = sum(score[metric] for score in scores)
        return sums, finished


def test_pairs(config: Config) -> PairDataset:
    """The test pairs of a run; raises ValueError where they cannot be read."""
    return PairDataset(config.data, "test", seed=config.seed)


def spread(length: int, count: int) -> list[int]:
    """`count` indices spread evenly over 0..length-1."""
    return np.linspace(0, length - 1, count).astype(int).tolist()


def paired_scores(image: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """SSIM, PSNR and L1 of one (H, W, 3) uint8 image; PSNR of an exact copy counts as 100 dB."""
    window = fit_window(SSIM_WINDOW, image.shape[:2])
    return {"ssim": ssim(image, target, window), "psnr": min(psnr(image, target), 100.0), "l1": l1(image, target)}


@torch.no_grad()
def right_steps(discriminator: nn.Module, images: Tensor, step: int) -> int:
    """How many of the images the discriminator gives their true step label."""
    steps = torch.full((len(images),), step, device=images.device)
    return int((discriminator(images, steps).step_log_probs.argmax(dim=1) == steps).sum())
