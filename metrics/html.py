"""Pages from `templates/`: each is one file that loads nothing from outside."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from images.pixels import Pixels
from images.writing import encode_image

TINY = 1e-4  # below this numbers are written with a power of ten
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def render(template: str, **parts: Any) -> str:
    """A page; text is escaped there, so callers pass it as it is."""
    return _TEMPLATES.get_template(template).render(**parts)


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if 0 < abs(value) < TINY:
        return f"{value:.{digits - 1}g}"
    size = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(0, digits - 1 - size)}f}" if value else "0"


def interval(span: Sequence[float] | None) -> str:
    """`0.1 to 0.2`, a dash for None."""
    return f"{number(span[0])} to {number(span[1])}" if span else "–"


def signed(value: float | None) -> str:
    """A number with its sign, a dash for None."""
    return "–" if value is None else f"{'+' if value > 0 else ''}{number(value)}"


def image_address(image: Pixels, lossless: bool = True) -> str:
    """An (H, W, 3) uint8 image as an address that holds it: a PNG, or a smaller JPEG."""
    kind = "png" if lossless else "jpeg"
    return data_address(kind, encode_image(image, f".{kind}", jpeg_quality=88))


def data_address(kind: str, content: bytes) -> str:
    """The content of an image file (`png`, `svg+xml` ...) as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
