"""The evaluation as a page for a person, and two evaluations side by side: one file that loads nothing from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from images.pixels import Pixels, resize
from images.writing import write_text
from metrics.compare import Comparison
from metrics.html import image_address, interval, number, render, signed
from metrics.images import prepare, read_generated
from metrics.plots import bar_chart, line_plot
from metrics.protocols import Protocol
from metrics.report import Report, metric_names, resampled
from metrics.scorer import Columns
from metrics.slices import extremes, is_better_high
from metrics.task import Task

Example = Callable[[int], Pixels]
Cards = list[tuple[str, str]]  # title, address of a picture

TITLES = {
    "ssim": "SSIM", "psnr": "PSNR (dB)", "l1": "L1", "mae": "MAE", "lpips": "LPIPS", "fid": "FID", "kid": "KID",
    "pckh": "PCKh", "face_ssim": "SSIM of the face", "face_lpips": "LPIPS of the face", "ssim_256": "SSIM, Gaussian",
    "spectrum": "spectral distance (dB)", "recall_1": "own person nearest", "recall_5": "own person among 5 nearest",
}  # fmt: skip
SLICE_TITLES = {"visible_joints": "visible target joints", "view": "change of view", "sex": "sex"}
GALLERY_METRICS = ("ssim", "lpips", "l1")
GALLERY_SIZE = 6
THUMBNAIL_HEIGHT = 160


def title_of(metric: str) -> str:
    """A metric's name for people, with an arrow to where better is."""
    return f"{TITLES.get(metric, metric)} {'↑' if is_better_high(metric) else '↓'}"


def write_report_page(path: Path, report: Report, task: Task, columns: Columns, protocol: Protocol) -> None:
    """`report.html`: numbers, each metric per step, spectra, slices, worst and best images, and every choice."""

    def example(index: int) -> Pixels:
        pair = task.pairs[index]
        truths = [image for image in (pair.source, pair.target) if image is not None]
        images = [prepare(image.read(), task.size, protocol, image.name) for image in truths]
        images.append(read_generated(task.tracks[task.final].images[pair.name], task.size, protocol))
        return np.concatenate(images, axis=1)

    page = report_page(report, resampled(task), [pair.name for pair in task.pairs], columns, example)
    write_text(path, page)


def report_page(report: Report, clusters: str, names: Sequence[str], columns: Columns, example: Example) -> str:
    """The page of a report; `example` draws source, ground truth and result of an image side by side."""
    missing = [f"{', '.join(item['metrics']).upper()} not computed: {item['reason']}" for item in report["missing"]]
    height, width = report["image_size"]
    protocol = report["protocol"]
    return render(
        "report.html",
        title=f"Evaluation of {report['name']}",
        subtitle=f"{report['counts']['pairs']} pairs at {height}x{width}, protocol {protocol['name']}: "
        f"{protocol['description']}",
        notes=[*missing, *report["decisions"]],
        clusters=clusters,
        summary=_summary(report),
        steps=_steps(report) if len(report["steps"]) > 1 else [],
        spectrum=[("Power (dB) by frequency", _spectrum(report))],
        slices=_slices(report),
        galleries=_galleries(names, columns, example),
        facts=_facts(report),
    )


def comparison_page(a: Report, b: Report, comparisons: Sequence[Comparison], notes: Sequence[str]) -> str:
    """Two reports side by side, with the interval of each difference."""
    rows = [
        (title_of(c.metric), number(c.a), number(c.b), signed(c.difference), interval(c.interval), c.verdict)
        for c in comparisons
    ]
    shown = [c.metric for c in comparisons if None not in (c.a, c.b)]
    has_steps = max(len(a["steps"]), len(b["steps"])) > 1
    return render(
        "comparison.html",
        title=f"{a['name']} against {b['name']}",
        subtitle="A is the first report, B the second",
        notes=notes,
        header=["metric", f"A: {a['name']}", f"B: {b['name']}", "B - A", "95 % interval of B - A", "verdict"],
        rows=rows,
        steps=[(title_of(metric), _two_lines(metric, a, b)) for metric in shown] if has_steps else [],
        protocols=[(key, value, b["protocol"].get(key)) for key, value in a["protocol"].items()],
    )


def _two_lines(metric: str, a: Report, b: Report) -> str:
    sides = {f"A: {a['name']}": a, f"B: {b['name']}": b}
    return line_plot({name: [step.get(metric) for step in report["steps"]] for name, report in sides.items()})


def _summary(report: Report) -> list[tuple[str, ...]]:
    last, copied = report["steps"][-1], report["copy_source"] or {}
    spans = last["intervals"]
    return [
        (title_of(metric), number(last.get(metric)), interval(spans.get(metric)), number(copied.get(metric)))
        for metric in metric_names(last)
    ]


def _steps(report: Report) -> Cards:
    steps, cards = report["steps"], []
    for metric in metric_names(steps[-1]):
        # the last step's own level is the clean ground truth
        kinds = {"against the ground truth": steps}
        if any(metric in (step["at_level"] or {}) for step in steps):
            kinds["against its own level"] = [step["at_level"] or step for step in steps]
        lines = {kind: [step.get(metric) for step in rows] for kind, rows in kinds.items()}
        bands = {kind: [step["intervals"].get(metric) for step in rows] for kind, rows in kinds.items()}
        others = {"copy of the source": report["copy_source"], "ground truth": report["ceiling"]}
        references = {name: (row or {}).get(metric) for name, row in others.items()}
        cards.append((title_of(metric), line_plot(lines, bands=bands, references=references)))
    return cards


def _spectrum(report: Report) -> str:
    spectra = dict(report["spectra"])
    places, last = spectra.pop("frequency"), report["steps"][-1]["label"]
    first = report["steps"][0]["label"]
    shown = {"ground truth": spectra["ground truth"], f"generated, {last}": spectra[last]}
    if first != last:
        shown[f"generated, {first}"] = spectra[first]
    return line_plot(shown, x=places, x_label="cycles a pixel")


def _slices(report: Report) -> Cards:
    cards = []
    for kind, groups in report["slices"].items():
        labels = {name: f"{name} ({group['count']}, {group['clusters']})" for name, group in groups.items()}
        for metric in ("ssim", "lpips", "recall_1"):
            values = {labels[name]: group.get(metric) for name, group in groups.items()}
            spans = {labels[name]: group["intervals"].get(metric) for name, group in groups.items()}
            cards.append((f"{title_of(metric)} by {SLICE_TITLES[kind]}", bar_chart(values, spans)))
    return [card for card in cards if card[1]]


def _galleries(names: Sequence[str], columns: Columns, example: Example) -> list[tuple[str, Cards]]:
    found = []
    for metric in GALLERY_METRICS:
        if metric in columns:
            worst, best = extremes(names, columns[metric], metric, GALLERY_SIZE)
            for word, chosen in (("Worst", worst), ("Best", best)):
                figures = [(_thumbnail(example(i)), f"{number(columns[metric][i])} · {names[i]}") for i in chosen]
                found.append((f"{word} {title_of(metric)}", figures))
    return found


def _thumbnail(image: Pixels) -> str:
    height, width = image.shape[:2]
    small = resize(image, (THUMBNAIL_HEIGHT, max(1, round(width * THUMBNAIL_HEIGHT / height))), "lanczos")
    return image_address(small, lossless=False)


def _facts(report: Report) -> list[tuple[str, list[tuple[str, Any]]]]:
    facts: list[tuple[str, Mapping[str, Any]]] = [
        ("Protocol", report["protocol"]),
        ("Images", report["origin"] or {}),
        ("Counts", report["counts"]),
        ("Real set", report["reals"]),
        ("This evaluation", report["made"] | report["versions"]),
    ]
    return [(title, [(key.replace("_", " "), value) for key, value in rows.items()]) for title, rows in facts]
