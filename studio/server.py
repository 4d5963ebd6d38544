"""The page's server: it listens to this machine, keeps nothing, and lets nobody in but its own page."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import Any

from data.detectors import Detector
from studio.choices import Choices
from studio.uploads import MAX_BYTES

LOG = logging.getLogger(__name__)
MAX_WAITING = 32
MAX_VISITORS = 64  # whose photographs are kept in memory; the one seen longest ago is forgotten first


def serve(choices: Choices, detector: Detector | None, address: tuple[str, int]) -> None:
    """Serve the page of some models until Ctrl-C or SIGTERM.

    Args:
        detector: finds joints in uploaded photographs; None: they start as those of a standing person.
        address: host and port to listen on.

    Raises:
        ValueError: the first model or its people cannot be had, or nobody can listen there.
    """
    check_address(*address)
    # as Ctrl-C, also where a script started it with that ignored: the temporary files are deleted on the way out
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="steppose-", ignore_cleanup_errors=True) as temporary:
        prepare_environment(temporary, address[0])
        app = launch(choices, detector, address, Path(temporary))
        LOG.info("%s: %s (Ctrl-C stops)", ", ".join(choices.names), app.local_url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            app.close(verbose=False)


def check_address(host: str, port: int) -> None:
    """Raises ValueError where nobody could listen on an address."""
    if not 0 < port < 65536:
        raise ValueError(f"--port {port} is outside of 1 to 65535")
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"port {port} of {host} cannot be had ({reason}); choose another --port or --host") from None


def prepare_environment(temporary: str, host: str) -> None:
    """What Gradio reads from the environment, before it is imported: its folder, no reports home, no proxy for here."""
    excepted = urllib.request.getproxies().get("no")
    os.environ["no_proxy"] = ",".join(filter(None, [excepted, "localhost", "127.0.0.1", "::1", host]))
    os.environ["GRADIO_TEMP_DIR"] = temporary
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its requests to itself are no news


def launch(choices: Choices, detector: Detector | None, address: tuple[str, int], temporary: Path) -> Any:
    """Start the page's Gradio app on a thread of its own."""
    import gradio as gr
    from starlette.middleware import Middleware

    from studio.components import CSS
    from studio.gate import Gate
    from studio.layout import build
    from studio.page import Page

    app = build(Page(choices, detector)).queue(max_size=MAX_WAITING)
    app.launch(
        server_name=f"[{address[0]}]" if ":" in address[0] else address[0],
        server_port=address[1],
        share=False,
        quiet=True,
        max_file_size=MAX_BYTES,
        state_session_capacity=MAX_VISITORS,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        prevent_thread_lock=True,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=CSS,
        app_kwargs={
            "middleware": [Middleware(Gate, host=address[0], folder=temporary)],
            "docs_url": None,
            "redoc_url": None,
        },
    )
    return app
