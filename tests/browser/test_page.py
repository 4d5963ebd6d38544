"""A person's way through the web page with both systems, in Chromium (make test-browser)."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.synthetic.layout import Request, draw_views
from tests.pages import Served, served
from tests.runs import NUM_STEPS, save_run, tiny_config

if not os.environ.get("STEPPOSE_BROWSER"):
    pytest.skip("needs Gradio and a browser: make test-browser", allow_module_level=True)

PATIENCE = 30_000  # milliseconds; a busy machine is slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SYSTEMS = ("nted", "dptn")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a tiny NTED of 64x48 and a tiny DPTN of 128x88, or of the models that STEPPOSE_MODELS names."""
    folder = tmp_path_factory.mktemp("page")
    models = os.environ.get("STEPPOSE_MODELS", "").split()
    if not models:
        sizes = {"nted": [], "dptn": ["data.image_size=[128,88]"]}
        for system, size in sizes.items():
            save_run(folder / system, tiny_config(system, folder / "nowhere", *size))
        models = [str(folder / system) for system in SYSTEMS]
    with served(folder, *(word for model in models for word in ("--model", model))) as page:
        yield page
        assert "Traceback" not in page.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        rebound = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", rebound])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    with opened(browser, server.url) as page:
        yield page


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A wide photograph with a person on the right, and where the joints are in it."""
    _, image, joints = next(draw_views(Request(2, 4, 99, (512, 352)), 1, [3]))
    scene = np.full((600, 900, 3), (150, 190, 210), np.uint8)
    scene[500:] = (120, 140, 90)
    place = scene[60:572, 500:852]
    person = (image < 250).any(axis=2)
    place[person] = image[person]
    file = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(scene).save(file)
    return file, joints + np.array([500, 60])


class opened:
    """A fresh visitor; on leaving, nothing may have been asked of another host and no script may have failed."""

    def __init__(self, browser: Any, url: str, width: int = 1280) -> None:
        self.context, self.url = browser.new_context(viewport={"width": width, "height": 1100}), url
        self.outside: list[str] = []
        self.failures: list[str] = []

    def __enter__(self) -> Any:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        page.on("pageerror", lambda error: self.failures.append(str(error)))
        page.on("console", lambda line: self.failures.append(line.text) if "Error" in line.text else None)
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


def pixels(page: Any, name: str, number: int = 0) -> np.ndarray:
    """A picture inside a component."""
    source = page.locator(f"#{name} img").nth(number).get_attribute("src")
    return np.array(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def press_and_wait(page: Any, button: str, output: str) -> np.ndarray:
    """Press, wait for a finished picture after one that was not or is another, and give it."""
    page.evaluate("name => document.querySelector(`#${name} .result`)?.setAttribute('data-done', 'old')", output)
    page.click(f"#{button}")
    page.wait_for_selector(f"#{output} .result[data-done=true]")
    return pixels(page, output)


def choose(page: Any, gallery: str, index: int) -> None:
    page.locator(f"#{gallery} button").nth(index).click()
    page.wait_for_function(
        "([name, index]) => document.querySelector(`#${name} [data-index='${index}'][aria-pressed=true]`)",
        arg=[gallery, index],
    )
    page.wait_for_timeout(500)


def choose_model(page: Any, number: int) -> None:
    page.click("#model input")
    with page.expect_response(lambda response: "queue/join" in response.url):
        page.get_by_role("option").nth(number).click()
    page.wait_for_timeout(2000)  # people of models of one size are the same, so nothing may change to wait for


def upload(page: Any, button: str, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click(f"#{button}")
    chooser.value.set_files(str(path))


def joints_of(page: Any, name: str) -> dict[int, tuple[float, float]]:
    """Joints in an editor by number, in its picture's pixels."""
    read = "c => c.map(e => ['joint', 'cx', 'cy'].map(a => e.getAttribute(a) ?? e.dataset[a]))"
    return {int(joint): (float(x), float(y)) for joint, x, y in page.locator(f"#{name} circle").evaluate_all(read)}


def drag(page: Any, name: str, joint: int, to: tuple[float, float]) -> None:
    """Drag a joint to a place in the pixels of the editor's picture."""
    box = page.locator(f"#{name} svg").bounding_box()
    left, top, width, _ = map(float, page.locator(f"#{name} svg").get_attribute("viewBox").split())
    start = page.locator(f"#{name} [data-joint='{joint}']").bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    scale = box["width"] / width
    page.mouse.move(box["x"] + (to[0] - left) * scale, box["y"] + (to[1] - top) * scale, steps=3)
    page.mouse.up()
    page.wait_for_timeout(30)


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("STEPPOSE_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("number", [0, 1], ids=SYSTEMS)
def test_a_person_uploads_drags_draws_mixes_and_looks_inside(page, number, photo):
    if number:
        choose_model(page, number)
    chosen = press_and_wait(page, "draw", "drawn")
    shoot(page, f"{SYSTEMS[number]}-draw")

    file, joints = photo
    upload(page, "upload", file)
    page.wait_for_selector("#person circle")
    shoot(page, f"{SYSTEMS[number]}-uploaded")
    for joint, place in enumerate(joints):
        drag(page, "person", joint, tuple(place) if np.isfinite(place).all() else (-40, 20))
    now = joints_of(page, "person")
    assert sorted(now) == [joint for joint in range(18) if np.isfinite(joints[joint]).all()]
    assert max(np.abs(np.array(place) - joints[joint]).max() for joint, place in now.items()) < 3
    shoot(page, f"{SYSTEMS[number]}-dragged")
    own = press_and_wait(page, "draw", "drawn")
    assert (own != chosen).any()
    seen = pixels(page, "drawn", 1)
    assert (seen[:, :8] == seen[0, 0]).all(axis=2).mean() < 1 and seen.std() > 30, "the person, cropped"
    assert len(page.locator("#drawn figcaption", has_text=re.compile(r"^step \d")).all()) >= NUM_STEPS["dptn"]
    shoot(page, f"{SYSTEMS[number]}-own")

    choose(page, "poses", 0)
    first, (x, y) = joints_of(page, "skeleton"), joints_of(page, "skeleton")[4]
    drag(page, "skeleton", 4, (x - 6, y - 9))
    assert joints_of(page, "skeleton")[4] != (x, y)
    assert {**joints_of(page, "skeleton"), 4: (x, y)} == first
    assert (press_and_wait(page, "draw", "drawn") != own).any()

    page.get_by_role("tab", name="Mix").click()
    choose(page, "second-people", 2)
    mixed = press_and_wait(page, "mix", "mixed")
    assert (mixed != own).any() and "of 3 steps" in page.inner_text("#mixed").replace("4", "3")
    shoot(page, f"{SYSTEMS[number]}-mix")

    page.get_by_role("tab", name="Inside").click()
    page.click("#look")
    page.wait_for_selector("#inside-reads img")
    reads = page.locator("#inside-reads img").get_attribute("src")
    page.locator("#inside-target img").click(position={"x": 20, "y": 30})
    page.wait_for_function("old => document.querySelector('#inside-reads img').src != old", arg=reads)
    shoot(page, f"{SYSTEMS[number]}-inside")


@pytest.mark.parametrize("number", [0, 1], ids=SYSTEMS)
def test_a_person_keeps_a_photograph_adds_another_and_sees_them_move(page, number):
    if number:
        choose_model(page, number)
    choose(page, "people", 1)
    alone = press_and_wait(page, "draw", "drawn")
    page.click("#keep")
    page.wait_for_selector("#kept img")
    choose(page, "people", 2)
    both = press_and_wait(page, "draw", "drawn")
    assert (both != alone).any()
    assert page.locator("#drawn figcaption", has_text="the person").count() == 2
    shoot(page, f"{SYSTEMS[number]}-kept")
    page.get_by_role("tab", name="Motion").click()
    page.get_by_label("turn").check()
    page.click("#animate")
    page.wait_for_selector("#moved .result[data-done=true]")
    source = page.locator("#moved img").get_attribute("src")
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as moving:
        assert moving.format == "WEBP" and moving.n_frames > 24
    assert "turn" in page.inner_text("#moved figcaption")
    shoot(page, f"{SYSTEMS[number]}-motion")
    page.click("#forget")
    page.wait_for_selector("#kept img", state="detached")


def test_what_was_uploaded_and_dragged_stays_when_the_model_changes(page, photo):
    choose(page, "poses", 3)
    drag(page, "skeleton", 4, (20, 20))
    upload(page, "upload", photo[0])
    page.wait_for_selector("#person circle")
    drag(page, "person", 0, (700, 100))
    before = joints_of(page, "person"), joints_of(page, "skeleton")
    small = press_and_wait(page, "draw", "drawn")
    choose_model(page, 1)
    assert (joints_of(page, "person"), joints_of(page, "skeleton")) == before
    large = press_and_wait(page, "draw", "drawn")
    assert large.shape != small.shape or (large != small).any()
    assert page.locator("#model input").input_value() in page.inner_text("#drawn")
    choose_model(page, 0)
    assert (press_and_wait(page, "draw", "drawn") == small).all()


def test_one_can_zoom_into_the_photograph_to_drag_what_is_small(page, photo):
    upload(page, "upload", photo[0])
    page.wait_for_selector("#person circle")
    for joint in range(18):
        drag(page, "person", joint, (700 + 3 * joint, 100 + 2 * joint))
    small, before = page.locator("#person image").bounding_box(), joints_of(page, "person")
    page.get_by_role("button", name="zoom in").click()
    assert joints_of(page, "person") == before
    assert page.locator("#person image").bounding_box()["width"] > 4 * small["width"]
    drag(page, "person", 3, (720, 95))
    assert np.abs(np.array(joints_of(page, "person")[3]) - (720, 95)).max() < 0.5
    shoot(page, "zoomed")
    page.get_by_role("button", name="whole picture").click()
    assert abs(page.locator("#person image").bounding_box()["width"] - small["width"]) < 1


def test_a_joint_that_is_missing_can_be_put_back(page):
    drag(page, "skeleton", 10, (-50, 10))
    assert 10 not in joints_of(page, "skeleton")
    page.get_by_role("button", name="+ right ankle").click()
    *_, width, height = map(float, page.locator("#skeleton svg").get_attribute("viewBox").split())
    assert joints_of(page, "skeleton")[10] == (width / 2, height / 2)


def test_keypoints_and_photographs_of_poses_can_be_uploaded(page, photo, tmp_path):
    (tmp_path / "pose.txt").write_text("".join(f"{100 + 3 * i} {20 + 10 * i}\n" for i in range(18)))
    before = press_and_wait(page, "draw", "drawn")
    upload(page, "upload-pose", tmp_path / "pose.txt")
    page.wait_for_function("document.querySelectorAll('#skeleton circle').length === 18")
    assert (press_and_wait(page, "draw", "drawn") != before).any()
    upload(page, "upload-pose", photo[0])
    page.wait_for_selector("#skeleton image")
    drag(page, "skeleton", 0, (700, 100))
    assert press_and_wait(page, "draw", "drawn").shape == before.shape
    shoot(page, "photographed-pose")


def test_a_bad_upload_gets_a_sentence_and_the_page_goes_on(page, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.new("1", (6000, 6000)).save(tmp_path / "large.png")
    (tmp_path / "poem.txt").write_text("a rose is a rose\n" * 18)
    cases = [
        ("upload", "text.png", "no JPEG, PNG or WebP"),
        ("upload", "large.png", "over 25 megapixels"),
        ("upload", "poem.txt", "upload a photograph first"),
        ("upload-pose", "poem.txt", "these are no keypoints"),
    ]
    for button, name, sentence in cases:
        upload(page, button, tmp_path / name)
        page.get_by_text(re.compile(sentence)).first.wait_for()
        assert str(tmp_path) not in page.inner_text("body") and "Traceback" not in page.inner_text("body")
    shoot(page, "refused")
    press_and_wait(page, "draw", "drawn")


def test_two_people_at_once_both_get_their_own(browser, server):
    with opened(browser, server.url) as first, opened(browser, server.url) as second:
        choose(second, "people", 1)
        alone = [press_and_wait(visitor, "draw", "drawn") for visitor in (first, second)]
        assert (alone[0] != alone[1]).any()
        for visitor in (first, second):
            visitor.evaluate("document.querySelector('#drawn .result').setAttribute('data-done', 'old')")
            visitor.click("#draw")
        for visitor, expected in zip((first, second), alone, strict=True):
            visitor.wait_for_selector("#drawn .result[data-done=true]")
            assert (pixels(visitor, "drawn") == expected).all()


def test_the_page_fits_a_telephone(browser, server):
    with opened(browser, server.url, width=400) as page:
        press_and_wait(page, "draw", "drawn")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        shoot(page, "telephone")


def test_another_site_in_the_same_browser_can_do_nothing(browser, server):
    """A page of another port, and one whose name was rebound to this machine."""
    page = browser.new_page()
    assert page.goto(f"http://rebound.example:{server.port}/").status == 403
    before = sorted(server.temporary.rglob("*"))
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{other.server_port}/tests/")
        sent = page.evaluate(
            """async (url) => {
              const form = new FormData();
              form.append('files', new Blob(['content']), 'a.png');
              await fetch(url + 'gradio_api/upload', {method: 'POST', mode: 'no-cors', body: form});
              return await fetch(url + 'config').then((answer) => answer.ok ? 'read' : 'refused', () => 'refused');
            }""",
            server.url,
        )
        other.shutdown()
    page.close()
    assert sent == "refused" and sorted(server.temporary.rglob("*")) == before
