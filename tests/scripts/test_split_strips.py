"""Strips of other methods, cut apart."""

import sys

import numpy as np
import pytest
from PIL import Image

from config.cli import run
from images.reading import read_pixels
from scripts import split_strips

SIZE = (20, 14)


def make_strip(pictures, border, is_framed, colour):
    edge = border * is_framed
    height, width = SIZE[0] + 2 * edge, len(pictures) * SIZE[1] + border * (len(pictures) - 1) + 2 * edge
    strip = np.full((height, width, 3), colour, np.uint8)
    for index, picture in enumerate(pictures):
        left = edge + index * (SIZE[1] + border)
        strip[edge : edge + SIZE[0], left : left + SIZE[1]] = picture
    return strip


@pytest.fixture
def split(tmp_path, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["split_strips", str(tmp_path / "in"), f"--output={tmp_path / 'out'}", *arguments]
        )
        return run(split_strips.main)

    return call


@pytest.mark.parametrize(
    ("count", "border", "is_framed", "colour"),
    [(4, 0, False, 0), (3, 2, False, 255), (5, 2, True, 0), (6, 5, True, 255), (1, 0, False, 0)],
)
def test_columns_are_found_whatever_their_number_and_borders(tmp_path, split, count, border, is_framed, colour):
    random, pictures = np.random.default_rng(0), {}
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.jpg.png"):
        pictures[name] = random.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
        Image.fromarray(make_strip(pictures[name], border, is_framed, colour)).save(tmp_path / "in" / name)
    names = [f"column{index}" for index in range(count - 1)] + ["generated"]
    assert split("--columns", *names) == 0
    for name, own in pictures.items():
        for column, picture in zip(names, own, strict=True):
            assert (read_pixels(tmp_path / "out" / column / name) == picture).all()


def test_columns_without_a_name_are_left_out_and_a_border_may_be_given(tmp_path, split):
    (tmp_path / "in").mkdir()
    Image.fromarray(make_strip(np.full((3, *SIZE, 3), 255, np.uint8), 3, False, 255)).save(tmp_path / "in" / "a.png")
    assert split("--columns", "_", "target", "generated", "--border", "3") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["generated", "target"]
    assert read_pixels(tmp_path / "out" / "target" / "a.png").shape[:2] == SIZE


def test_what_cannot_be_cut_is_said(tmp_path, split, capsys):
    assert split("--columns", "a") == 2 and "holds no images" in capsys.readouterr().err
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 43, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in" / "a.png")
    assert split("--columns", "a", "b", "c") == 2 and "43 pixels wide are not 3 columns" in capsys.readouterr().err
    Image.fromarray(noise[:, :42]).save(tmp_path / "in" / "0.png")
    assert split("--columns", "a", "b", "c") == 2 and "the first strip is not" in capsys.readouterr().err


def test_two_columns_of_one_name_would_overwrite_each_other(tmp_path, split, capsys):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (42, 20)).save(tmp_path / "in" / "a.png")
    assert split("--columns", "a", "a", "_") == 2 and "one name twice" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
