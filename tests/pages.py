"""The web page as a process of its own, served by the real command."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PAGE = "serve.py"
PATIENCE = 150  # seconds; a busy machine is slow
NOBODY = "http://127.0.0.1:9"  # a proxy that answers nobody: whatever the server asks of the outside fails


class Served(NamedTuple):
    """A running page: its port, what it has said so far, the folder of its temporary files, and its process."""

    port: int
    log: Path
    temporary: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, path: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None, method: str = ""
    ) -> tuple[int, bytes]:
        """Status and body of the answer to a request with exactly these headers, `Host` where they name none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method or ("POST" if body is not None else "GET"), path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(folder: Path, *flags: object, port: int | None = None) -> Iterator[Served]:
    """The page with these flags, once it answers; its log and its temporary files lie in `folder`."""
    port, temporary = port or free_port(), folder / "tmp"
    temporary.mkdir(exist_ok=True)
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOBODY)
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= proxies | {name.upper(): NOBODY for name in proxies} | {"TMPDIR": str(temporary)}
    command = [sys.executable, PAGE, "--port", str(port), *map(str, flags)]
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in what a script starts in the background
    try:
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    finally:
        signal.signal(signal.SIGINT, ignored)
    page = Served(port, folder / "log", temporary, process)
    try:
        _wait_for(page)
        yield page
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(page: Served) -> None:
    end = time.monotonic() + PATIENCE
    while "Ctrl-C" not in page.log.read_text():
        assert page.process.poll() is None and time.monotonic() < end, page.log.read_text()[-2000:]
        time.sleep(0.1)
