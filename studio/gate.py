"""Who may use the page, and how much they may send: stands before every request."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from studio.uploads import MAX_BYTES

LOG = logging.getLogger(__name__)
API = "/gradio_api"
UPLOAD = f"{API}/upload"
# what a browser asks for on the way through the page; Gradio offers far more
_READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|(assets|static)/.+)"
    rf"|{API}/(queue/data|upload_progress|startup-events|heartbeat/.+)"
)
_SENT = re.compile(rf"{UPLOAD}|{API}/(queue/join|cancel|reset)")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:/@\[\]]+)(?::\d+)?")
# one photograph and its envelope; other requests are a few kilobytes
MAX_BODY, MAX_UPLOAD_BODY = 1_000_000, MAX_BYTES + 10_000
MAX_FILES, MAX_TOTAL = 64, 64_000_000
MAX_AGE = 600  # seconds after which an upload that nobody used is deleted
# What a browser may load: this server alone. Gradio compiles templates in the browser, hence eval and inline.
_CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": _CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Refused(Exception):
    """A request that is not let through: an HTTP status and a sentence."""


TOO_MANY = 507, f"too many uploads; please try again in {MAX_AGE // 60} minutes"


class Gate:
    """An ASGI application round another: refuses other names, other sites and too much, and adds safe headers.

    Args:
        host: what the server listens on.
        folder: where uploads are put.
    """

    def __init__(self, app: Any, host: str, folder: Path) -> None:
        self.app, self.folder = app, folder
        self.names = {"localhost", "127.0.0.1", "::1", host.lower()}
        self.takes_addresses = host in ("0.0.0.0", "::")
        if self.takes_addresses:
            self.names.add(socket.gethostname().lower())
        self._arriving = 0  # bytes of uploads in memory
        self._one_by_one = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        body, answer = _Body(receive), _Answer(send)
        try:
            self._check(scope)
            await (self._upload if scope["path"] == UPLOAD else self.app)(scope, body, answer)
        except Refused as refused:
            await body.skip()
            await answer.say(*refused.args)
        # Gradio fails in many ways on what is not from its own page; none of them is worth a trace
        except Exception as error:
            if os.environ.get("STEPPOSE_TRACEBACK"):
                raise
            LOG.warning("a request that the page does not send: %s", type(error).__name__)
            await answer.say(400, "this is not what the page sends")

    def _check(self, scope: Any) -> None:
        """Raises Refused, by what stands before the body."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        if scope["type"] != "http" or len(hosts) != 1 or not self._is_own(_host_name(hosts[0])):
            raise Refused(403, "the page is not served under this name")
        _check_site(scope, headers)
        method, path = scope["method"], scope["path"]
        if not (_READ if method in ("GET", "HEAD") else _SENT).fullmatch(path):
            raise Refused(404, "there is no such page")
        if method == "POST":
            _check_length(headers.get("content-length", ""), MAX_UPLOAD_BODY if path == UPLOAD else MAX_BODY)

    def _is_own(self, name: str) -> bool:
        """Whether a name is no other's. Names are rebound, addresses cannot be."""
        return name in self.names or (self.takes_addresses and _is_address(name))

    async def _upload(self, scope: Any, body: _Body, answer: _Answer) -> None:
        """An upload is taken into memory, counted, and put on the disk while no other is; raises Refused."""
        if self._arriving > MAX_TOTAL:
            raise Refused(*TOO_MANY)
        self._arriving += MAX_UPLOAD_BODY
        try:
            content = await body.read()
            async with self._one_by_one:
                kept = _kept(self.folder)
                if len(kept) + content.count(b"filename=") > MAX_FILES or sum(kept) + len(content) > MAX_TOTAL:
                    raise Refused(*TOO_MANY)
                await self.app(scope, _Body(_once(content)), answer)
        finally:
            self._arriving -= MAX_UPLOAD_BODY


class _Body:
    """The body of a request: an ASGI `receive` that knows whether all of it has come."""

    def __init__(self, receive: Any) -> None:
        self._receive, self._is_whole = receive, False

    async def __call__(self) -> Any:
        message = await self._receive()
        self._is_whole = not message.get("more_body")
        return message

    async def read(self) -> bytes:
        """All of it."""
        parts = []
        while not self._is_whole:
            parts.append((await self()).get("body", b""))
        return b"".join(parts)

    async def skip(self) -> None:
        """Throw it away, up to a length: a browser that is still sending would not see the answer."""
        length = 0
        while not self._is_whole and length < 2 * MAX_UPLOAD_BODY:
            length += len((await self()).get("body", b""))


class _Answer:
    """An ASGI `send` that adds safe headers and knows whether an answer has begun."""

    def __init__(self, send: Any) -> None:
        self._send, self._has_begun = send, False

    async def __call__(self, message: Any) -> None:
        self._has_begun = True
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message["headers"] = [*message.get("headers", []), *extra]
        await self._send(message)

    async def say(self, status: int, text: str) -> None:
        """A sentence, if nothing has been answered yet."""
        if self._has_begun:
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": text.encode()})


def _once(content: bytes) -> Any:
    """An ASGI `receive` of one body; then the sender is gone."""
    messages = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    return receive


def _check_length(length: str, most: int) -> None:
    """Raises Refused for a body of a length that is not said, or too much."""
    if not length.isdecimal():
        raise Refused(411, "say how long the request is")
    if int(length) > most:
        raise Refused(413, f"this is over {most // 1_000_000} MB; please choose a smaller file")


def _check_site(scope: Any, headers: dict[str, str]) -> None:
    """Only the page itself may send and read; others may link to it. Raises Refused."""
    origin = headers.get("origin")
    is_link = (
        (scope["method"], scope["path"]) == ("GET", "/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    host = headers["host"].lower()
    is_other = origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")
    if is_other or not (is_link or headers.get("sec-fetch-site", "none") in ("none", "same-origin")):
        raise Refused(403, "another site may not use this page")


def _kept(folder: Path) -> list[int]:
    """Sizes of the files that lie in a folder, once files and empty folders that are too old are deleted."""
    sizes = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # used and deleted meanwhile, or a folder that is not empty
            state, is_folder = path.stat(), path.is_dir()
            is_old = time.time() - state.st_mtime > MAX_AGE
            if is_old:
                path.rmdir() if is_folder else path.unlink()
            elif not is_folder:
                sizes.append(state.st_size)
    return sizes


def _host_name(host: str) -> str:
    """The name in a `Host` header, lower case, without port and brackets; "" where it is none."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower() if match else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
