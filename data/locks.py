"""One writer at a time: a lock on a folder that is being made, which a killed process leaves to the next."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class WriterLock:
    """Held from its making to `release`, by a file `{path}.lock` beside `path`.

    Raises:
        ValueError: another process holds it; says which.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._file = path.with_name(path.name + ".lock"), -1
        while self._file < 0:
            self._try(path)

    def _try(self, path: Path) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            raise ValueError(
                f"{path} is being written by another process ({holder or 'just started'}); wait until it has ended"
            ) from None
        if self._is_there(file):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
            self._file = file
        else:  # its holder removed it between our opening and locking it
            os.close(file)

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock up; more than once does no harm."""
        if self._file >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1
