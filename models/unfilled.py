"""Networks whose weights are reserved and never filled: names and shapes that cost neither time nor memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from config.schema import Config
from models.build import build_networks

# what would fill a tensor, or compute what is to be filled in; the first argument has the result's shape
_SKIPPED = {
    nn.init.kaiming_uniform_,
    nn.init.uniform_,
    nn.functional.normalize,
    Tensor.normal_,
    Tensor.uniform_,
    Tensor.copy_,
    Tensor.mul,
    Tensor.mul_,
    Tensor.div,
    Tensor.matmul,
}


def unfilled_networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a config, for the names and shapes of their tensors alone."""
    with _Unfilled():
        return build_networks(config)


class _Unfilled(TorchFunctionMode):
    """Initialisation leaves each tensor as the system reserved it, its pages untouched.

    The meta device would serve too, but its first kernels load 157 MB of libraries, four times DPTN's file.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _SKIPPED:
            return args[0] if args else None
        if func is torch.linalg.qr:
            return args[0], args[0]
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))
