"""Plots as pictures that a page holds within itself."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.html import data_address

Values = Sequence[float | None]
Interval = Sequence[float]

PALETTE = (
    "#2563eb", "#d97706", "#059669", "#c026d3", "#dc2626", "#0891b2", "#65a30d", "#6b7280", "#a16207", "#be185d",
)  # fmt: skip
_GREY = "#7c879b"  # to be read on white and on black
_SIZE = (4.6, 2.7)  # inches
_STYLE: Any = {
    "svg.hashsalt": "plot",  # the same plot is the same text
    "font.size": 9, "font.family": "DejaVu Sans", "axes.edgecolor": _GREY, "text.color": _GREY,
    "axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY, "axes.grid": True, "grid.alpha": 0.25,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8,
    "axes.prop_cycle": cycler(color=PALETTE),
}  # fmt: skip


def line_plot(
    lines: Mapping[str, Values],
    x: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    x_label: str = "step",
    bands: Mapping[str, Sequence[Interval | None]] | None = None,
    references: Mapping[str, float | None] | None = None,
) -> str:
    """Lines over common places, or each over its own, with bands of intervals and dashed references: an SVG's address.

    What is None or not finite leaves a gap; "" where there is nothing to plot.
    """
    known = {name: [_number(value) for value in values] for name, values in lines.items()}
    known = {name: values for name, values in known.items() if not all(map(math.isnan, values))}
    if not known:
        return ""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _axes()
        for name, values in known.items():
            own = x.get(name) if isinstance(x, Mapping) else x
            places = list(own if own is not None else range(len(values)))
            (drawn,) = axes.plot(places, values, marker="o" if len(values) <= 40 else None, markersize=3, label=name)
            spans = [(p, *span) for p, span in zip(places, (bands or {}).get(name, ()), strict=False) if span]
            if spans:
                where, low, high = zip(*spans, strict=True)
                axes.fill_between(where, low, high, color=drawn.get_color(), alpha=0.15, linewidth=0)
        marks = {name: value for name, value in (references or {}).items() if value is not None}
        for index, (name, value) in enumerate(marks.items()):
            axes.axhline(value, linestyle="--", linewidth=1.2, color=PALETTE[len(known) + index], label=name)
        if x is None:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(x_label)
        if len(known) + len(marks) > 1:
            figure.legend(loc="outside upper left", ncols=2)
        return _address(figure)


def bar_chart(values: Mapping[str, float | None], intervals: Mapping[str, Interval] | None = None) -> str:
    """Horizontal bars with intervals as whiskers, the first on top, as an address of an SVG; "" for nothing."""
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    if not known:
        return ""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _axes(height=0.55 + 0.28 * len(known))
        for row, (name, value) in enumerate(known.items()):
            axes.barh(row, value, height=0.65, color=PALETTE[0], alpha=0.85)
            end = max(0.0, value)
            if span := (intervals or {}).get(name):
                axes.plot(span, (row, row), color=_GREY, linewidth=1.4, marker="|", markersize=6)
                end = max(end, span[1])
            axes.annotate(f"{value:.4g}", (end, row), xytext=(6, 0), textcoords="offset points", va="center")
        axes.set_yticks(range(len(known)), list(known))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.18)
        if min(known.values()) >= 0:
            axes.set_xlim(left=0)
        return _address(figure)


def _axes(height: float = _SIZE[1]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    return figure, figure.subplots()


def _address(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return data_address("svg+xml", file.getvalue())


def _number(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.nan
