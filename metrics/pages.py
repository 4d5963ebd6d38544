"""The evaluation as a page for a person, and two evaluations side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from images.pixels import Pixels, resize
from metrics import html
from metrics.compare import Comparison
from metrics.report import Report, metric_names
from metrics.slices import extremes, is_better_high

Example = Callable[[str], Sequence[Pixels]]  # pair name -> source (where known), target, generated

TITLES = {
    "ssim": "SSIM", "psnr": "PSNR (dB)", "l1": "L1", "mae": "MAE", "lpips": "LPIPS", "fid": "FID", "kid": "KID",
    "pckh": "PCKh", "face_ssim": "SSIM of the face", "face_lpips": "LPIPS of the face", "ssim_256": "SSIM, Gaussian",
}  # fmt: skip
SLICE_TITLES = {"visible_joints": "visible target joints", "view": "change of view", "sex": "sex"}
GALLERY_METRICS = ("ssim", "psnr", "l1", "lpips")
GALLERY_SIZE = 6
THUMBNAIL_HEIGHT = 144


def title_of(metric: str) -> str:
    """A metric's name for people, with an arrow to where better is."""
    return f"{TITLES.get(metric, metric)} {'↑' if is_better_high(metric) else '↓'}"


def report_page(report: Report, rows: Sequence[Mapping[str, Any]], example: Example) -> str:
    """`report.html`: the final numbers, each metric per step, slices, worst and best images, and the protocol."""
    counts = report["counts"]
    subtitle = (
        f"{counts['pairs']} pairs at {report['image_size'][0]}x{report['image_size'][1]}, protocol "
        f"{report['protocol']['name']}: {report['protocol']['description']}"
    )
    body = [_notes(report), _summary(report)]
    if len(report["steps"]) > 1:
        body.append(_steps(report))
    body += [_slices(report), _galleries(rows, example), _fine_print(report)]
    return html.page(f"Evaluation of {report['name']}", "".join(body), subtitle)


def comparison_page(a: Report, b: Report, comparisons: Sequence[Comparison], notes: Sequence[str]) -> str:
    """Two reports side by side, with the interval of each difference."""
    rows = [
        (
            title_of(c.metric),
            html.number(c.a),
            html.number(c.b),
            _signed(c.difference),
            _interval(c.interval),
            c.verdict,
        )
        for c in comparisons
    ]
    header = ("metric", f"A: {a['name']}", f"B: {b['name']}", "B - A", "95 % interval of B - A", "verdict")
    parts = [html.note(text) for text in notes]
    parts.append(html.section("Final images", html.table(header, rows), lead=_COMPARISON_LEAD))
    if max(len(a["steps"]), len(b["steps"])) > 1:
        plots = [_two_lines(c.metric, a, b) for c in comparisons if None not in (c.a, c.b)]
        parts.append(html.section("Per step", html.grid(plots)))
    settings = [(key, value, b["protocol"].get(key)) for key, value in a["protocol"].items()]
    parts.append(html.section("Protocols", html.table(("choice", "A", "B"), settings, text=True)))
    return html.page(f"{a['name']} against {b['name']}", "".join(parts), "A is the first report, B the second")


def _two_lines(metric: str, a: Report, b: Report) -> str:
    series = {
        f"{side}: {report['name']}": [step.get(metric) for step in report["steps"]]
        for side, report in (("A", a), ("B", b))
    }
    return html.card(title_of(metric), html.line_plot(series))


_COMPARISON_LEAD = (
    "Intervals are of the mean difference over the images that both reports scored, by bootstrap over images. Where "
    "one holds 0 the two cannot be told apart. FID and KID are of whole sets and have no interval here."
)


def _notes(report: Report) -> str:
    missing = [f"{', '.join(item['metrics']).upper()} not computed: {item['reason']}" for item in report["missing"]]
    return "".join(html.note(text) for text in [*missing, *report["decisions"]])


def _summary(report: Report) -> str:
    last, copied = report["steps"][-1], report["copy_source"]
    rows = []
    for metric in metric_names(report):
        interval = last.get("intervals", {}).get(metric)
        rows.append(
            (
                title_of(metric),
                html.number(last.get(metric)),
                _interval(interval),
                html.number((copied or {}).get(metric)),
            )
        )
    header = ("metric", "generated", "95 % interval", "copy of the source")
    lead = "Intervals are of the mean, by bootstrap over images. Copying the source image is the baseline to beat."
    return html.section("Final images", html.table(header, rows), lead=lead)


def _steps(report: Report) -> str:
    plots = []
    for metric in metric_names(report):
        values = [step.get(metric) for step in report["steps"]]
        if all(value is None for value in values):
            continue
        band = [step.get("intervals", {}).get(metric) for step in report["steps"]]
        plots.append(html.card(title_of(metric), html.line_plot({metric: values}, bands={metric: band})))
    lead = "Each step's images against ground truth (and reals) degraded to the level that the step aims at."
    return html.section("Per step", html.grid(plots), lead=lead)


def _slices(report: Report) -> str:
    cards = []
    for kind, groups in report["slices"].items():
        for metric in ("ssim", "lpips"):
            values = {f"{name} ({group['count']})": group.get(metric) for name, group in groups.items()}
            spans = {
                f"{name} ({group['count']})": tuple(group["intervals"][metric])
                for name, group in groups.items()
                if metric in group["intervals"]
            }
            if any(value is not None for value in values.values()):
                cards.append(html.card(f"{title_of(metric)} by {SLICE_TITLES[kind]}", html.bar_chart(values, spans)))
    return html.section("Slices", html.grid(cards), lead="In brackets the number of images.") if cards else ""


def _galleries(rows: Sequence[Mapping[str, Any]], example: Example) -> str:
    parts = []
    for metric in GALLERY_METRICS:
        worst, best = extremes(rows, metric, GALLERY_SIZE)
        if worst:
            values = {row["name"]: row[metric] for row in rows}
            for word, names in (("worst", worst), ("best", best)):
                figures = [_example_figure(name, values[name], example) for name in names]
                parts.append(html.card(f"{word} {title_of(metric)}", html.strip(figures)))
    return html.section("Worst and best", *parts, lead="Each: source (where known), ground truth, generated.")


def _example_figure(name: str, value: float, example: Example) -> str:
    images = [_thumbnail(image) for image in example(name)]
    return html.figure(np.concatenate(images, axis=1), f"{html.number(value)}", lossless=False)


def _thumbnail(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    size = (THUMBNAIL_HEIGHT, max(1, round(width * THUMBNAIL_HEIGHT / height)))
    return resize(image, size, "lanczos")


def _fine_print(report: Report) -> str:
    counts = [(key.replace("_", " "), value) for key, value in report["counts"].items()]
    reals = [(f"reals: {key}", value) for key, value in report["reals"].items()]
    choices = list(report["protocol"].items())
    unmatched = [
        html.note(f"{len(names)} {side.replace('_', ' ')}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}")
        for side, names in report["unmatched"].items()
        if names
    ]
    return html.section(
        "What was computed",
        *unmatched,
        html.grid(
            [
                html.card("Protocol", html.table((), choices, text=True)),
                html.card("Counts and real set", html.table((), counts + reals, text=True))
                + html.card("Versions", html.table((), list(report["versions"].items()), text=True)),
            ]
        ),
    )


def _interval(interval: Sequence[float] | None) -> str:
    return f"{html.number(interval[0])} to {html.number(interval[1])}" if interval else "–"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{'+' if value > 0 else ''}{html.number(value)}"
