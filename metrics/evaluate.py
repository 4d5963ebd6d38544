"""Score every track (a step's images, or the baseline) of a list of pairs.

Processes share the pairs, and what they find is put together on the main one, some tracks at a time: memory grows
neither with the number of tracks nor, but for a few numbers an image, with that of images.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor
from tqdm import tqdm

from images.pixels import Pixels, Size, digest
from metrics import parallel
from metrics.distribution import FeatureSample, FeatureStatistics, frechet_distance_of, kernel_distance
from metrics.identity import Gallery
from metrics.images import ImageFile, prepare, read_generated
from metrics.protocols import Protocol
from metrics.reals import TRACKS_AT_ONCE, Reals
from metrics.scorer import Columns, FeatureNetwork, Scorer, degraded, to_arrays
from metrics.spectra import Spectrum, spectral_distance
from metrics.task import Pair, Task, Track

CLEAN, LEVEL = "clean", "level"


@dataclass
class Scores:
    """One track against one kind of ground truth: a score of each image, and those of the whole set."""

    columns: Columns
    sets: dict[str, float] = field(default_factory=dict)


@dataclass
class TrackScores:
    """What was found of a track: against the clean ground truth, and against that of the step's own level."""

    clean: Scores
    level: Scores | None
    digests: list[str]
    spectrum: Spectrum
    truth_spectrum: Spectrum
    truth_digest: str


@dataclass
class Part:
    """What one process found of one track."""

    positions: list[int] = field(default_factory=list)
    columns: dict[str, list[Columns]] = field(default_factory=dict)
    statistics: dict[str, FeatureStatistics] = field(default_factory=dict)
    spectra: dict[str, Spectrum] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Pairs with their position among all pairs, and their ground truth, also as (B, 3, H, W) on the device."""

    positions: list[int]
    pairs: list[Pair]
    targets: list[Pixels]
    tensor: Tensor


def score_tracks(
    task: Task, scorer: Scorer, reals: Reals | None = None, gallery: Gallery | None = None
) -> list[TrackScores]:
    """Scores of each track on the main process, however many share the work; nothing on the others.

    Raises ValueError for an image that is damaged or of another size.
    """
    results: list[TrackScores] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(task.tracks), TRACKS_AT_ONCE):
            results += _score_some(task, task.tracks[start : start + TRACKS_AT_ONCE], scorer, reals, gallery, pool)
    return results


def _score_some(
    task: Task,
    tracks: Sequence[Track],
    scorer: Scorer,
    reals: Reals | None,
    gallery: Gallery | None,
    pool: ThreadPoolExecutor,
) -> list[TrackScores]:
    """Scores of a few tracks, whose statistics are forgotten after that; ground truth is read once for all of them."""
    truth, parts = Part(), [Part(statistics=_empty(scorer)) for _ in tracks]
    count = _feature_count(len(task.pairs), scorer)
    for batch in _batches(task, scorer, pool, f"scoring {tracks[0].label} ..."):
        _add_truth(batch, truth)
        for track, part in zip(tracks, parts, strict=True):
            _add_batch(batch, track, part, scorer, gallery, pool, count)
    shares = parallel.collect([truth, *parts])
    if not shares:
        return []
    truth, *joined = (_join([share[index] for share in shares]) for index in range(len(tracks) + 1))
    return [
        _finish(part, truth, track, len(task.pairs), scorer, reals) for part, track in zip(joined, tracks, strict=True)
    ]


def distances(
    fakes: FeatureStatistics, reals: FeatureStatistics, network: FeatureNetwork, protocol: Protocol
) -> dict[str, float]:
    """The Frechet distance, and the kernel distance with its deviation over subsets; nothing for single images."""
    if min(fakes.moments.count, reals.moments.count) < 2:
        return {}
    kernel, deviation = kernel_distance(
        fakes.sample.features(), reals.sample.features(), protocol.kid_subsets, protocol.kid_subset_size
    )
    return {
        network.frechet: frechet_distance_of(fakes.moments, reals.moments),
        network.kernel: kernel,
        f"{network.kernel}_deviation": deviation,
    }


def load_gallery(task: Task, scorer: Scorer) -> Gallery | None:
    """Features of all test images, shared among processes; None without a network, or where it is not said who is who.

    Raises ValueError like `score_tracks`.
    """
    network = scorer.identity
    if network is None or not task.has_persons() or len(set(task.clusters())) < 2:
        return None
    every = {image.name: (image, pair.person) for pair in task.pairs for image in _own_images(pair)}
    mine, step = parallel.share(list(every)), scorer.protocol.batch_size
    found: list[np.ndarray] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(mine), step):
            files = [every[name][0] for name in mine[start : start + step]]
            images = list(pool.map(lambda image: _read_prepared(image, task.size, scorer.protocol), files))
            found.append(network.embed(scorer.to_device(images)))
    shares = parallel.gather((mine, np.concatenate(found) if found else None))
    names = [name for part, _ in shares for name in part]
    features = np.concatenate([part for _, part in shares if part is not None])
    order = sorted(range(len(names)), key=names.__getitem__)
    return Gallery(features[order], [names[i] for i in order], [str(every[names[i]][1]) for i in order])


def _own_images(pair: Pair) -> list[ImageFile]:
    return [image for image in (pair.source, pair.target) if image is not None]


def _batches(task: Task, scorer: Scorer, pool: ThreadPoolExecutor, what: str) -> Iterator[Batch]:
    mine = parallel.share(list(enumerate(task.pairs)))
    step, (rank, _) = scorer.protocol.batch_size, parallel.rank_and_world()
    with tqdm(total=len(mine), unit="pair", desc=what, disable=rank > 0 or None) as bar:
        for start in range(0, len(mine), step):
            positions, members = map(list, zip(*mine[start : start + step], strict=True))
            targets = list(pool.map(lambda pair: _read_prepared(pair.target, task.size, scorer.protocol), members))
            yield Batch(positions, members, targets, scorer.to_device(targets))
            bar.update(len(members))


def _add_truth(batch: Batch, part: Part) -> None:
    part.positions += batch.positions
    part.digests += [digest(image.tobytes()) for image in batch.targets]
    part.spectra.setdefault(CLEAN, Spectrum()).add(batch.tensor)


def _add_batch(
    batch: Batch,
    track: Track,
    part: Part,
    scorer: Scorer,
    gallery: Gallery | None,
    pool: ThreadPoolExecutor,
    feature_count: int,
) -> None:
    read = read_generated if track.prepared else _read_prepared
    size = (batch.targets[0].shape[0], batch.targets[0].shape[1])
    generated = list(pool.map(lambda pair: read(track.images[pair.name], size, scorer.protocol), batch.pairs))
    ours = scorer.to_device(generated)
    truths = {CLEAN: (batch.targets, batch.tensor)}
    if track.degrade is not None:
        level = degraded(batch.tensor, track.degrade)
        truths[LEVEL] = (to_arrays(level), level)
        part.spectra.setdefault(LEVEL, Spectrum()).add(level)
    boxes = np.stack([np.full(4, -1.0) if pair.face is None else pair.face for pair in batch.pairs])
    for kind, (targets, theirs) in truths.items():
        columns = scorer.pixel_scores(generated, targets, pool) | scorer.lpips_scores(ours, theirs)
        part.columns.setdefault(kind, []).append(columns | scorer.face_scores(ours, theirs, boxes))
    of_image = part.columns[CLEAN][-1]
    of_image |= scorer.pose_scores(ours, [pair.joints for pair in batch.pairs])
    kept = [row for row, position in enumerate(batch.positions) if position < feature_count]
    for network in scorer.networks:
        features = network.embed(ours)
        part.statistics[network.frechet].add([batch.pairs[row].name for row in kept], features[kept])
        if gallery is not None and network is scorer.identity:
            targets_names, persons = zip(*((pair.target.name, pair.person) for pair in batch.pairs), strict=True)
            of_image |= gallery.recalls(features, targets_names, persons)
    part.positions += batch.positions
    part.digests += [digest(image.tobytes()) for image in generated]
    part.spectra.setdefault("generated", Spectrum()).add(ours)


def _join(parts: list[Part]) -> Part:
    """What all processes found of a track."""
    whole = parts[0]
    for part in parts[1:]:
        whole.positions += part.positions
        whole.digests += part.digests
        for kind, columns in part.columns.items():
            whole.columns.setdefault(kind, []).extend(columns)
        for name, statistics in part.statistics.items():
            whole.statistics[name].merge(statistics)
        for name, spectrum in part.spectra.items():
            whole.spectra.setdefault(name, Spectrum()).merge(spectrum)
    return whole


def _finish(part: Part, truth: Part, track: Track, count: int, scorer: Scorer, reals: Reals | None) -> TrackScores:
    own = part.spectra["generated"]
    found = {}
    for kind, columns in part.columns.items():
        degrade = track.degrade if kind == LEVEL else None
        theirs = part.spectra[LEVEL] if kind == LEVEL else truth.spectra[CLEAN]
        sets = {"spectrum": spectral_distance(own, theirs)}
        for network in scorer.networks if reals else []:
            assert reals is not None
            fakes = part.statistics[network.frechet].finish()
            sets |= distances(fakes, reals.statistics(network, degrade), network, scorer.protocol)
        found[kind] = Scores(_in_order(columns, part.positions, count), sets)
    by_position = dict(zip(truth.positions, truth.digests, strict=True))
    return TrackScores(
        clean=found[CLEAN],
        level=found.get(LEVEL),
        digests=[text for _, text in sorted(zip(part.positions, part.digests, strict=True))],
        spectrum=own,
        truth_spectrum=truth.spectra[CLEAN],
        truth_digest=digest("\n".join(by_position[position] for position in sorted(by_position)).encode()),
    )


def _in_order(batches: Sequence[Columns], positions: Sequence[int], count: int) -> Columns:
    """Scores by the position of their pair; NaN where a batch has none of a kind."""
    columns: Columns = {}
    start = 0
    for batch in batches:
        size = len(next(iter(batch.values())))
        for name, values in batch.items():
            columns.setdefault(name, np.full(count, np.nan))[positions[start : start + size]] = values
        start += size
    return columns


def _read_prepared(image: ImageFile, size: Size, protocol: Protocol) -> Pixels:
    return prepare(image.read(), size, protocol, image.name)


def _empty(scorer: Scorer) -> dict[str, FeatureStatistics]:
    limit = scorer.protocol.kid_sample
    return {network.frechet: FeatureStatistics(FeatureSample(limit)) for network in scorer.networks}


def _feature_count(count: int, scorer: Scorer) -> int:
    step = scorer.protocol.batch_size
    return count // step * step if scorer.protocol.drop_last else count
