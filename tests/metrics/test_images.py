"""What is scored has the pixels that training sees, whatever the file."""

import json

import numpy as np
import pytest
from PIL import Image

from images.pixels import resize
from images.reading import read_image

EXIF = Image.Exif()
EXIF[0x0112] = 6  # shown turned a quarter clockwise
DEEP = np.linspace(0, 65535, 96 * 72).reshape(96, 72).astype(np.uint16)


def cut_out(picture):
    alpha = np.where(picture[..., :1] < 128, 0, 255).astype(np.uint8)
    return Image.fromarray(np.concatenate([picture, alpha], axis=2))


@pytest.mark.parametrize(
    ("suffix", "make", "options"),
    [
        (".png", cut_out, {}),
        (".png", lambda _: Image.fromarray(DEEP), {}),
        (".jpg", lambda picture: Image.fromarray(picture).rotate(90, expand=True), {"exif": EXIF}),
        (".webp", Image.fromarray, {"lossless": True}),
        (".TIF", Image.fromarray, {"format": "TIFF"}),
    ],
)
def test_the_pixels_of_training_score_as_equal_against_the_raw_files(
    eval_step, make_picture, tmp_path, suffix, make, options
):
    for folder in ("raw", "generated"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        raw = tmp_path / "raw" / f"{index}{suffix}"
        make(make_picture(index, (96, 72))).save(raw, **options)
        small = resize(read_image(raw), (64, 48))
        Image.fromarray(small).save(tmp_path / "generated" / f"{index}.png")
    code, _, error = eval_step("--generated", tmp_path / "generated", "--ground_truth", tmp_path / "raw")
    assert code == 0, error
    assert json.loads((tmp_path / "generated_report" / "report.json").read_text())["steps"][0]["identical"] == 2


def test_no_format_that_runs_programs_is_opened(eval_step, make_picture, tmp_path):
    for folder in ("raw", "generated"):
        (tmp_path / folder).mkdir()
        Image.fromarray(make_picture(0, (64, 48))).save(
            tmp_path / folder / "0.png", "EPS" if folder == "raw" else "PNG"
        )
    code, _, error = eval_step("--generated", tmp_path / "generated", "--ground_truth", tmp_path / "raw")
    assert code == 2 and "raw/0.png is damaged or no image" in error
