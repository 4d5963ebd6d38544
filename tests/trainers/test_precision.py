"""How a GPU is told to compute; the settings can be made where there is none."""

from __future__ import annotations

import pytest
import torch

from trainers.precision import choose_algorithms

FUSED = ("flash", "mem_efficient", "cudnn")


@pytest.fixture
def settings(monkeypatch):
    """Reads the settings, which are the process's; puts them back."""
    matmul, cudnn, memory = torch.backends.cuda.matmul, torch.backends.cudnn, torch.utils.deterministic
    before = matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield lambda: (
        matmul.allow_tf32,
        cudnn.deterministic,
        cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
        any(getattr(torch.backends.cuda, f"{name}_sdp_enabled")() for name in FUSED),
    )
    matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = before
    torch.use_deterministic_algorithms(False)
    for name in FUSED:
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(True)


@pytest.mark.parametrize(
    ("dtype", "deterministic", "expected"),
    [
        (torch.bfloat16, True, (True, True, False, True, False)),
        (torch.bfloat16, False, (True, False, True, False, True)),
        (torch.float32, True, (False, True, False, True, False)),
    ],
)
def test_a_gpu_is_told_to_be_exact_or_fast(settings, dtype, deterministic, expected):
    choose_algorithms(torch.device("cuda"), dtype, deterministic)
    assert settings() == expected


def test_a_cpu_is_told_nothing(settings):
    before = settings()
    choose_algorithms(torch.device("cpu"), torch.bfloat16, True)
    assert settings() == before
