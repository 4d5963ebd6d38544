"""The web page's server, from outside: who may use it, how much they may send, and what it says."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.server import check_address
from tests.pages import PAGE, Served, served
from tests.runs import save_run, tiny_config

pytest.importorskip("gradio")

API = "/gradio_api"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def runs(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    save_run(folder / "tiny", tiny_config("nted", dataset))
    return folder


@pytest.fixture(scope="module")
def page(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page that was told to serve as localhost; nothing that a test sends it may leave a trace in its log."""
    with served(tmp_path_factory.mktemp("page"), "--model", runs / "tiny") as page:
        yield page
        assert "Traceback" not in page.log.read_text()


def upload(page: Served, *contents: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.png"\r\n\r\n'
    parts = [head % number + content + b"\r\n" for number, content in enumerate(contents)]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    return page.ask(f"{API}/upload", b"".join(parts) + b"--x--\r\n", form | (headers or {}))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost:{port}", "[::1]:{port}"])
def test_the_page_answers_to_its_own_names(page, host):
    assert page.ask(headers={"Host": host.format(port=page.port)})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:{port}",
        "127.0.0.1.rebound.example",
        "localhost.example",
        "192.0.2.1",
        "",
        "a@localhost",
    ],
)
def test_another_name_is_refused_wherever_it_asks(page, host):
    """A name that was rebound to this machine makes a browser take the page for that name's own."""
    headers = {"Host": host.format(port=page.port)}
    for path in ("/", "/config", f"{API}/info", f"{API}/queue/data?session_hash=a", f"{API}/file=/etc/passwd"):
        status, text = page.ask(path, headers=headers)
        assert status == 403 and b"root:" not in text
    assert page.ask(f"{API}/queue/join", b"{}", headers | JSON)[0] == 403
    assert upload(page, b"0", headers=headers)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://other.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_site_can_neither_send_nor_read(page, headers):
    files = sorted(page.temporary.rglob("*"))
    assert upload(page, b"0", headers=headers)[0] == 403
    for path in ("/queue/join", "/run/predict", "/cancel", "/reset", "/call/draw"):
        assert page.ask(API + path, b"{}", headers | JSON)[0] in (403, 404)
    for path in ("/config", f"{API}/queue/data?session_hash=a", f"{API}/file=/etc/passwd", f"{API}/heartbeat/a"):
        assert page.ask(path, headers=headers)[0] == 403
    assert sorted(page.temporary.rglob("*")) == files


def test_the_page_itself_and_a_link_to_it_are_let_through(page):
    own = {"Host": f"localhost:{page.port}", "Origin": f"http://localhost:{page.port}", "Sec-Fetch-Site": "same-origin"}
    assert upload(page, b"0", headers=own)[0] == 200
    assert page.ask("/config", headers=own)[0] == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert page.ask("/", headers=link)[0] == 200
    assert page.ask("/", headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "proxy=http://127.0.0.1:1/",
        "info",
        "deep_link",
        "openapi.json",
        "vibe-code",
        "process_recording",
        "runs",
        "api/draw",
    ],
)
def test_what_the_page_does_not_use_is_not_there(page, path):
    assert page.ask(f"{API}/{path}")[0] == page.ask(f"{API}/{path}", b"{}", JSON)[0] == 404


@pytest.mark.parametrize("path", ["config/base.yaml", PAGE, "../etc/passwd", "/etc/passwd", "%2Fetc%2Fpasswd"])
def test_no_file_of_the_server_can_be_had(page, path):
    assert page.ask(f"{API}/file={path}")[0] in (403, 404)


def test_a_single_upload_over_8_megabytes_is_not_taken(page):
    files = sorted(page.temporary.rglob("*"))
    status, text = upload(page, b"0" * 8_200_000)
    assert status == 413 and b"8 MB" in text
    assert page.ask(f"{API}/upload", iter([b"0" * 100]), method="POST")[0] == 411  # chunks without an end in sight
    assert page.ask(f"{API}/queue/join", b"[" * 1_100_000, JSON)[0] == 413
    assert sorted(page.temporary.rglob("*")) == files


def test_a_whole_life_of_a_server(runs, tmp_path):
    """Told to serve everywhere, it answers to every address, keeps a quota, and leaves nothing behind."""
    with served(tmp_path, "--model", runs / "tiny", "--host", "0.0.0.0") as page:
        own = socket.gethostname()
        for host in ("localhost", "0.0.0.0", "192.0.2.1:80", own):
            assert page.ask(headers={"Host": host})[0] == 200
        for host in ("rebound.example", f"{own}.rebound.example"):
            assert page.ask(headers={"Host": host})[0] == 403

        (folder,) = page.temporary.iterdir()
        assert folder.name.startswith("steppose-") and folder.stat().st_mode & 0o077 == 0
        large, small = (
            [f"{length} {number}".encode().ljust(length) for number in range(57)] for length in (7_900_000, 9)
        )
        assert [upload(page, content)[0] for content in large[:9]] == [200] * 8 + [507], "64 MB in all"
        assert upload(page, *small)[0] == 507, "64 files in all, in one request too"
        assert [upload(page, content)[0] for content in small] == [200] * 56 + [507]
        kept = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        assert len(kept) == 64 and sum(kept) <= 64_000_000
        assert b"too many uploads" in upload(page, small[0])[1] and page.ask()[0] == 200
    assert list(page.temporary.iterdir()) == [] and page.process.returncode == 0


def test_a_port_that_is_taken_is_one_line_that_names_the_flag(runs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_page("--model", runs / "tiny", "--port", port)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert f"port {port}" in ended.stderr and "--port" in ended.stderr


def test_a_model_that_is_not_there_is_told_at_the_start(runs):
    ended = run_page("--model", runs / "tiny", "--model", runs / "tinny")
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "tinny" in ended.stderr


@pytest.mark.parametrize(
    ("host", "port", "line"),
    [
        ("127.0.0.1", 0, "--port 0 is outside"),
        ("127.0.0.1", 65536, "--port 65536"),
        ("no.such.host.invalid", 7860, "--host"),
    ],
)
def test_an_address_that_nobody_can_listen_on_is_a_line(host, port, line):
    with pytest.raises(ValueError, match=line):
        check_address(host, port)


def run_page(*flags: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PAGE, *map(str, flags)], capture_output=True, text=True, timeout=150)


WRONG = [None, -1, 1.5, "x", "[" * 5000, [[]], True]


def test_wrong_types_get_a_line_and_leave_no_trace(page):
    """Every event of the page, with a wrong value in each place and good ones in the others; and what is no event."""
    config = json.loads(page.ask("/config")[1])
    good = {part["id"]: part["props"].get("value") for part in config["components"]}
    # uploads are deleted once they are read: no file that was not uploaded may be
    foreign = page.log.with_name("foreign.png")
    foreign.write_bytes(b"content")
    meta, (folder,) = {"meta": {"_type": "gradio.FileData"}}, page.temporary.iterdir()
    paths = [str(foreign), f"{folder}/../../foreign.png"]
    files = [*paths, *({"path": path} | more for path in paths for more in ({}, meta))]
    for event in config["dependencies"]:
        values = [good.get(part) for part in event["inputs"]]
        for place, wrong in [(place, wrong) for place in range(len(values)) for wrong in [*WRONG, *files]]:
            data = [*values[:place], wrong, *values[place + 1 :]]
            assert_plain(page, {"fn_index": event["id"], "data": data, "event_data": wrong})
        assert_plain(page, {"fn_index": event["id"], "data": [], "trigger_id": 9999})
    assert foreign.read_bytes() == b"content"
    for body in ({"fn_index": 9999, "data": []}, {"fn_index": "x"}, {"data": 3}, {"fn_index": 0, "data": [1] * 99}):
        assert_plain(page, body)
    for path in ("queue/join", "cancel", "reset", "upload"):
        for body in (b"", b"[", b"\xff\xfe", b"null", b"[1]", b'{"fn_index": 0, "data": []}'):
            status, text = page.ask(f"{API}/{path}", body, JSON)
            assert b"Traceback" not in text and status < 500


def assert_plain(page: Served, body: dict) -> None:
    """The answer to an event is a result, or a sentence without a trace or a path."""
    status, text = page.ask(f"{API}/queue/join", json.dumps(body | {"session_hash": "somebody"}).encode(), JSON)
    if status == 200:
        status, text = page.ask(f"{API}/queue/data?session_hash=somebody")
        assert b"process_completed" in text
    assert status < 500 and not any(word in text for word in (b"Traceback", b"site-packages", b"root:"))
