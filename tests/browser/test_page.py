"""A person's way through the web page, in Chromium (make test-browser)."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.runs import NUM_STEPS, save_run, tiny_config

if not os.environ.get("STEPPOSE_BROWSER"):
    pytest.skip("needs Gradio and a browser: make test-browser", allow_module_level=True)

STEPS = NUM_STEPS["nted"]
PATIENCE = 30_000  # milliseconds; a busy machine is slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def url(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a tiny NTED."""
    with served("nted", dataset, tmp_path_factory.mktemp("nted")) as address:
        yield address


@pytest.fixture(scope="module")
def dptn_url(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a tiny DPTN."""
    with served("dptn", dataset, tmp_path_factory.mktemp("dptn")) as address:
        yield address


@contextmanager
def served(system: str, dataset: Path, folder: Path) -> Iterator[str]:
    """The page of a tiny model, served by the real command with no network but this machine's own."""
    save_run(folder / "tiny", tiny_config(system, dataset))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "serve.py", "--model", str(folder / "tiny"), "--port", str(port)]
    # a proxy that answers nobody: whatever the server asks of the outside fails
    nobody = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nobody, "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
    log = (folder / "log").open("w")
    with subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as server:
        address = f"http://127.0.0.1:{port}/"
        try:
            _wait(lambda: _answers(address) or server.poll() is not None, (folder / "log").read_text)
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    with opened(browser, url) as page:
        yield page


class opened:
    """A fresh visitor; on leaving, nothing may have been asked of another host and no script may have failed."""

    def __init__(self, browser: Any, url: str) -> None:
        self.context, self.url = browser.new_context(viewport={"width": 1280, "height": 1100}), url
        self.outside: list[str] = []
        self.failures: list[str] = []

    def __enter__(self) -> Any:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        page.goto(self.url)
        page.wait_for_selector("#skeleton circle")
        return page

    def __exit__(self, kind: object, *rest: object) -> None:
        self.context.close()
        if kind is None:
            assert (self.outside, self.failures) == ([], [])

    def _note(self, address: str) -> None:
        if not address.startswith((self.url, "data:", "blob:")):
            self.outside.append(address)


def _answers(address: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=2)
    except OSError:
        return False
    return True


def _wait(ready: Callable[[], bool], explain: Callable[[], str], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, explain()
        time.sleep(0.2)


def pixels(page: Any, name: str) -> np.ndarray:
    """The picture inside a component, as the browser got it."""
    source = page.locator(f"#{name} img").first.get_attribute("src")
    response = page.request.get(source)
    return np.array(Image.open(io.BytesIO(response.body())).convert("RGB"))


def press_and_wait(page: Any, button: str, output: str) -> np.ndarray:
    """Press, and wait for a finished picture that is another one than before."""
    old = page.locator(f"#{output} img").evaluate_all("images => images.map(image => image.src)")
    page.click(f"#{button}")
    page.wait_for_function(
        """([output, old]) => {
          const image = document.querySelector(`#${output} img`);
          const status = document.querySelector(`#${output}-status`);
          return image && !old.includes(image.src) && status.innerText.includes('Done');
        }""",
        arg=[output, old],
    )
    page.wait_for_timeout(200)
    return pixels(page, output)


def choose(page: Any, gallery: str, index: int) -> None:
    page.locator(f"#{gallery} button.thumbnail-item").nth(index).click()
    page.wait_for_timeout(500)


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("STEPPOSE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def joints_of(page: Any) -> list[tuple[str, str]]:
    return page.locator("#skeleton circle").evaluate_all(
        "c => c.map(e => [e.getAttribute('cx'), e.getAttribute('cy')])"
    )


def test_a_person_draws_moves_a_joint_mixes_and_looks_inside(page):
    first = press_and_wait(page, "draw", "drawn")
    assert f"step {STEPS} of {STEPS}" in page.inner_text("#drawn-status")
    choose(page, "people", 1)
    other_person = press_and_wait(page, "draw", "drawn")
    assert (first != other_person).any()

    before = joints_of(page)
    choose(page, "poses", 0)
    chosen = joints_of(page)
    assert before != chosen
    joint = page.locator("#skeleton circle").first
    box = joint.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 30, steps=4)
    page.mouse.up()
    assert joints_of(page)[0] != chosen[0] and joints_of(page)[1:] == chosen[1:]
    moved = press_and_wait(page, "draw", "drawn")
    assert (moved != other_person).any()
    shoot(page, "draw")

    page.get_by_role("tab", name="Mix").click()
    choose(page, "second-people", 2)
    page.wait_for_timeout(500)
    mixed = press_and_wait(page, "mix", "mixed")
    assert (mixed != moved).any()
    shoot(page, "mix")

    page.get_by_role("tab", name="Inside").click()
    page.click("#look")
    page.wait_for_selector("#inside-reads img")
    reads = pixels(page, "inside-reads")
    page.locator("#inside-target img").click(position={"x": 20, "y": 30})
    page.wait_for_timeout(2000)
    assert (pixels(page, "inside-reads") != reads).any()
    shoot(page, "inside")


def test_a_dptn_needs_the_keypoints_of_an_uploaded_person_and_walks_the_same_way(browser, dptn_url, tmp_path):
    Image.new("RGB", (300, 400), (200, 30, 90)).save(tmp_path / "person.jpg")
    (tmp_path / "own.txt").write_text("".join(f"{100 + 3 * i} {20 + 10 * i}\n" for i in range(18)))
    with opened(browser, dptn_url) as page:
        upload(page, "upload", tmp_path / "person.jpg")
        page.get_by_text(re.compile("upload its keypoints first")).first.wait_for()
        before = press_and_wait(page, "draw", "drawn")
        page.locator("#upload-own input[type=file]").set_input_files(str(tmp_path / "own.txt"))
        page.get_by_text("own.txt").first.wait_for()
        upload(page, "upload", tmp_path / "person.jpg")
        page.wait_for_timeout(1000)
        assert np.abs(pixels(page, "person").mean(axis=(0, 1)) - (200, 30, 90)).max() < 4
        drawn = press_and_wait(page, "draw", "drawn")
        assert (drawn != before).any()
        assert f"step {NUM_STEPS['dptn']} of {NUM_STEPS['dptn']}" in page.inner_text("#drawn-status")
        shoot(page, "dptn-draw")
        page.get_by_role("tab", name="Mix").click()
        choose(page, "second-people", 1)
        assert (press_and_wait(page, "mix", "mixed") != drawn).any()
        shoot(page, "dptn-mix")
        page.get_by_role("tab", name="Inside").click()
        page.click("#look")
        page.wait_for_selector("#inside-reads img")
        assert page.locator("#place input").input_value() == "transfer block 1"
        shoot(page, "dptn-inside")


def test_a_bad_upload_gets_a_sentence_and_the_page_goes_on(page, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.new("1", (6000, 6000)).save(tmp_path / "large.png")
    (tmp_path / "poem.txt").write_text("a rose is a rose\n" * 18)
    cases = [
        ("upload", "text.png", "no JPEG, PNG or WebP"),
        ("upload", "large.png", "over 25 megapixels"),
        ("upload-pose", "poem.txt", "these are no keypoints"),
    ]
    for button, name, sentence in cases:
        upload(page, button, tmp_path / name)
        toast = page.get_by_text(re.compile(sentence)).first
        toast.wait_for()
        assert str(tmp_path) not in page.inner_text("body") and "Traceback" not in page.inner_text("body")
    shoot(page, "refused")
    press_and_wait(page, "draw", "drawn")


def test_an_uploaded_person_and_pose_are_drawn(page, tmp_path):
    before = press_and_wait(page, "draw", "drawn")
    Image.new("RGB", (300, 400), (200, 30, 90)).save(tmp_path / "person.jpg")
    (tmp_path / "pose.txt").write_text("".join(f"{100 + 3 * i} {20 + 10 * i}\n" for i in range(18)))
    upload(page, "upload", tmp_path / "person.jpg")
    upload(page, "upload-pose", tmp_path / "pose.txt")
    page.wait_for_function("document.querySelectorAll('#skeleton circle').length === 18")
    page.wait_for_timeout(1000)
    assert np.abs(pixels(page, "person").mean(axis=(0, 1)) - (200, 30, 90)).max() < 4
    assert (press_and_wait(page, "draw", "drawn") != before).any()


def test_two_people_at_once_both_get_their_own(browser, url):
    with opened(browser, url) as first, opened(browser, url) as second:
        choose(second, "people", 1)
        alone = [press_and_wait(visitor, "draw", "drawn") for visitor in (first, second)]
        assert (alone[0] != alone[1]).any()
    with opened(browser, url) as first, opened(browser, url) as second:
        choose(second, "people", 1)
        first.click("#draw")
        second.click("#draw")
        for visitor, expected in zip((first, second), alone, strict=True):
            visitor.wait_for_function("document.querySelector('#drawn-status').innerText.includes('Done')")
            visitor.wait_for_timeout(500)
            assert (pixels(visitor, "drawn") == expected).all()


@pytest.mark.parametrize("path", ["config/base.yaml", "serve.py", "../etc/passwd", "/etc/passwd"])
def test_no_file_of_the_server_can_be_had(url, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(OSError, match=r"40\d|422"):
        opener.open(f"{url}gradio_api/file={path}", timeout=10)


def test_a_file_that_is_too_large_is_not_taken(url):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"0" * 9_000_000
    request = urllib.request.Request(
        f"{url}gradio_api/upload", body + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(OSError, match=r"413|40\d|Broken pipe|reset"):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)


def upload(page: Any, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click(f"#{button}")
    chooser.value.set_files(str(path))
