"""Videos are read back as players read them."""

from __future__ import annotations

import importlib.util

import av
import numpy as np
import pytest
from PIL import Image

from images import video
from images.video import write_animation, write_video


def frames(size: tuple[int, int], count: int = 5) -> list[np.ndarray]:
    """Smooth pictures, each brighter than the one before."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramp = np.stack([rows, columns, rows + columns], axis=2) * 128 // sum(size)
    return [(ramp + 20 * number).astype(np.uint8) for number in range(count)]


@pytest.mark.parametrize("size", [(64, 48), (63, 45)])
def test_an_mp4_plays_everywhere_and_looks_like_its_frames(size, tmp_path):
    pictures = frames(size)
    write_video(tmp_path / "a.mp4", iter(pictures), 12)
    with av.open(str(tmp_path / "a.mp4")) as container:
        (stream,) = container.streams
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 12)
    assert len(decoded) == 5 and all(side % 2 == 0 for side in decoded[0].shape[:2])
    for picture, played in zip(pictures, decoded, strict=True):
        part = played[: size[0], : size[1]].astype(int)
        assert np.abs(part - picture).mean() < 3
    header = (tmp_path / "a.mp4").read_bytes()
    assert header.index(b"moov") < header.index(b"mdat")  # plays while it loads


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_webp_keeps_every_pixel_and_both_play_for_ever(suffix, tmp_path):
    pictures = frames((31, 22))
    write_video(tmp_path / f"a{suffix}", iter(pictures), 10)
    with Image.open(tmp_path / f"a{suffix}") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (5, 0)
        for number, picture in enumerate(pictures):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == 100
            difference = np.abs(np.array(animation.convert("RGB")).astype(int) - picture)
            assert difference.max() == 0 if suffix == ".webp" else difference.mean() < 5


def test_an_animation_of_steps_keeps_every_pixel_and_holds_the_last(tmp_path):
    pictures = frames((31, 22), 3)
    write_animation(tmp_path / "a.webp", pictures)
    with Image.open(tmp_path / "a.webp") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (3, 0)
        for number, milliseconds in enumerate((150, 150, 1200)):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == milliseconds
            assert (np.array(animation.convert("RGB")) == pictures[number]).all()


@pytest.mark.parametrize(("name", "fps"), [("a.avi", 25), ("a.mp4", 0), ("a.webp", 61), ("a.gif", 51)])
def test_other_files_and_rates_are_refused(name, fps, tmp_path):
    with pytest.raises(ValueError, match=rf"give \.mp4, \.webp, \.gif and 1 to {50 if 'gif' in name else 60}"):
        write_video(tmp_path / name, iter(frames((8, 8))), fps)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_and_a_broken_stream_leaves_no_file(tmp_path, monkeypatch):
    def broken():
        yield from frames((8, 8), 2)
        raise ValueError("no more")

    for name in ("a.mp4", "a.webp", "a.gif"):
        with pytest.raises(ValueError, match="no more"):
            write_video(tmp_path / name, broken(), 25)
    assert list(tmp_path.iterdir()) == []
    assert importlib.util.find_spec("av")
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-video\.txt"):
        write_video(tmp_path / "a.mp4", iter(frames((8, 8))), 25)
