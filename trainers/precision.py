"""Which number format a device computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`fp32`, `bf16`, or `auto`: bf16 where the device multiplies bf16 matrices in hardware, else fp32."""
    if name == "auto":
        name = "bf16" if _has_bf16_matrix_units(device) else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[name]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast to bf16, or nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)


def multiply_as_tf32(device: torch.device, dtype: torch.dtype) -> None:
    """In a bf16 run, let a GPU multiply what stays in fp32 as TF32; in an fp32 run, as IEEE's. For the whole process.

    What stays is mostly Gram matrices of bf16 features: TF32 holds bf16 numbers exactly and adds them up in fp32.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = dtype is torch.bfloat16


def _has_bf16_matrix_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()
