"""A GPU's stand-in: tensors that say they are on `cuda:0` and have shapes but no contents, and refuse to be waited for.

PyTorch's fake tensors run every operation by shape, autograd and fused Adam included. They raise where tensors of two
devices meet and where a number, or a shape that follows from numbers, is asked for. `Refusal` adds what they let pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from models.layers import SpectralNorm
from trainers import engine

GPU, CPU, META = torch.device("cuda", 0), torch.device("cpu"), torch.device("meta")
aten = torch.ops.aten


class Crossing(AssertionError):
    """An operation has a tensor that is not on the GPU."""


class Refusal(TorchDispatchMode):
    """Refuses every operation that has a tensor off the GPU, but for copies to it that nobody waits for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:
            # autograd in C++ would look for the GPU's threads; of a meta tensor it thinks that the CPU's will do
            return META if func(*args) == GPU else func(*args)
        args, kwargs = tree_map(lambda x: GPU if isinstance(x, torch.device) and x == META else x, (args, kwargs or {}))
        # what a copy to the GPU takes may lie elsewhere, unless somebody waits for it
        if not (func is aten._to_copy.default and kwargs.get("non_blocking")):
            _refuse(func, (args, kwargs))
        result = func(*args, **kwargs)
        _refuse(func, result)
        return result


def _refuse(func: Any, tree: Any) -> None:
    if any(isinstance(leaf, Tensor) and leaf.device != GPU for leaf in tree_leaves(tree)):
        raise Crossing(f"{func} has a tensor that is not on the GPU")


@contextmanager
def fake_gpu() -> Iterator[Refusal]:
    """Modules, tensors and steps made inside are on a GPU that is not there; what it gives refuses while it is on."""
    with ExitStack() as stack:
        for owner, name, stand_in in (
            (torch.cuda, "get_device_capability", lambda *where: (9, 0)),
            (torch.cuda, "is_bf16_supported", lambda *options: True),
            (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
            (engine, "choose_algorithms", lambda *how: None),  # settings of the whole process
            (nn.Module, "_apply", _moved),
            (Tensor, "__deepcopy__", _copied),
            (nn.Parameter, "__deepcopy__", _copied),
            (SpectralNorm, "advance", _advanced(SpectralNorm.advance)),
        ):
            stack.enter_context(patch.object(owner, name, stand_in))
        stack.enter_context(FakeTensorMode())
        yield Refusal()


def _moved(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """`nn.Module._apply`, which swaps what fake tensors do not let be swapped, with new parameters where they move."""
    for child in module.children():
        child._apply(function)
    for held in (module._parameters, module._buffers):
        for name, old in held.items():
            if old is None:
                continue
            new = function(old.detach())
            if (new.device, new.stride()) != (old.device, old.stride()):
                held[name] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
    return module


def _copied(tensor: Tensor, memo: Any) -> Tensor:
    copy = tensor.detach().clone()
    return nn.Parameter(copy, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copy


def _advanced(advance: Any) -> Any:
    """One power iteration has the shapes of fifteen."""
    return lambda norm, weight, num_iterations=1: advance(norm, weight)
