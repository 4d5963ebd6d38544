"""How a device computes: number format, memory layout, compilation and algorithms, by what is found in it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import nn
from torch.backends import cuda

N = TypeVar("N", bound=nn.Module)


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`fp32`, `bf16`, or `auto`: bf16 where the device multiplies bf16 numbers in hardware, else fp32."""
    if name == "auto":
        name = "bf16" if _has_bf16_units(device) else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[name]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast to bf16, or nothing at all for fp32: torch.export cannot trace an autocast that is switched off."""
    return torch.autocast(device.type, dtype) if dtype is torch.bfloat16 else nullcontext()


def fastest_layout(device: torch.device) -> torch.memory_format:
    """What convolutions are fastest on: channels last, but on CPUs without bf16 units.

    There the gradient of a wide 3x3 convolution took 2.5 times as long with channels last (two cores with AVX2), which
    is more than its forward gains.
    """
    return torch.channels_last if _has_bf16_units(device) or device.type == "cuda" else torch.contiguous_format


def fused_attention_is_slow(device: torch.device) -> bool:
    """Whether attention in bf16 is faster as products of matrices: on CPUs without AMX, by 1.5 to 3 times."""
    return device.type == "cpu" and torch.is_autocast_enabled("cpu") and not _has_amx()


def prepare(network: N, device: torch.device, compiled: bool = False) -> N:
    """The network itself on its device, in `fastest_layout`; `compiled` for inputs whose shapes do not change."""
    network = network.to(device).to(memory_format=fastest_layout(device))  # type: ignore[call-overload]
    if compiled:
        network.compile(dynamic=False)
    return network


def choose_algorithms(device: torch.device, dtype: torch.dtype, deterministic: bool) -> None:
    """How a GPU computes, for the whole process; nothing for a CPU.

    In a bf16 run matrix products that stay in fp32 are multiplied as TF32. That is mostly Gram matrices of bf16
    features: TF32 holds bf16 numbers exactly and adds them up in fp32. It also rounds degraded images, by at most 0.1
    grey levels. Convolutions of fp32 numbers run as TF32 in any case, PyTorch's default.

    Args:
        deterministic: the same bits every time, where PyTorch has an algorithm for that; it warns where it has none.
            Otherwise cuDNN times its algorithms and takes the fastest.
    """
    if device.type != "cuda":
        return
    torch.backends.cuda.matmul.allow_tf32 = dtype is torch.bfloat16
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic
    # what cuBLAS asks for; read when it is first used
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # where it may only warn, PyTorch lets fused attention add up its gradients in any order
    for allow in (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_cudnn_sdp):
        allow(not deterministic)


def _has_bf16_units(device: torch.device) -> bool:
    """Whether it multiplies bf16 numbers many times faster than fp32: in units for matrices, or a CPU's for vectors."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and (_has_amx() or _cpu_has("_is_avx512_bf16_supported"))


@torch.compiler.assume_constant_result  # else a compiled network would break off here
def _has_amx() -> bool:
    return _cpu_has("_is_amx_tile_supported")


def _cpu_has(question: str) -> bool:
    """What `torch.cpu` knows of the processor, unless PyTorch is told to use less of it (ATEN_CPU_CAPABILITY).

    Not every version of PyTorch asks every question.
    """
    return "AVX512" in torch.backends.cpu.get_cpu_capability() and getattr(torch.cpu, question, bool)()
