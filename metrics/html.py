"""The look of this project's pages: a frame, tables, images and plots, in one file that loads nothing from outside.

Every function returns a piece of HTML; text is escaped here, so callers pass it as it is.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

from images.pixels import Pixels
from images.writing import encode_image

Values = Sequence[float | None]

PALETTE = ("#2563eb", "#d97706", "#059669", "#c026d3", "#dc2626", "#0891b2", "#65a30d", "#6b7280")
PLOT_WIDTH, PLOT_HEIGHT = 460, 250
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 62, 14, 14, 44
TINY = 1e-4  # below this numbers are written with a power of ten
BAR_HEIGHT, BAR_LABEL_WIDTH, BAR_VALUE_WIDTH = 24, 150, 60

STYLE = """
:root { --ink: #1c2230; --quiet: #667085; --line: #e3e7ee; --paper: #ffffff; --back: #f5f7fa; --accent: #2563eb;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --quiet: #98a2b3; --line: #2c3444; --paper: #171c26;
  --back: #0f131a; --accent: #7aa2ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 36px 0 10px; }
h3 { font-size: 14px; margin: 0 0 8px; font-weight: 600; }
p { margin: 6px 0; max-width: 100ch; }
.quiet { color: var(--quiet); font-size: 13px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.grid { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); align-items: start; }
.strip { display: flex; gap: 8px; flex-wrap: wrap; }
.strip figure { margin: 0; }
.scroll { overflow-x: auto; }
figcaption { color: var(--quiet); font-size: 12px; max-width: 100%; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; border-radius: 4px; background: #fff; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
table.text td, table.text th { text-align: left; }
table.text td { white-space: normal; overflow-wrap: anywhere; }
table.text td:first-child { white-space: nowrap; color: var(--quiet); }
tr:last-child td { border-bottom: 0; }
th { font-weight: 600; color: var(--quiet); font-size: 12px; text-align: right; }
.note { border-left: 3px solid #d97706; padding: 8px 12px; background: var(--paper); margin: 8px 0; border-radius: 4px;
  overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12.5px system-ui, "DejaVu Sans", sans-serif; fill: var(--quiet); }
svg .ink { fill: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12px; color: var(--quiet); margin-bottom: 4px; }
.legend i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 5px;
  vertical-align: 4px; }
""".strip()


def page(title: str, body: str, subtitle: str = "") -> str:
    """A whole page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>"
        f'<h1>{escape(title)}</h1><p class="quiet">{escape(subtitle)}</p>\n{body}\n</main></body></html>\n'
    )


def section(title: str, *parts: str, lead: str = "") -> str:
    """A heading, a sentence on what follows, and parts."""
    sentence = f'<p class="quiet">{escape(lead)}</p>' if lead else ""
    return f"<h2>{escape(title)}</h2>{sentence}{''.join(parts)}\n"


def card(title: str, content: str) -> str:
    """Content in a titled box."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="card">{heading}{content}</div>\n'


def grid(parts: Sequence[str]) -> str:
    """Parts side by side, as many a row as fit."""
    return f'<div class="grid">{"".join(parts)}</div>\n'


def strip(parts: Sequence[str]) -> str:
    """Figures in a row."""
    return f'<div class="strip">{"".join(parts)}</div>\n'


def note(text: str) -> str:
    """A sentence that must not be overlooked."""
    return f'<div class="note">{escape(text)}</div>\n'


def table(header: Sequence[str], rows: Sequence[Sequence[object]], text: bool = False) -> str:
    """A table in a card; numbers are aligned right, or with `text` everything left."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    first = f"<thead><tr>{head}</tr></thead>" if header else ""
    return (
        f'<div class="card scroll"><table{" class=text" if text else ""}>{first}<tbody>{lines}</tbody></table></div>\n'
    )


def figure(pixels: Pixels, caption: str = "", width: int | None = None, lossless: bool = True) -> str:
    """An (H, W, 3) uint8 image with a caption, embedded as PNG, or as a smaller JPEG."""
    size = f' width="{width}"' if width else ""
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="{data_uri(pixels, lossless)}" alt="{escape(caption)}"{size}>{text}</figure>'


def data_uri(pixels: Pixels, lossless: bool = True) -> str:
    """An (H, W, 3) uint8 image as a `data:` address."""
    kind = "png" if lossless else "jpeg"
    data = encode_image(pixels, f".{kind}", jpeg_quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) < TINY:
        return f"{value:.{digits - 1}g}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def line_plot(
    series: Mapping[str, Values],
    x: Sequence[float] | None = None,
    x_label: str = "step",
    bands: Mapping[str, Sequence[tuple[float, float] | None]] | None = None,
    references: Mapping[str, float | None] | None = None,
) -> str:
    """Lines over a common x (0, 1, 2 ... unless given), as SVG with a legend.

    Args:
        series: values by name; None leaves a gap.
        bands: an interval (low, high) for each value of a series, drawn as a shade.
        references: horizontal dashed lines by name.
    """
    places = list(x) if x is not None else list(range(max(map(len, series.values()), default=0)))
    lines = {
        name: [v if v is not None and math.isfinite(v) else None for v in values] for name, values in series.items()
    }
    marks = {name: value for name, value in (references or {}).items() if value is not None}
    spans = [edge for band in (bands or {}).values() for span in band if span is not None for edge in span]
    heights = (
        [value for values in lines.values() for value in values if value is not None] + list(marks.values()) + spans
    )
    if not heights or not places:
        return '<p class="quiet">nothing to plot</p>'
    frame = _Frame((min(places), max(places)), _padded(min(heights), max(heights)))
    parts = [frame.axes(x_label, whole=all(float(place).is_integer() for place in places))]
    for index, (name, values) in enumerate(lines.items()):
        colour = PALETTE[index % len(PALETTE)]
        parts += [_band(frame, places, (bands or {}).get(name, ()), colour), _line(frame, places, values, colour)]
    for index, value in enumerate(marks.values()):
        parts.append(_reference(frame, value, PALETTE[(len(lines) + index) % len(PALETTE)]))
    legend = _legend([*lines, *marks]) if len(lines) + len(marks) > 1 else ""
    return f'{legend}<svg viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}" role="img">{"".join(parts)}</svg>'


def bar_chart(values: Mapping[str, float | None], intervals: Mapping[str, tuple[float, float]] | None = None) -> str:
    """Horizontal bars from zero, with an interval as a whisker, as SVG."""
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    if not known:
        return '<p class="quiet">nothing to plot</p>'
    ends = [
        0.0,
        *known.values(),
        *(edge for name in known if name in (intervals or {}) for edge in (intervals or {})[name]),
    ]
    low, high = min(ends), max(ends) or 1.0
    scale = (PLOT_WIDTH - BAR_LABEL_WIDTH - BAR_VALUE_WIDTH) / (high - low)
    place = lambda value: BAR_LABEL_WIDTH + (value - low) * scale  # noqa: E731
    parts = []
    for row, (name, value) in enumerate(known.items()):
        top = row * BAR_HEIGHT
        middle = top + BAR_HEIGHT / 2
        left, right = sorted((place(0.0), place(value)))
        parts.append(
            f'<text class="ink" x="{BAR_LABEL_WIDTH - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{left:.1f}" y="{top + 4}" width="{right - left:.1f}" height="{BAR_HEIGHT - 8}" rx="2" '
            f'fill="{PALETTE[0]}" opacity="0.85"/>'
            f'<text class="ink" x="{PLOT_WIDTH - 4}" y="{middle + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
        if intervals and name in intervals:
            a, b = map(place, intervals[name])
            parts.append(_whisker(a, b, middle))
    return f'<svg viewBox="0 0 {PLOT_WIDTH} {len(known) * BAR_HEIGHT}" role="img">{"".join(parts)}</svg>'


class _Frame:
    """Axes of a plot and the way from values to places in it."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:
        self.x_range = x_range if x_range[0] < x_range[1] else (x_range[0] - 0.5, x_range[1] + 0.5)
        self.y_range = y_range

    def x(self, value: float) -> float:
        """Column of a value."""
        low, high = self.x_range
        return MARGIN_LEFT + (value - low) / (high - low) * (PLOT_WIDTH - MARGIN_LEFT - MARGIN_RIGHT)

    def y(self, value: float) -> float:
        """Row of a value."""
        low, high = self.y_range
        return PLOT_HEIGHT - MARGIN_BOTTOM - (value - low) / (high - low) * (PLOT_HEIGHT - MARGIN_TOP - MARGIN_BOTTOM)

    def axes(self, x_label: str, whole: bool) -> str:
        """Grid lines and numbers on both axes."""
        right, bottom = PLOT_WIDTH - MARGIN_RIGHT, PLOT_HEIGHT - MARGIN_BOTTOM
        parts = []
        for value in _ticks(*self.y_range):
            y = self.y(value)
            parts.append(
                f'<line x1="{MARGIN_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
                f'<text x="{MARGIN_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{value:.10g}</text>'
            )
        for value in _ticks(*self.x_range, whole=whole):
            parts.append(f'<text x="{self.x(value):.1f}" y="{bottom + 17}" text-anchor="middle">{value:.10g}</text>')
        centre = (MARGIN_LEFT + right) / 2
        parts.append(f'<text x="{centre}" y="{PLOT_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
        return "".join(parts)


def _line(frame: _Frame, places: Sequence[float], values: Values, colour: str) -> str:
    runs: list[list[str]] = [[]]
    dots = []
    for place, value in zip(places, values, strict=False):
        if value is None:
            runs.append([])
            continue
        x, y = frame.x(place), frame.y(value)
        runs[-1].append(f"{x:.1f},{y:.1f}")
        hint = f"<title>{place:.10g}: {number(value, 5)}</title>"
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">{hint}</circle>')
    drawn = "".join(
        f'<polyline points="{" ".join(run)}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
        for run in runs
        if len(run) > 1
    )
    return drawn + ("".join(dots) if len(dots) <= 40 else "")


def _band(frame: _Frame, places: Sequence[float], band: Sequence[tuple[float, float] | None], colour: str) -> str:
    edges = [(frame.x(place), span) for place, span in zip(places, band, strict=False) if span is not None]
    if not edges:
        return ""
    upper = [f"{x:.1f},{frame.y(span[1]):.1f}" for x, span in edges]
    lower = [f"{x:.1f},{frame.y(span[0]):.1f}" for x, span in reversed(edges)]
    return f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" opacity="0.15"/>'


def _reference(frame: _Frame, value: float, colour: str) -> str:
    y = frame.y(value)
    return (
        f'<line x1="{MARGIN_LEFT}" x2="{PLOT_WIDTH - MARGIN_RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        f'stroke-width="1.5" stroke-dasharray="5 4"><title>{number(value, 5)}</title></line>'
    )


def _whisker(left: float, right: float, y: float) -> str:
    ticks = "".join(f"M{x:.1f} {y - 4:.1f}V{y + 4:.1f}" for x in (left, right))
    return f'<path d="M{left:.1f} {y:.1f}H{right:.1f}{ticks}" stroke="var(--ink)" stroke-width="1.2" fill="none"/>'


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span><i style="background:{PALETTE[index % len(PALETTE)]}"></i>{escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return f'<div class="legend">{items}</div>'


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, whole: bool = False, count: int = 5) -> list[float]:
    """About `count` round numbers between two values."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
