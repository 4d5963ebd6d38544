"""Statistics of the real images that FID and KID compare with, per level, kept in a cache.

A cache entry is named by the contents of the images, their size, the level's degradation, the protocol's choices for
FID and KID and the network's weights: where any of these changes the name does, so that an entry is never stale.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from images.pixels import Size, digest
from metrics import parallel
from metrics.distribution import FeatureSample, Moments
from metrics.evaluate import Degrade
from metrics.images import ImageFile, prepare
from metrics.networks import weights_hash
from metrics.scorer import FeatureStatistics, Scorer, degrade_fingerprint, degrade_pixels

FORMAT_VERSION = 1
PROTOCOL_KEYS = (
    "resize_filter", "crop_columns", "inception", "inception_resize", "batch_size", "drop_last", "kid_sample",
)  # fmt: skip


def set_hash(images: Sequence[ImageFile]) -> str:
    """A hash of the contents of a set of images, whatever their names and order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda image: image.digest(), parallel.share(images)))
    everyone = sorted(digest for part in parallel.gather(digests) for digest in part)
    return digest("\n".join(everyone).encode())


def real_statistics(
    images: Sequence[ImageFile],
    content: str,
    degrades: Sequence[Degrade | None],
    scorer: Scorer,
    size: Size,
    cache: Path,
) -> list[FeatureStatistics]:
    """Statistics of the reals under each degradation, from `cache` where they are known.

    Args:
        images: the real set. content: its `set_hash`.
        degrades: one degradation a level, None for the clean images.
        cache: a folder; what is computed is added to it.
    """
    paths = [cache / f"{_key(content, degrade, scorer, size)}.npz" for degrade in degrades]
    unknown = dict.fromkeys(index for part in parallel.gather(_unknown(paths)) for index in part)
    if unknown:  # the same on every process, even where each has a cache of its own
        computed = _compute(images, [degrades[index] for index in unknown], scorer, size)
        for index, statistics in zip(unknown, computed, strict=True):
            _write(paths[index], statistics)
    return [entry for entry in map(_read, paths) if entry is not None]


def _unknown(paths: Sequence[Path]) -> list[int]:
    """Positions of entries that are not there, each file once."""
    first = {path: index for index, path in reversed(list(enumerate(paths)))}
    return sorted(index for path, index in first.items() if _read(path) is None)


def _compute(
    images: Sequence[ImageFile], degrades: Sequence[Degrade | None], scorer: Scorer, size: Size
) -> list[FeatureStatistics]:
    results = [FeatureStatistics.empty(scorer.protocol) for _ in degrades]
    step = scorer.protocol.batch_size
    used = images[: len(images) // step * step] if scorer.protocol.drop_last else images
    mine, (rank, _) = parallel.share(used), parallel.rank_and_world()
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(mine), unit="image", desc="reals", disable=rank > 0 or None) as bar,
    ):
        for start in range(0, len(mine), step):
            batch = mine[start : start + step]
            clean = list(pool.map(lambda image: prepare(image.read(), size, scorer.protocol, image.name), batch))
            for degrade, result in zip(degrades, results, strict=True):
                result.add([image.name for image in batch], scorer.embed(degrade_pixels(clean, degrade)))
            bar.update(len(batch))
    return [_merged([part[index] for part in parallel.gather(results)]) for index in range(len(degrades))]


def _merged(parts: list[FeatureStatistics]) -> FeatureStatistics:
    total = parts[0]
    for part in parts[1:]:
        total = total.merge(part)
    return total


def _key(content: str, degrade: Degrade | None, scorer: Scorer, size: Size) -> str:
    values = scorer.protocol.model_dump(mode="json")
    description = {key: values[key] for key in PROTOCOL_KEYS} | {
        "format": FORMAT_VERSION,
        "content": content,
        "size": list(size),
        "degrade": degrade_fingerprint(degrade, size),
        "weights": weights_hash(scorer.protocol.inception),
    }
    return digest(json.dumps(description, sort_keys=True).encode())


def _write(path: Path, statistics: FeatureStatistics) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    kept = statistics.sample.kept
    with os.fdopen(handle, "wb") as file:
        np.savez(
            file,
            count=statistics.moments.count,
            mean=statistics.moments.mean,
            scatter=statistics.moments.scatter,
            limit=statistics.sample.limit,
            hashes=np.array([entry[0] for entry in kept], dtype=object).astype(str),
            names=np.array([entry[1] for entry in kept], dtype=str),
            features=np.stack([entry[2] for entry in kept]) if kept else np.zeros((0, 0), np.float32),
        )
    os.replace(part, path)


def _read(path: Path) -> FeatureStatistics | None:
    """A cache entry; None where there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as entry:
            kept = list(zip(map(int, entry["hashes"]), map(str, entry["names"]), entry["features"], strict=True))
            moments = Moments(int(entry["count"]), entry["mean"], entry["scatter"])
            return FeatureStatistics(moments, FeatureSample(int(entry["limit"]), kept))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
