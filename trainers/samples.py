"""What the generator makes of a few test pairs while it trains."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn

from config.schema import Config
from data.dataset import PairDataset
from data.loader import test_loader, to_device
from models.build import build_schedule
from models.rollout import Pair, generate
from trainers.strips import pose_picture, stack, strip, to_uint8

NUM_SAMPLES = 4


class Sampler:
    """Draws step strips of test pairs spread over the whole list."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.dataset = PairDataset(config.data.root, "test", config.data.image_size, config.data.pose, seed=config.seed)
        self.schedule = build_schedule(config.schedule, config.data.image_size).to(device)
        self.degrade_source, self.device = config.rollout.degrade_source, device

    def picture(self, generator: nn.Module, autocast: AbstractContextManager) -> np.ndarray:
        """One row a pair, (H, W, 3) uint8: source, pose, the image of every step, target."""
        count = min(NUM_SAMPLES, len(self.dataset))
        indices = np.linspace(0, len(self.dataset) - 1, count).astype(int).tolist()
        (batch,) = test_loader(self.dataset, count, num_workers=0, indices=indices)
        batch = to_device(batch, self.device)
        pair = Pair(batch["source_image"], batch["source_pose"], batch["target_pose"])
        with autocast:
            steps = list(generate(generator, self.schedule, pair, batch["noise"][:, 0], self.degrade_source))
        columns = [to_uint8(images) for images in (pair.source_image, *steps, batch["target_image"])]
        rows = [[column[index] for column in columns] for index in range(count)]
        poses = [pose_picture(pose) for pose in pair.target_pose]
        return stack([strip([row[0], pose, *row[1:]]) for row, pose in zip(rows, poses, strict=True)])
