"""Two reports side by side, and the pages."""

import base64
import csv
import json
import re
import sys

import numpy as np
import pytest

from config.cli import run
from metrics.compare import compare, notes
from metrics.html import image_address, number, render
from metrics.plots import bar_chart, line_plot
from metrics.report import markdown, read_final, read_json, write_json
from scripts import compare_reports


def report(name: str, shift: float, seed: int = 0, **changes):
    """A report of 200 images with one metric, and its lines."""
    random = np.random.default_rng(seed)
    base = np.random.default_rng(99).normal(0.7, 0.1, 200)
    values = base + shift + random.normal(0, 0.01, 200)
    rows = [{"name": f"{index}.png", "ssim": float(value)} for index, value in enumerate(values)]
    content = {
        "name": name,
        "steps": [{"step": 0, "label": "final", "ssim": float(values.mean()), "fid": 10.0 + shift, "at_level": None}],
        "copy_source": {"ssim": 0.1},
        "ceiling": None,
        "slices": {"sex": {"men": {"count": 200, "clusters": 50, "ssim": 0.7, "intervals": {"ssim": [0.6, 0.8]}}}},
        "protocol": {"name": "nted", "description": "theirs", "lpips_network": "alex"},
        "missing": [{"metrics": ["lpips"], "reason": "no file"}],
        "decisions": ["a <decision>"],
        "counts": {"pairs": 200, "generated_only": 30},
        "unmatched": {"generated_only": [f"x{index}.png" for index in range(20)]},
        "origin": {"run": "mine"},
        "made": {"time": "now"},
        "reals": {"count": 5, "hash": "h"},
        "image_size": [64, 48],
        "versions": {"python": "3"},
    }
    return content | changes, rows


def write(folder, content, rows):
    """As eval_step.py writes them: a step before the last has other scores, and so has its own level."""
    write_json(folder / "report.json", content)
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["track", "target", "name", "cluster", "ssim"])
        writer.writeheader()
        for row in rows:
            for track, target, shift in (("final", "clean", 0), ("final", "level", 7), ("step_00", "clean", 5)):
                writer.writerow(row | {"track": track, "target": target, "ssim": row["ssim"] + shift})


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


def test_the_interval_of_a_difference_is_over_persons():
    """Ten persons of twenty images each, whose images differ alike: the interval is that of ten values."""
    (a, rows), shifts = report("a", 0), np.random.default_rng(0).normal(0.01, 0.02, 10)
    rows_a = [row | {"cluster": str(index // 20)} for index, row in enumerate(rows)]
    rows_b = [row | {"ssim": row["ssim"] + shifts[index // 20]} for index, row in enumerate(rows_a)]
    low, high = compare(a, a, rows_a, rows_b)[0].interval
    assert (high - low) / 2 == pytest.approx(1.96 * shifts.std() / 10**0.5, rel=0.12)


def test_there_is_no_verdict_on_what_cannot_be_compared():
    a, rows = report("a", 0)
    better = [row | {"ssim": row["ssim"] + 0.1} for row in rows]

    def verdicts(**changes):
        found = {one.metric: one for one in compare(a, a | changes, rows, better)}
        assert all(one.difference is one.interval is None for one in found.values() if one.verdict == "not comparable")
        return {metric: one.verdict for metric, one in found.items()}

    assert verdicts() == {"ssim": "B is better", "fid": "no interval"}
    ours = a["protocol"]
    assert verdicts(protocol=ours | {"canvas": [256, 256]}) == {"ssim": "not comparable", "fid": "no interval"}
    assert verdicts(protocol=ours | {"inception": "x"}) == {"ssim": "B is better", "fid": "not comparable"}
    assert verdicts(reals={"hash": "other"}) == {"ssim": "B is better", "fid": "not comparable"}
    for change in ({"protocol": ours | {"crop_columns": [40, 215]}}, {"image_size": [128, 96]}):
        assert set(verdicts(**change).values()) == {"not comparable"}
    assert verdicts(protocol=ours | {"name": "other", "real_count": 7}) == verdicts()


def test_what_makes_reports_incomparable_is_said():
    (a, rows_a), (b, rows_b) = report("a", 0), report("b", 0, protocol={"name": "x", "lpips_network": "vgg"})
    assert notes(a, b, rows_a, rows_b) == [
        "The protocols differ in lpips_network: lpips, face_lpips cannot be compared."
    ]
    assert "real sets differ" in notes(a, a | {"reals": {"hash": "other"}}, rows_a, rows_a)[0]
    assert "1 only in A" in notes(a, a, rows_a, rows_a[1:])[0]


def test_the_command_prints_and_writes_a_page(tmp_path, monkeypatch, capsys):
    for name, shift in (("a", 0), ("b", 0.005)):
        content, rows = report(name, shift, seed=ord(name))
        write(tmp_path / name, content, rows)
    page = tmp_path / "page.html"
    command = ["compare_reports", str(tmp_path / "a"), str(tmp_path / "b" / "report.json"), "--output", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    assert run(compare_reports.main) == 0
    assert "B is better" in capsys.readouterr().out
    assert "a against b" in page.read_text()
    monkeypatch.setattr(sys, "argv", ["compare_reports", str(tmp_path / "a"), str(tmp_path / "nowhere")])
    assert run(compare_reports.main) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(",0.", ",abc."), r"per_image\.csv and its report are of two evaluations \(ssim"),
        (lambda text: text.replace(",0.", ",1."), r"per_image\.csv and its report are of two evaluations \(ssim"),
        (lambda text: text.splitlines()[0], r"per_image\.csv has no line of final"),
    ],
)
def test_lines_of_images_that_are_not_those_of_the_report_are_refused(tmp_path, change, said):
    write(tmp_path, *report("a", 0))
    read_final(tmp_path)
    file = tmp_path / "per_image.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(ValueError, match=said):
        read_final(tmp_path)


@pytest.mark.parametrize("metric", ["ssim", "fid"])
def test_a_metric_that_is_no_number_is_named(tmp_path, metric):
    content, rows = report("a", 0)
    content["steps"][0][metric] = "good"
    write(tmp_path, content, rows)
    with pytest.raises(ValueError, match=rf"two evaluations \({metric} differs"):
        read_final(tmp_path)


def test_a_report_in_markdown_holds_numbers_slices_and_choices():
    text = markdown(report("a", 0)[0])
    for part in (
        "| final | 0.",
        "| men | 200 |",
        "- lpips_network: alex",
        "lpips missing: no file",
        "- x19.png",
        "unmatched.txt",
        "- run: mine",
    ):
        assert part in text


def test_a_report_is_strict_json(tmp_path):
    write_json(tmp_path / "report.json", {"psnr": float("inf"), "list": [float("nan"), (1.5, None)]})
    assert json.loads((tmp_path / "report.json").read_text()) == {"psnr": None, "list": [None, [1.5, None]]}


@pytest.mark.parametrize(
    "content",
    [
        "[]", "5", "{", "\xff", '{"steps": []}',
        '{"name": "a", "steps": [1], "protocol": {}, "reals": {}, "image_size": []}',
        '{"name": "a", "steps": [{}], "protocol": [], "reals": {}, "image_size": [1]}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_report_is_named(tmp_path, content):
    (tmp_path / "report.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"report\.json is no report \(") as caught:
        read_json(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_page_loads_nothing_from_outside_and_escapes_text():
    plot = line_plot({"a<b": [0.5, None, 0.7]}, bands={"a<b": [(0.4, 0.6), None, (0.6, 0.8)]}, references={"c": 0.1})
    cards = [("<c>", plot), ('x"<y', image_address(np.zeros((4, 4, 3), np.uint8)))]
    rows = {"header": ["<td>"], "rows": [["&"]], "protocols": [], "notes": ["<note>"]}
    page = render("comparison.html", title="T & U", subtitle="", steps=cards, **rows)
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)
    assert all(text in page for text in ("&lt;c&gt;", "T &amp; U", "&lt;td&gt;", "&lt;note&gt;")) and 'x"<y' not in page


def test_plots_stand_values_that_are_flat_single_or_missing():
    for values in ([1.0], [2.0, 2.0], [float("nan"), 1.0]):
        assert line_plot({"a": values}).startswith("data:image/svg+xml;base64,")
    assert line_plot({"a": [None, None]}) == line_plot({"a": []}) == bar_chart({"a": None}) == ""
    svg = base64.b64decode(bar_chart({"a long name": -1.0, "b": 0.0}, {"b": (-0.5, 0.5)}).split(",")[1])
    assert svg.startswith(b"<?xml") and line_plot({"a": [1.0, 2.0]}) == line_plot({"a": [1.0, 2.0]})


def test_numbers_have_four_significant_digits():
    values = (0.71234, 26.6514, 0.003725, 0.0, None, -9.2941, 1.0541e-14, 48674.0)
    assert [number(value) for value in values] == [
        "0.7123", "26.65", "0.003725", "0", "–", "-9.294", "1.05e-14", "48674",
    ]  # fmt: skip
