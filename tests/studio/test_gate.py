"""Who may use the page and how much they may send, without Gradio; test_server.py asks the running server."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from studio.gate import MAX_AGE, UPLOAD, Gate

LOCAL = {"Host": "localhost:7860"}


class App:
    """Stands for Gradio: writes an upload's files, answers 200, or fails."""

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error, self.seen = folder, error, []

    async def __call__(self, scope, receive, send):
        self.seen.append(scope["path"])
        if self.error:
            raise self.error
        content = (await receive()).get("body", b"")
        for number in range(content.count(b"filename=")):
            (self.folder / f"{len(self.seen)}-{number}").write_bytes(content)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"from gradio"})


def ask(gate: Gate, method="GET", path="/", headers=None, body=b"", kind="http") -> tuple[int, bytes, dict]:
    """Status, body and headers of an answer; the request's body comes in two parts."""
    headers = {"Content-Length": str(len(body))} | LOCAL | (headers or {}) if method == "POST" else headers or LOCAL
    pairs = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    parts, sent = [body[: len(body) // 2], body[len(body) // 2 :]], []

    async def receive():
        assert parts, "the gate waits for more than there is"
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "method": method, "path": path, "headers": pairs}
    asyncio.run(gate(scope, receive, send))
    start, end = sent
    return start["status"], end["body"], {name.decode(): value.decode() for name, value in start["headers"]}


@pytest.fixture
def app(tmp_path):
    return App(tmp_path)


@pytest.fixture
def gate(app, tmp_path):
    return Gate(app, "127.0.0.1", tmp_path)


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "LocalHost:7860", 200),
        ("127.0.0.1", "[::1]:7860", 200),
        ("127.0.0.1", "rebound.example", 403),
        ("127.0.0.1", "localhost.rebound.example", 403),
        ("127.0.0.1", "a@localhost", 403),
        ("127.0.0.1", "localhost/a", 403),
        ("127.0.0.1", "192.0.2.1", 403),
        ("127.0.0.1", "", 403),
        ("127.0.0.1", None, 403),
        ("studio.example", "studio.example:7860", 200),
        ("studio.example", "other.example", 403),
        ("0.0.0.0", "192.0.2.1:7860", 200),
        ("::", "[2001:db8::1]", 200),
        ("0.0.0.0", "192.0.2.1.rebound.example", 403),
        ("0.0.0.0", socket.gethostname(), 200),
    ],
)
def test_the_page_answers_to_its_own_names_alone(host, name, status, app, tmp_path):
    gate = Gate(app, host, tmp_path)
    assert ask(gate, headers={"Host": name})[0] == status
    assert ask(gate, "POST", "/gradio_api/queue/join", {"Host": name})[0] == status
    assert len(app.seen) == (2 if status == 200 else 0)


def test_two_names_are_none(app, gate):
    assert ask(gate, headers={"Host": "localhost", "host": "rebound.example"})[0] == 403 and not app.seen


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:7860", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://localhost:7860"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost:7860.example"}, 403),
        ({"Origin": "http://127.0.0.1:7860"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", [UPLOAD, "/gradio_api/queue/join", "/config", "/gradio_api/queue/data"])
def test_another_site_can_neither_send_nor_read(more, status, path, app, gate):
    method = "POST" if path.endswith(("join", "upload")) else "GET"
    assert ask(gate, method, path, LOCAL | more)[0] == status and bool(app.seen) == (status == 200)


def test_a_link_may_lead_to_the_page_and_nowhere_else(gate):
    link = LOCAL | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert ask(gate, headers=link)[0] == 200
    assert ask(gate, path="/config", headers=link)[0] == 403
    assert ask(gate, headers=link | {"Sec-Fetch-Dest": "iframe"})[0] == 403
    assert ask(gate, headers=link | {"Sec-Fetch-Mode": "cors"})[0] == 403
    assert ask(gate, "POST", "/", link)[0] == 403


@pytest.mark.parametrize("path", ["/gradio_api/file=/etc/passwd", "/gradio_api/info", "/monitoring", "/a"])
def test_what_the_page_does_not_use_is_not_there(path, app, gate):
    assert ask(gate, path=path)[0] == ask(gate, "POST", path)[0] == 404 and not app.seen


def form(size: int, files: int = 1) -> bytes:
    return (b'filename="a"' * files).ljust(size, b"0")


def test_bodies_have_a_length_that_is_said_and_bounded(app, gate):
    assert ask(gate, "POST", UPLOAD, {"Content-Length": None})[0] == 411
    assert ask(gate, "POST", UPLOAD, {"Content-Length": "-1"})[0] == 411
    status, text, _ = ask(gate, "POST", UPLOAD, body=form(8_010_001))
    assert status == 413 and b"8 MB" in text
    assert ask(gate, "POST", "/gradio_api/queue/join", body=b"0" * 1_000_001)[0] == 413
    assert not app.seen
    assert ask(gate, "POST", UPLOAD, body=form(8_010_000))[0] == 200


def test_uploads_together_have_a_quota_of_files_and_of_bytes(gate, app):
    assert [ask(gate, "POST", UPLOAD, body=form(7_000_000))[0] for _ in range(10)] == [200] * 9 + [507]
    assert ask(gate, "POST", UPLOAD, body=form(1_000, 55))[0] == 200
    assert ask(gate, "POST", UPLOAD, body=form(1_000))[0] == 507
    assert sum(1 for _ in app.folder.iterdir()) == 64
    next(app.folder.iterdir()).unlink()
    assert ask(gate, "POST", UPLOAD, body=form(1_000, 2))[0] == 507
    assert ask(gate, "POST", UPLOAD, body=form(1_000, 1))[0] == 200


def test_uploads_that_nobody_used_are_deleted_after_a_while(gate, app):
    assert ask(gate, "POST", UPLOAD, body=form(1_000, 64))[0] == 200
    old, new, *_ = sorted(app.folder.iterdir())
    empty, full = (app.folder / name for name in ("empty", "full"))
    (full / "fresh").mkdir(parents=True)
    empty.mkdir()
    for file, age in ((old, MAX_AGE + 60), (new, MAX_AGE - 60), (empty, MAX_AGE + 60), (full, MAX_AGE + 60)):
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))
    assert ask(gate, "POST", UPLOAD, body=form(1_000))[0] == 200
    assert not old.exists() and new.exists() and not empty.exists() and full.exists()


def test_every_answer_has_safe_headers(gate):
    for headers in (LOCAL, {"Host": "rebound.example"}):
        _, _, given = ask(gate, headers=headers)
        assert (
            given["x-content-type-options"] == "nosniff"
            and "frame-ancestors 'self'" in given["content-security-policy"]
        )


def test_what_breaks_gradio_is_a_line_for_both_sides(tmp_path, caplog, monkeypatch):
    gate = Gate(App(tmp_path, KeyError("secret")), "127.0.0.1", tmp_path)
    status, text, _ = ask(gate)
    assert (status, text) == (400, b"this is not what the page sends")
    assert [record.getMessage() for record in caplog.records] == ["a request that the page does not send: KeyError"]
    assert caplog.records[0].exc_info is None
    monkeypatch.setenv("STEPPOSE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        ask(gate)
