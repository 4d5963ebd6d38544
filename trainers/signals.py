"""A run that is asked to stop saves itself first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from data.loader import STOP_SIGNALS


class StopRequest:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self._signalled = False

    @property
    def received(self) -> bool:
        """Whether it is time to stop."""
        return self._signalled

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Signal handler; a second Ctrl-C stops at once, as usual."""
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signalled = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Collect what asks to stop instead of dying of it; the old handlers come back afterwards."""
    request = StopRequest()
    # a signal that nohup has set to be ignored stays so
    before = {number: handler for number in STOP_SIGNALS if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, request.receive)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
