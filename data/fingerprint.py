"""Whether training data are the same as they were: digests of the pairs, and of a few images and their keypoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from data.dataset import PairDataset

NUM_IMAGES = 8


def fingerprint(dataset: PairDataset) -> dict[str, str]:
    """Hexadecimal digests: `pairs` of all lines in their order, `images` and `keypoints` of a few spread evenly,
    and their `maps` where there are any.

    They say nothing of where the data lie, or whether a store holds PNGs or pixels. Raises ValueError for a bad image.
    """
    table = dataset.table
    few = np.linspace(0, len(table.keys) - 1, min(NUM_IMAGES, len(table.keys))).astype(int)
    names = [table.name(number) for number in few]
    digests = {
        "pairs": _digest(table),
        "images": _digest(map(dataset.store.read, names)),
        "keypoints": _digest(map(dataset.keypoints, names)),
    }
    return digests | ({"maps": _digest(map(dataset.maps, names))} if dataset.map_channels else {})


def _digest(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
