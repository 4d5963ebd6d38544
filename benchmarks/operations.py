"""What operations cost, told by their arguments: floating-point operations, and bytes read and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten
# results without a kernel
_FREE = {aten._unsafe_view, aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}
# what they write they do not read
_OVERWRITING = {aten.copy_, aten.zero_, aten.fill_, aten.normal_, aten.uniform_}
_CPU_ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu
_CPU_ATTENTION_BACKWARD = aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Cost:
    """Of one operation, or the sum of several.

    flops: multiplications and additions of matrix products and convolutions; 0 for everything else.
    bytes: read and written, each argument and result once.
    """

    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Kind:
    """What decides how fast an operation runs: its name, e.g. `convolution`, and the number format of its result."""

    name: str
    dtype: torch.dtype


@dataclass
class Operations(TorchDispatchMode):
    """Records the costs of every operation inside the context, backward and its gradients too.

    Attributes:
        costs: of each kind, every operation's in the order in which they ran.
    """

    costs: dict[Kind, list[Cost]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        results, arguments = _tensors(result), _tensors((args, kwargs))
        # `prim` holds questions about tensors, e.g. where they are
        costs_nothing = func.namespace != "aten" or func.is_view or func.overloadpacket in _FREE
        if not costs_nothing and (results or arguments):
            kind = Kind(func.overloadpacket.__name__, (results or arguments)[0].dtype)
            cost = Cost(_flops(func, args, kwargs or {}, result), _bytes(func, args, kwargs or {}, arguments, results))
            self.costs.setdefault(kind, []).append(cost)
        return result

    @property
    def total(self) -> Cost:
        return sum((cost for costs in self.costs.values() for cost in costs), Cost())


def _flops(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    packet = func.overloadpacket
    # PyTorch's table of formulas lacks the CPU's fused attention
    if packet is _CPU_ATTENTION:
        return sdpa_flop_count(*(x.shape for x in args[:3]))
    if packet is _CPU_ATTENTION_BACKWARD:
        return sdpa_backward_flop_count(*(x.shape for x in args[:4]))
    return flop_registry[packet](*args, **kwargs, out_val=result) if packet in flop_registry else 0


def _bytes(func: Any, args: Any, kwargs: Any, arguments: list[Tensor], results: list[Tensor]) -> int:
    """Arguments are read, what the schema says is written is written, and so are results that are no argument."""
    held = {tensor.untyped_storage()._cdata for tensor in arguments}
    if func.overloadpacket in _OVERWRITING:
        arguments = arguments[1:]
    made = [tensor for tensor in results if tensor.untyped_storage()._cdata not in held]
    return sum(map(_size, [*arguments, *_written(func, args, kwargs), *made]))


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The arguments that an operation changes in place."""
    given = dict(enumerate(args)) | kwargs
    changed = []
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            changed += _tensors(given.get(index, given.get(argument.name)))
    return changed


def _size(tensor: Tensor) -> int:
    """Bytes of a tensor; what `expand` repeats is there once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
