"""How devices are told to compute; a GPU's settings can be made where there is none."""

from __future__ import annotations

import pytest
import torch

from models.device import choose_algorithms, fastest_layout, prepare, resolve_precision

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


@pytest.mark.parametrize(
    ("capability", "questions", "dtype", "layout"),
    [
        ("AVX512", {"_is_avx512_bf16_supported": True}, torch.bfloat16, torch.channels_last),
        ("AVX512", {"_is_amx_tile_supported": True}, torch.bfloat16, torch.channels_last),
        ("AVX512", {}, torch.float32, torch.contiguous_format),
        ("AVX2", {}, torch.float32, torch.contiguous_format),
        # PyTorch was told to use less than there is
        ("AVX2", {"_is_avx512_bf16_supported": True}, torch.float32, torch.contiguous_format),
    ],
)
@pytest.mark.parametrize("unasked", [None, "_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_a_cpu_computes_by_what_is_found_in_it(monkeypatch, capability, questions, dtype, layout, unasked):
    """`unasked`: some versions of PyTorch lack one of the questions."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: questions.get(name, False), raising=False)
    if unasked and not questions.get(unasked):
        monkeypatch.delattr(torch.cpu, unasked)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) is dtype
    assert fastest_layout(cpu) is layout
    weight = prepare(torch.nn.Conv2d(4, 6, 3), cpu).weight
    assert weight.is_contiguous(memory_format=layout)
