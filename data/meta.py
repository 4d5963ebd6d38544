"""What a store says of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from data.openpose import Frame
from data.records import FileState


@dataclass(frozen=True)
class StoreMeta:
    """What a store says of itself.

    Args:
        size: (H, W) of its images.
        format: `png` or `raw`.
        frame: of its keypoints; None: it has none.
        layout: what its image files were taken for; "": not known.
        map_channels: of its condition maps; 0: it has none.
        inputs: hash of all above and of all files that it was made from; "": not known.
    """

    size: tuple[int, int]
    format: str = "png"
    frame: Frame | None = None
    layout: str = ""
    map_channels: int = 0
    inputs: str = ""

    def of(self, files: Iterable[FileState]) -> StoreMeta:
        """The same with the hash of the files; without any, without a hash."""
        lines = sorted(f"{file.name} {file.digest}" for file in files)
        alone = replace(self, inputs="")
        text = "\n".join([repr(alone), *lines])
        return replace(alone, inputs=hashlib.blake2b(text.encode(), digest_size=16).hexdigest() if lines else "")

    def encode(self) -> bytes:
        """As a store holds it: JSON."""
        return json.dumps(asdict(self)).encode()


def parse_meta(value: bytes) -> StoreMeta | None:
    """What `StoreMeta.encode` gave, in this version or an earlier one; None where it is damaged."""
    try:
        fields = json.loads(value)
        frame = Frame(*fields["frame"]) if fields["frame"] else None
        size = int(fields["size"][0]), int(fields["size"][1])
        layout, inputs = (str(fields.get(name, "")) for name in ("layout", "inputs"))
        return StoreMeta(size, str(fields["format"]), frame, layout, int(fields.get("map_channels", 0)), inputs)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        return None
