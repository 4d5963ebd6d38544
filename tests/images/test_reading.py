"""Image files of any kind to 8-bit RGB."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from images.reading import image_size, read_image, read_pixels


def save(path: Path, image: Image.Image, **options) -> np.ndarray:
    image.save(path, **options)
    return np.asarray(read_image(path))


def test_every_kind_of_image_becomes_rgb(tmp_path: Path) -> None:
    red = [255, 0, 0]
    assert save(tmp_path / "a.jpg", Image.new("CMYK", (4, 4), (0, 255, 255, 0)))[0, 0] == pytest.approx(red, abs=3)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert save(tmp_path / "b.png", palette)[0, 0].tolist() == red
    assert save(tmp_path / "c.png", palette, transparency=1)[0, 0].tolist() == [255] * 3
    assert save(tmp_path / "d.png", Image.new("RGBA", (4, 4), (255, 0, 0, 0)))[0, 0].tolist() == [255] * 3
    assert save(tmp_path / "e.png", Image.new("LA", (4, 4), (10, 255)))[0, 0].tolist() == [10] * 3
    deep = Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))
    assert save(tmp_path / "f.png", deep)[0, 0].tolist() == [0x80] * 3
    assert save(tmp_path / "g.tiff", Image.fromarray(np.full((4, 4), 0.5, np.float32)))[0, 0].tolist() == [128] * 3
    assert save(tmp_path / "h.png", Image.new("1", (4, 4), 1))[0, 0].tolist() == [255] * 3


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    assert save(tmp_path / "a.jpg", Image.new("RGB", (20, 10)), exif=exif).shape == (20, 10, 3)
    assert image_size(tmp_path / "a.jpg") == (20, 10)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    keep=st.floats(0.05, 1),
)
def test_damaged_bytes_give_an_image_or_one_error(
    tmp_path: Path, suffix: str, changes: list[tuple[int, int]], keep: float
) -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)).save(file, suffix)
    raw = bytearray(file.getvalue())
    for place, value in changes:
        raw[place % len(raw)] = value
    path = tmp_path / "fuzz.img"
    path.write_bytes(raw[: int(len(raw) * keep) + 1])
    try:
        assert read_image(path, max_pixels=100_000).mode == "RGB"
    except ValueError as error:
        assert "fuzz.img" in str(error) and "\n" not in str(error)


def test_bombs_and_broken_files_are_errors(tmp_path: Path) -> None:
    Image.new("1", (3000, 2000)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png claims"):
        read_image(tmp_path / "bomb.png", max_pixels=1_000_000)
    for name, content in (("zero.jpg", b""), ("text.jpg", b"hello"), ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(ValueError, match="does not exist"):
        read_image(tmp_path / "nowhere.jpg")


def test_only_asked_formats_are_opened(tmp_path: Path) -> None:
    Image.new("RGB", (4, 6)).save(tmp_path / "a.png", "BMP")
    assert read_pixels(tmp_path / "a.png").shape == (6, 4, 3)
    for read in (read_image, image_size):
        with pytest.raises(ValueError, match=r"a\.png is damaged or no image"):
            read(tmp_path / "a.png", formats=["PNG"])
