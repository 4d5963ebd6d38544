"""Pictures with captions, as HTML: scaled by whole factors, so that small ones stay crisp."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import numpy as np

from images.pixels import resize
from images.video import encode_animation
from metrics.html import image_address

DARK = (17, 24, 39)  # what a pose is drawn on
SHOWN_HEIGHT, STEP_HEIGHT, THUMB_HEIGHT = 384, 192, 128  # about


def scaled(image: np.ndarray, height: int = SHOWN_HEIGHT) -> np.ndarray:
    """A picture about `height` high: every pixel of a small one a square, of a large one some pixels' mean."""
    if image.shape[0] > height:
        divisor = round(image.shape[0] / height)
        return resize(image, (image.shape[0] // divisor, image.shape[1] // divisor), "box")
    factor = round(height / image.shape[0])
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def picture(image: np.ndarray, height: int = SHOWN_HEIGHT, description: str = "") -> str:
    """An (H, W, 3) uint8 picture about `height` high, as HTML."""
    shown = scaled(image, height)
    size = f'width="{shown.shape[1]}" height="{shown.shape[0]}"'
    return f'<img src="{image_address(shown)}" {size} alt="{html.escape(description)}">'


def figure(image: np.ndarray, caption: str, height: int = STEP_HEIGHT) -> str:
    """A picture with its caption, as HTML."""
    return f"<figure>{picture(image, height, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"


def result(title: str, given: Sequence[tuple[np.ndarray, str]], steps: Sequence[np.ndarray], num_steps: int) -> str:
    """What was drawn so far, as HTML: the last step enlarged, what it was drawn from, and every step."""
    done = len(steps) == num_steps
    last = figure(steps[-1], f"{title}, {'finished' if done else f'step {len(steps)} of {num_steps}'}", SHOWN_HEIGHT)
    small = [figure(image, caption) for image, caption in given]
    small += [figure(image, f"step {number} of {num_steps}") for number, image in enumerate(steps, 1)]
    return panel(f'{last}<div class="small">{"".join(small)}</div>', done)


def panel(content: str, done: bool) -> str:
    """What stands where results do, as HTML; `done`: nothing more will come."""
    return f'<div class="result" data-done="{str(done).lower()}">{content}</div>'


def moving(frames: Sequence[np.ndarray], caption: str, fps: int) -> str:
    """(H, W, 3) frames as a moving picture with its caption, as HTML; the browser makes a square of every pixel."""
    data = base64.b64encode(encode_animation(frames, ".webp", round(1000 / fps))).decode()
    height, width, _ = scaled(frames[0]).shape
    image = f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{html.escape(caption)}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def blank(size: tuple[int, int]) -> np.ndarray:
    """A dark (H, W, 3) picture, to draw a pose on."""
    return np.full((*size, 3), DARK, np.uint8)
