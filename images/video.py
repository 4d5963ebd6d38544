"""Moving pictures in files: MP4 by PyAV, WebP and GIF by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from images.pixels import Pixels
from images.writing import replacing, write_bytes

VIDEOS = (".mp4", ".webp", ".gif")
FASTEST = {".gif": 50}  # frames a second, else 60: what a GIF shows for less than two hundredths browsers show for ten


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
            part.write_bytes(encode_animation(frames, path.suffix.lower(), round(1000 / fps)))


def check_video(path: Path, fps: int) -> None:
    """Raise ValueError, before any work is done, for a file or rate that is not written, or where PyAV is missing."""
    suffix = path.suffix.lower()
    fastest = FASTEST.get(suffix, 60)
    if suffix not in VIDEOS or not 1 <= fps <= fastest:
        raise ValueError(f"{path} at {fps} frames a second: give {', '.join(VIDEOS)} and 1 to {fastest}")
    if suffix == ".mp4" and find_spec("av") is None:
        raise ValueError("MP4 needs PyAV: pip install -r requirements-video.txt, or name a .webp or .gif")


def write_animation(path: str | Path, images: Sequence[Pixels], milliseconds: int = 150, hold: int = 1200) -> None:
    """Write an endless animated WebP of (H, W, 3) images, the last one held for `hold` milliseconds."""
    durations = [*[milliseconds] * (len(images) - 1), hold]
    write_bytes(path, encode_animation(images, ".webp", durations))


def encode_animation(frames: Iterable[Pixels], suffix: str, milliseconds: int | Sequence[int]) -> bytes:
    """(H, W, 3) frames, each shown for so long, as the bytes of an endless `.webp` or `.gif`."""
    first, *rest = map(Image.fromarray, frames)
    # lossless: lossy WebP blurs just the detail that the steps add
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"disposal": 1}
    file = io.BytesIO()
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
