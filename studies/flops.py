"""Floating-point operations, counted while they run, and a batch to run them on.

Imports nothing that old revisions lack: benchmarks run them with this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from config.schema import Config

Batch = dict[str, Tensor]
aten = torch.ops.aten


def synthetic_batch(config: Config, device: torch.device, num_processes: int = 1) -> Batch:
    """Random numbers in the shape of a finished batch: one process's share."""
    random = torch.Generator().manual_seed(0)
    count, (height, width) = config.trainer.batch_size // num_processes, config.data.image_size
    directions = 2 if config.rollout.bidirectional else 1

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random)

    eyes = torch.tensor([0.45 * width, 0.15 * height, 0.58 * width, 0.16 * height]).repeat(count, 1)
    images, poses = (count, 3, height, width), (count, config.data.pose_channels, height, width)
    num_sources = getattr(config.data, "num_sources", 1)  # old revisions have one
    several = (count, num_sources) if num_sources > 1 else (count,)
    batch = {
        "source_image": uniform(*several, *images[1:]) * 2 - 1,
        "target_image": uniform(*images) * 2 - 1,
        "source_pose": uniform(*several, *poses[1:]),
        "target_pose": uniform(*poses),
        "source_face": eyes,
        "target_face": eyes,
        "noise": torch.randn(count, directions, 3, height, width, generator=random),
        "start": uniform(count, directions),
        "noise_key": torch.arange(count * directions).view(count, directions),
    }
    return {name: value.to(device) for name, value in batch.items()}


class CountFlops(TorchDispatchMode):
    """Adds up the floating-point operations of all that runs inside.

    Attributes:
        flops: multiplications and additions of matrix products and convolutions.
    """

    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.flops += flops_of(func, args, kwargs or {}, result)
        return result


def flops_of(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Floating-point operations of one operation: 0 for all but matrix products and convolutions."""
    packet = func.overloadpacket
    # PyTorch's table of formulas lacks the CPU's fused attention
    if packet is aten._scaled_dot_product_flash_attention_for_cpu:
        return sdpa_flop_count(*(x.shape for x in args[:3]))
    if packet is aten._scaled_dot_product_flash_attention_for_cpu_backward:
        return sdpa_backward_flop_count(*(x.shape for x in args[:4]))
    return flop_registry[packet](*args, **kwargs, out_val=result) if packet in flop_registry else 0
