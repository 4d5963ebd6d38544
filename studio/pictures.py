"""Pictures with words: labelled grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
INK, QUIET = (28, 34, 48), (102, 112, 133)


def labelled_grid(
    rows: Sequence[Sequence[np.ndarray | None]], row_labels: Sequence[str] = (), column_labels: Sequence[str] = ()
) -> np.ndarray:
    """(H, W, 3) uint8 pictures of one size in rows and columns on white; None leaves a place empty.

    Labels that are wider than a picture are broken at spaces.
    """
    height, width = next(cell.shape[:2] for row in rows for cell in row if cell is not None)
    font = _font(column_labels, width)
    left = _widest(row_labels, font) + 2 * GAP if any(row_labels) else 0
    headings = [_broken(label, font, width) for label in column_labels]
    top = max((_height(text, font) for text in headings), default=0) + 2 * GAP if headings else 0
    columns = max(map(len, rows))
    size = (left + columns * (width + GAP) - GAP, top + len(rows) * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, text in enumerate(headings):
        middle = left + column * (width + GAP) + width // 2
        draw.multiline_text((middle, top - GAP), text, QUIET, font, anchor="md", align="center", spacing=2)
    for index, row in enumerate(rows):
        y = top + index * (height + GAP)
        if index < len(row_labels):
            draw.text((GAP, y + height // 2), row_labels[index], INK, font, anchor="lm")
        for column, cell in enumerate(row):
            if cell is not None:
                sheet.paste(Image.fromarray(cell), (left + column * (width + GAP), y))
    return np.array(sheet)


def _font(labels: Sequence[str], width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest of some sizes in which every word of the column labels fits above a picture."""
    words = [word for label in labels for word in label.split()]
    sizes = range(max(10, min(16, width // 9)), 6, -1)
    fonts = [ImageFont.load_default(size=size) for size in sizes]
    return next((font for font in fonts if all(font.getlength(word) <= width for word in words)), fonts[-1])


def _broken(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in label.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _height(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font, spacing=2)
    return int(box[3] - box[1]) + GAP


def _widest(labels: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return int(max(font.getlength(label) for label in labels))
