from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def commands_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests start runs on the CPU, as they do: two processes cannot share one GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
