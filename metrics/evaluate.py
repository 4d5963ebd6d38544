"""Score every track (a step's images, or the baseline) of a list of pairs against ground truth."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from images.pixels import Pixels, Size, digest
from metrics import parallel
from metrics.distribution import frechet_distance_of, kernel_distance
from metrics.images import ImageFile, prepare, read_generated
from metrics.protocols import Protocol
from metrics.scorer import FeatureStatistics, Row, Scorer, degrade_pixels

Degrade = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pair:
    """One image to score: its name, its ground truth, and what is known of it."""

    name: str
    target: ImageFile
    source: ImageFile | None = None
    joints: NDArray[np.floating] | None = None  # (18, 2) x, y in pixels of the image, NaN where missing
    face: NDArray[np.floating] | None = None  # (4,) eyes x14, y14, x15, y15; -1 where missing


@dataclass(frozen=True)
class Track:
    """Generated images by pair name, scored against ground truth that `degrade` (None: nothing) has coarsened."""

    label: str
    images: Mapping[str, ImageFile]
    degrade: Degrade | None = None
    prepared: bool = True  # False: brought to size like ground truth (the sources of the trivial baseline)


@dataclass
class TrackScores:
    """A track's scores by image, and the statistics of its features."""

    rows: list[Row] = field(default_factory=list)
    statistics: FeatureStatistics | None = None


@dataclass(frozen=True)
class Batch:
    """Pairs with their position among all pairs, and their ground truth."""

    positions: list[int]
    pairs: list[Pair]
    targets: list[Pixels]


def score_tracks(pairs: Sequence[Pair], tracks: Sequence[Track], scorer: Scorer, size: Size) -> list[TrackScores]:
    """Scores of each track, the same on every process, however many share the work.

    Ground truth is read once for all tracks. Raises ValueError for an image that is damaged or of another size.
    """
    results = [TrackScores(statistics=_empty(scorer)) for _ in tracks]
    limit = _feature_count(len(pairs), scorer)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in _batches(pairs, scorer, size, pool):
            for track, result in zip(tracks, results, strict=True):
                _score_batch(batch, track, scorer, result, limit, pool)
    return [_merge([shares[index] for shares in parallel.gather(results)]) for index in range(len(tracks))]


def summarise(scores: TrackScores, reals: FeatureStatistics | None, scorer: Scorer) -> dict[str, Any]:
    """The means of a track's scores over its images, with FID and KID against `reals`.

    A copy of the ground truth has an infinite PSNR: it is counted as `identical` and left out of that mean.
    """
    keys = sorted({key for row in scores.rows for key, value in row.items() if isinstance(value, float)})
    means: dict[str, Any] = {key: _mean([row[key] for row in scores.rows]) for key in keys}
    means |= {key: means.get(key) for key in ("lpips", "fid", "kid")}
    means["identical"] = sum(row["psnr"] == np.inf for row in scores.rows)
    if (
        scores.statistics is not None
        and reals is not None
        and min(scores.statistics.moments.count, reals.moments.count) > 1
    ):
        means |= distances(scores.statistics, reals, scorer)
    return means


def distances(fakes: FeatureStatistics, reals: FeatureStatistics, scorer: Scorer) -> dict[str, float]:
    """FID, and KID with its deviation over subsets."""
    protocol = scorer.protocol
    kid, deviation = kernel_distance(
        fakes.sample.features(), reals.sample.features(), protocol.kid_subsets, protocol.kid_subset_size
    )
    return {"fid": frechet_distance_of(fakes.moments, reals.moments), "kid": kid, "kid_deviation": deviation}


def equal_contents(rows: Sequence[Row]) -> int:
    """How many images are byte for byte a copy of another in the same track."""
    return sum(count - 1 for count in Counter(row["digest"] for row in rows).values())


def _batches(pairs: Sequence[Pair], scorer: Scorer, size: Size, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    mine = parallel.share(list(enumerate(pairs)))
    step, (rank, _) = scorer.protocol.batch_size, parallel.rank_and_world()
    with tqdm(total=len(mine), unit="pair", desc="scoring", disable=rank > 0 or None) as bar:
        for start in range(0, len(mine), step):
            positions, members = map(list, zip(*mine[start : start + step], strict=True))
            targets = list(pool.map(lambda pair: _read_prepared(pair.target, size, scorer.protocol), members))
            yield Batch(positions, members, targets)
            bar.update(len(members))


def _score_batch(
    batch: Batch, track: Track, scorer: Scorer, result: TrackScores, limit: int, pool: ThreadPoolExecutor
) -> None:
    targets = degrade_pixels(batch.targets, track.degrade)
    size = (targets[0].shape[0], targets[0].shape[1])
    read = read_generated if track.prepared else _read_prepared
    generated = list(pool.map(lambda pair: read(track.images[pair.name], size, scorer.protocol), batch.pairs))
    rows = scorer.pixel_scores(list(zip(generated, targets, strict=True)), pool)
    for pair, row, image, distance in zip(
        batch.pairs, rows, generated, scorer.lpips_scores(generated, targets), strict=True
    ):
        result.rows.append({"name": pair.name, "digest": digest(image.tobytes()), **row, "lpips": distance})
    _score_people(batch, generated, targets, scorer, result.rows[-len(rows) :])
    if result.statistics is not None:
        kept = [image for position, image in zip(batch.positions, generated, strict=True) if position < limit]
        names = [pair.name for position, pair in zip(batch.positions, batch.pairs, strict=True) if position < limit]
        if kept:
            result.statistics.add(names, scorer.embed(kept))


def _score_people(
    batch: Batch, generated: list[Pixels], targets: list[Pixels], scorer: Scorer, rows: list[Row]
) -> None:
    """Add what needs joints: the scores of faces, and of the pose where a detector was asked for."""
    if scorer.detector is not None:
        scores = scorer.pose_scores(generated, [pair.joints for pair in batch.pairs])
        for row, score in zip(rows, scores, strict=True):
            row["pckh"] = score
    if scorer.face_crop is None or all(pair.face is None for pair in batch.pairs):
        return
    boxes = np.stack([np.full(4, -1.0) if pair.face is None else pair.face for pair in batch.pairs])
    for row, face in zip(rows, scorer.face_scores(generated, targets, boxes), strict=True):
        row |= face


def _read_prepared(image: ImageFile, size: Size, protocol: Protocol) -> Pixels:
    return prepare(image.read(), size, protocol, image.name)


def _merge(shares: list[TrackScores]) -> TrackScores:
    rows = sorted((row for part in shares for row in part.rows), key=lambda row: row["name"])
    statistics = shares[0].statistics
    for part in shares[1:]:
        if statistics is not None and part.statistics is not None:
            statistics = statistics.merge(part.statistics)
    return TrackScores(rows, statistics)


def _empty(scorer: Scorer) -> FeatureStatistics | None:
    return None if scorer.features is None else FeatureStatistics.empty(scorer.protocol)


def _feature_count(count: int, scorer: Scorer) -> int:
    step = scorer.protocol.batch_size
    return count // step * step if scorer.protocol.drop_last else count


def _mean(values: list[float | None]) -> float | None:
    finite = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(finite)) if finite else None
