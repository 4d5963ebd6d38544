"""scripts.demo_page: the numbers and pictures of every model stand where the page says."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.load import dump_config
from data.dataset import PairDataset
from data.pairs import output_name
from images.strips import GAP
from images.writing import write_image
from scripts import demo_page
from tests.runs import tiny_config
from tests.tiny import SIZE

# the grey level that each step of each model is drawn in here
GREYS = {"dptn_one": [40], "dptn": [80, 120, 160], "shipped_dptn": [200, 220]}
LOG = {"step": 30, "nimg": 90, "l1": 0.5, "gan": 0.1, "d_real_step_accuracy": 0.9}


@pytest.fixture
def result(dataset: Path, tmp_path: Path) -> Path:
    """What `make demo` leaves of one system, the shipped model's images at half the size."""
    folder = tmp_path / "demo"
    config = tiny_config("dptn", dataset)
    pairs = PairDataset(config.data, "test")
    names = [output_name(*pairs.names(index)) for index in range(len(pairs))]
    for model, greys in GREYS.items():
        size = tuple(side // 2 for side in SIZE) if model == "shipped_dptn" else SIZE
        for step, grey in enumerate(greys, start=1):
            for name in names:
                write_image(folder / model / "images" / f"step_{step:02d}" / name, np.full((*size, 3), grey, np.uint8))
        rows = [{"ssim": grey / 1000, "recall_1": 0.25, "at_level": None} for grey in greys]
        report = {"steps": rows, "copy_source": {"ssim": 0.5}, "ceiling": {"recall_1": 0.75}}
        (folder / model / "images_report").mkdir()
        (folder / model / "images_report" / "report.json").write_text(json.dumps(report))
    (folder / "dptn" / "config.yaml").write_text(dump_config(config))
    (folder / "dptn" / "log.jsonl").write_text(json.dumps(LOG) + "\n")
    (folder / "seconds.json").write_text(json.dumps({"dptn": 123.4}))
    return folder


def test_the_page_has_every_models_scores_and_pictures(result, dataset, command):
    words = ["--result", result, "--root", dataset, "--size", f"{SIZE[0]}-{SIZE[1]}"]
    assert command(demo_page.main, *words) == 0
    page = (result / "index.html").read_text()
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    rows = {row[0]: row[1:] for row in cells if row}
    assert rows["one step"] == ["0.04000", "0.2500"] and rows["shipped"] == ["0.2200", "0.2500"]
    assert rows["step by step"][0] == "0.1600" and rows["copying the source image"][0] == "0.5000"
    assert rows["the true target"] == ["–", "0.7500"]
    assert "Copying the source says which SSIM and PSNR a model must beat" in page
    assert "then 3 steps that grew from it for 30 training steps" in page and "took 123 seconds" in page
    assert "do not compare: one step 64x48, step by step 64x48, shipped 32x24." in page
    assert json.loads((result / "report.json").read_text())["dptn"]["shipped"]["ceiling"] == {"recall_1": 0.75}

    strip = np.array(Image.open(io.BytesIO(base64.b64decode(re.findall(r"image/png;base64,([^\"]+)", page)[0]))))
    columns = [strip[5, column * (SIZE[1] + GAP) + 5] for column in range(2 + 6)]
    assert strip.shape[:2] == (SIZE[0], 9 * (SIZE[1] + GAP) - GAP)
    assert [int(column[0]) for column in columns[2:]] == [40, 80, 120, 160, 200, 220]
