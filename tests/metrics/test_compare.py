"""Two reports side by side, and the pages."""

import json
import re
import sys

import numpy as np
import pytest

from config.cli import run
from metrics import html
from metrics.compare import compare, notes
from metrics.report import markdown, write_json, write_rows
from scripts import compare_reports


def report(name: str, shift: float, seed: int = 0, **changes):
    """A report of 200 images with one metric, and its lines."""
    random = np.random.default_rng(seed)
    base = np.random.default_rng(99).normal(0.7, 0.1, 200)
    values = base + shift + random.normal(0, 0.01, 200)
    rows = [{"track": "final", "name": f"{index}.png", "ssim": float(value)} for index, value in enumerate(values)]
    rows.append({"track": "copy_source", "name": "0.png", "ssim": 0.1})
    content = {
        "name": name,
        "steps": [{"step": 0, "label": "final", "ssim": float(values.mean()), "fid": 10.0 + shift}],
        "copy_source": {"ssim": 0.1},
        "slices": {"sex": {"men": {"count": 200, "ssim": 0.7, "intervals": {"ssim": [0.6, 0.8]}}}},
        "protocol": {"name": "nted", "description": "theirs", "lpips_network": "alex"},
        "missing": [{"metrics": ["lpips"], "reason": "no file"}],
        "decisions": ["a <decision>"],
        "counts": {"pairs": 200},
        "unmatched": {"generated_only": ["x.png"]},
        "reals": {"count": 5, "hash": "h"},
        "image_size": [64, 48],
        "versions": {"python": "3"},
    }
    return content | changes, rows


def test_a_real_difference_is_seen_and_chance_is_not():
    (a, rows_a), (b, rows_b), (c, rows_c) = report("a", 0), report("b", 0.005, 1), report("c", 0.0, 2)
    verdicts = {x.metric: x for x in compare(a, b, rows_a, rows_b)}
    ssim = verdicts["ssim"]
    assert ssim.verdict == "B is better" and ssim.interval[0] < 0.005 < ssim.interval[1]
    assert verdicts["fid"].interval is None and verdicts["fid"].difference == pytest.approx(0.005)
    assert compare(b, a, rows_b, rows_a)[0].verdict == "A is better"
    assert compare(a, c, rows_a, rows_c)[0].verdict == "no difference seen"


def test_the_paired_interval_is_that_of_the_mean_difference():
    (a, rows_a), (b, rows_b) = report("a", 0), report("b", 0.005, 1)
    differences = np.array([y["ssim"] - x["ssim"] for x, y in zip(rows_a[:200], rows_b[:200], strict=True)])
    half = 1.97 * differences.std(ddof=1) / np.sqrt(200)
    low, high = compare(a, b, rows_a, rows_b)[0].interval
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_what_makes_reports_incomparable_is_said():
    (a, rows_a), (b, rows_b) = report("a", 0), report("b", 0, protocol={"name": "x", "lpips_network": "vgg"})
    assert notes(a, b, rows_a, rows_b) == [
        "The protocols differ in lpips_network: what depends on these cannot be compared."
    ]
    assert "real sets differ" in notes(a, a | {"reals": {"hash": "other"}}, rows_a, rows_a)[0]
    assert "1 only in A" in notes(a, a, rows_a, rows_a[1:])[0]


def test_the_command_prints_and_writes_a_page(tmp_path, monkeypatch, capsys):
    for name, shift in (("a", 0), ("b", 0.005)):
        content, rows = report(name, shift, seed=ord(name))
        write_json(tmp_path / name / "report.json", content)
        write_rows(tmp_path / name / "per_image.csv", rows)
    page = tmp_path / "page.html"
    command = ["compare_reports", str(tmp_path / "a"), str(tmp_path / "b" / "report.json"), "--output", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    assert run(compare_reports.main) == 0
    assert "B is better" in capsys.readouterr().out
    assert "a against b" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["compare_reports", str(tmp_path / "a"), str(tmp_path / "nowhere")])
    assert run(compare_reports.main) == 2


def test_a_report_in_markdown_holds_numbers_slices_and_choices():
    text = markdown(report("a", 0)[0])
    for part in ("| final | 0.", "| men | 200 |", "- lpips_network: alex", "lpips missing: no file", "- x.png"):
        assert part in text


def test_a_report_is_strict_json(tmp_path):
    write_json(tmp_path / "report.json", {"psnr": float("inf"), "list": [float("nan"), (1.5, None)]})
    assert json.loads((tmp_path / "report.json").read_text()) == {"psnr": None, "list": [None, [1.5, None]]}


def test_a_page_loads_nothing_from_outside_and_escapes_text():
    plot = html.line_plot(
        {"a<b": [0.5, None, 0.7]}, bands={"a<b": [(0.4, 0.6), None, (0.6, 0.8)]}, references={"c": 0.1}
    )
    image = html.figure(np.zeros((4, 4, 3), np.uint8), 'x"<y')
    page = html.page("T & U", html.card("<c>", plot + image) + html.table(("h",), [("<td>",)]))
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)
    assert "a&lt;b" in page and "T &amp; U" in page and "&lt;td&gt;" in page and 'x"<y' not in page


def test_plots_stand_values_that_are_flat_single_or_missing():
    for values in ([1.0], [2.0, 2.0], [None, None], [float("nan"), 1.0], []):
        assert isinstance(html.line_plot({"a": values}), str)
    assert "nothing" in html.bar_chart({"a": None}) and "<rect" in html.bar_chart({"a": -1.0, "b": 0.0})


def test_numbers_have_four_significant_digits():
    values = (0.71234, 26.6514, 0.003725, 0.0, None, -9.2941, 1.0541e-14, 48674.0)
    assert [html.number(value) for value in values] == [
        "0.7123", "26.65", "0.003725", "0", "–", "-9.294", "1.05e-14", "48674",
    ]  # fmt: skip
