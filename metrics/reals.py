"""Statistics of the real images that distances of sets compare with, per level, kept in a cache.

A cache entry is named by the contents of the images, their size, the level's degradation, the protocol's choices for
these distances and the network's weights: where any of these changes the name does, so that an entry is never stale.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from images.pixels import Size, digest
from images.writing import replacing
from metrics import parallel
from metrics.distribution import FeatureSample, FeatureStatistics, Moments
from metrics.images import ImageFile, prepare
from metrics.protocols import Protocol
from metrics.scorer import Degrade, FeatureNetwork, Scorer, degrade_fingerprint, degraded

FORMAT_VERSION = 2
# statistics of so many are in memory at a time: 2048 features take 32 MB of moments and up to 40 MB of a sample
TRACKS_AT_ONCE = 8
PROTOCOL_KEYS = ("resize_filter", "crop_columns", "inception_resize", "batch_size", "drop_last", "kid_sample")


@dataclass(frozen=True)
class Entry:
    """One thing to keep: features of one network, of reals under one degradation."""

    network: FeatureNetwork
    degrade: Degrade | None
    path: Path


@dataclass(frozen=True)
class Reals:
    """The real set, whose statistics lie in a cache until they are asked for."""

    images: Sequence[ImageFile]
    content: str  # their `set_hash`
    scorer: Scorer
    size: Size
    cache: Path

    def statistics(self, network: FeatureNetwork, degrade: Degrade | None) -> FeatureStatistics:
        """Features of the reals under a degradation that was given to `prepare_reals`."""
        found = _read(self.entry(network, degrade).path)
        assert found is not None
        return found

    def entry(self, network: FeatureNetwork, degrade: Degrade | None) -> Entry:
        """Where these statistics are kept."""
        values = self.scorer.protocol.model_dump(mode="json")
        description = {key: values[key] for key in PROTOCOL_KEYS} | {
            "format": FORMAT_VERSION,
            "content": self.content,
            "size": list(self.size),
            "degrade": degrade_fingerprint(degrade, self.size, self.scorer.device),
            "network": network.name,
            "weights": network.weights,
        }
        name = digest(json.dumps(description, sort_keys=True).encode())
        return Entry(network, degrade, self.cache / f"{name}.npz")


def set_hash(images: Sequence[ImageFile]) -> str:
    """A hash of the contents of a set of images, whatever their names and order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda image: image.digest(), parallel.share(images)))
    everyone = sorted(found for part in parallel.gather(digests) for found in part)
    return digest("\n".join(everyone).encode())


def check_reals(content: str, protocol: Protocol) -> None:
    """Raise ValueError where a protocol accepts one real set only, and the one with this `set_hash` is another."""
    if protocol.real_hash not in (None, content):
        raise ValueError(f"the reals have the hash {content}, protocol {protocol.name} expects {protocol.real_hash}")


def prepare_reals(reals: Reals, degrades: Sequence[Degrade | None]) -> Reals:
    """The same, with statistics under each degradation (None: clean) in the cache of the main process.

    What it lacks is computed by all processes together. Raises ValueError for an image that is damaged.
    """
    entries = {
        entry.path.name: entry for network in reals.scorer.networks for degrade in degrades
        for entry in [reals.entry(network, degrade)]
    }  # fmt: skip
    (lacking, *_) = parallel.gather([name for name, entry in entries.items() if _read(entry.path) is None])
    for start in range(0, len(lacking), TRACKS_AT_ONCE):
        _compute(reals, [entries[name] for name in lacking[start : start + TRACKS_AT_ONCE]])
    return reals


def _compute(reals: Reals, entries: Sequence[Entry]) -> None:
    """Write some cache entries; their images are read once."""
    protocol = reals.scorer.protocol
    results = [FeatureStatistics(FeatureSample(protocol.kid_sample)) for _ in entries]
    step = protocol.batch_size
    used = reals.images[: len(reals.images) // step * step] if protocol.drop_last else reals.images
    mine, (rank, _) = parallel.share(used), parallel.rank_and_world()
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(mine), unit="image", desc="reals", disable=rank > 0 or None) as bar,
    ):
        for start in range(0, len(mine), step):
            batch = mine[start : start + step]
            clean = reals.scorer.to_device(
                list(pool.map(lambda image: prepare(image.read(), reals.size, protocol, image.name), batch))
            )
            for entry, result in zip(entries, results, strict=True):
                result.add([image.name for image in batch], entry.network.embed(degraded(clean, entry.degrade)))
            bar.update(len(batch))
    for entry, result in zip(entries, results, strict=True):
        if shares := parallel.collect(result.finish()):
            whole = shares[0]
            for share in shares[1:]:
                whole.merge(share)
            _write(entry.path, whole)


def _write(path: Path, statistics: FeatureStatistics) -> None:
    kept = statistics.sample.kept
    with replacing(path) as part, part.open("wb") as file:
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


def _read(path: Path) -> FeatureStatistics | None:
    """A cache entry; None where there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as entry:
            kept = list(zip(map(int, entry["hashes"]), map(str, entry["names"]), entry["features"], strict=True))
            moments = Moments(int(entry["count"]), entry["mean"], entry["scatter"])
            return FeatureStatistics(FeatureSample(int(entry["limit"]), kept), moments)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
