"""The page's server: one model, nothing from outside, bounded uploads."""

from __future__ import annotations

import logging
from pathlib import Path

import gradio as gr
import torch
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.allocator import keep_freed_memory
from studio.page import CSS, Page, build
from studio.people import Gallery
from studio.pipeline import StepPose
from studio.uploads import MAX_BYTES

LOG = logging.getLogger(__name__)
MAX_WAITING = 32
# What a browser may load: this server alone. Gradio compiles templates in the browser, hence eval and inline.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class SafeHeaders:
    """Adds `HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)


def serve(folder: Path, which: int | None, data_root: str | None, address: tuple[str, int], block: bool = True) -> str:
    """Load a run and serve its page until Ctrl-C (or return at once, with its address, if not to `block`).

    Raises:
        ValueError: no model, no dataset, or no such address.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        keep_freed_memory()
    model = StepPose.load(folder, which=which, device=device)
    data = model.config.data
    gallery = Gallery(data.model_copy(update={"root": data_root}) if data_root else data)
    app = build(Page(model, gallery)).queue(max_size=MAX_WAITING)
    _, url, _ = app.launch(
        server_name=address[0],
        server_port=address[1],
        share=False,
        quiet=True,
        max_file_size=MAX_BYTES,
        footer_links=[],
        enable_monitoring=False,
        ssr_mode=False,
        prevent_thread_lock=True,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=CSS,
        app_kwargs={"middleware": [Middleware(SafeHeaders)], "docs_url": None, "redoc_url": None},
    )
    LOG.info("%s, step %d, on %s: %s (Ctrl-C stops)", folder.name, model.trained_steps, device, url)
    if block:
        app.block_thread()
    return url
