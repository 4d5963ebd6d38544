"""A run's folder is written by one training at a time."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder; the system lets go of it when this process ends, however it does.

    Raises:
        ValueError: another process holds it; names that one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            # not flock: loader processes would inherit it, and hold it some seconds longer than a killed training
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"{folder} is in use by {file.read().strip() or 'another process'}; "
                "wait for its end, stop it, or use another --name"
            ) from None
        except OSError as error:  # some network file systems have no locks
            LOG.warning("%s cannot be locked (%s); see to it that no other training has this --name", folder, error)
        if not path.exists() or not os.path.samefile(path, file.fileno()):
            raise ValueError(f"{folder} was set aside a moment ago by another process; run the same command again")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
