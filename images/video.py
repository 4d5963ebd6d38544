"""Moving pictures in files: MP4 by PyAV, WebP and GIF by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from images.pixels import Pixels
from images.writing import replacing

VIDEOS = (".mp4", ".webp", ".gif")
FASTEST = 60  # frames a second; a GIF's frames last a whole number of hundredths


def write_video(path: str | Path, frames: Iterable[Pixels], fps: int) -> None:
    """Write (H, W, 3) frames as they come, in the format of the name's suffix.

    An MP4 is H.264 with 4:2:0 colours, which every player takes; its sides are made even by repeating the last row or
    column. WebP keeps every pixel, GIF has 256 colours; both play for ever.

    Raises:
        ValueError: a disk that takes no file, or as `check_video`.
    """
    path = Path(path)
    check_video(path, fps)
    with replacing(path) as part:
        if path.suffix.lower() == ".mp4":
            _write_mp4(part, frames, fps)
        else:
            part.write_bytes(encode_animation(frames, path.suffix.lower(), fps))


def check_video(path: Path, fps: int) -> None:
    """Raise ValueError, before any work is done, for a file or rate that is not written, or where PyAV is missing."""
    if path.suffix.lower() not in VIDEOS or not 1 <= fps <= FASTEST:
        raise ValueError(f"{path} at {fps} frames a second: give {', '.join(VIDEOS)} and 1 to {FASTEST}")
    if path.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise ValueError("MP4 needs PyAV: pip install -r requirements-video.txt, or name a .webp or .gif")


def encode_animation(frames: Iterable[Pixels], suffix: str, fps: int) -> bytes:
    """(H, W, 3) frames as the bytes of an endless `.webp` or `.gif`."""
    first, *rest = map(Image.fromarray, frames)
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"disposal": 1}
    file, milliseconds = io.BytesIO(), round(1000 / fps)
    first.save(file, suffix[1:], save_all=True, append_images=rest, duration=milliseconds, loop=0, **options)
    return file.getvalue()


def _write_mp4(part: Path, frames: Iterable[Pixels], fps: int) -> None:
    import av

    # the index in front, so that a browser plays while it loads
    with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(map(_even, frames)):
            if not number:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _even(picture: Pixels) -> Pixels:
    """With an even number of rows and columns, which 4:2:0 colours need."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge"))
