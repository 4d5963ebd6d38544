from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def commands_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests start runs on the CPU, as they do: two processes cannot share one GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True)
def started_from_a_terminal() -> Iterator[None]:
    """SIGHUP ends what these tests start, also where they were started by `nohup` themselves."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
