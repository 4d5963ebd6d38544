"""Files that are there whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from images.reading import read_pixels
from images.writing import replacing, write_image, write_text

RANDOM = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".webp"])
def test_an_image_is_read_back_equal_and_nothing_is_left_beside_it(tmp_path, suffix):
    path = tmp_path / "new" / f"a{suffix}"
    write_image(path, RANDOM)
    assert (read_pixels(path) == RANDOM).all()
    assert os.listdir(path.parent) == [path.name]


def test_a_broken_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_who_reads_meanwhile_reads_the_whole_old_file(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with (tmp_path / "a.txt").open() as reader:
        write_text(tmp_path / "a.txt", "new")
        assert reader.read() == "old" and (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_line_with_the_name(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt cannot be written \(No space left on device\)"), \
            replacing(tmp_path / "a.txt"):  # fmt: skip
        Path("/dev/full").write_text("x")
    with pytest.raises(ValueError, match=r"b\.png cannot be written"):
        write_image("/dev/full/b.png", RANDOM)
