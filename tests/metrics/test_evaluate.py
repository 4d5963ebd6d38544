"""Tracks, statistics of reals and their cache, with a small network in Inception's place."""

import multiprocessing
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

from metrics import reals as reals_module
from metrics.distribution import frechet_distance, kernel_distance
from metrics.evaluate import Pair, Track, score_tracks, summarise
from metrics.images import array_image
from metrics.protocols import PROTOCOLS
from metrics.reals import real_statistics, set_hash
from metrics.scorer import Scorer, degrade_fingerprint, degrade_pixels, to_tensor
from models.families import build_schedule
from models.schedules import QuantizeConfig, ResizeConfig

SIZE = (64, 48)
CPU = torch.device("cpu")
PROTOCOL = PROTOCOLS["nted"].model_copy(update={"batch_size": 4, "kid_subsets": 5})


class FewColours(nn.Module):
    """Stands for Inception: the averages of six regions."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images.double() / 255, (2, 1)).flatten(1)


@pytest.fixture
def scorer(monkeypatch):
    monkeypatch.setattr(reals_module, "weights_hash", lambda name: "weights")
    return Scorer(PROTOCOL, CPU, features=FewColours())


@pytest.fixture(scope="module")
def truths(make_picture):
    return {f"{index:02d}.png": make_picture(index, SIZE) for index in range(10)}


@pytest.fixture(scope="module")
def fakes(truths):
    random = np.random.default_rng(0)
    return {n: np.clip(i + random.normal(9, 20, i.shape), 0, 255).astype(np.uint8) for n, i in truths.items()}


def files(images):
    return {name: array_image(name, partial(images.__getitem__, name)) for name in images}


def pairs_of(truths):
    return [Pair(name, image) for name, image in files(truths).items()]


def features_of(images):
    return FewColours()(to_tensor(images)).numpy()


def test_scores_are_those_of_single_images_and_of_the_whole_sets(truths, fakes, scorer, tmp_path):
    (scores,) = score_tracks(pairs_of(truths), [Track("final", files(fakes))], scorer, SIZE)
    reals = list(files(truths).values())
    (statistics,) = real_statistics(reals, set_hash(reals), [None], scorer, SIZE, tmp_path)
    means = summarise(scores, statistics, scorer)
    l1 = np.mean([np.abs(fakes[name] / 255 - truths[name] / 255).mean() for name in truths])
    ours, theirs = (features_of(list(images.values())) for images in (fakes, truths))
    assert means["l1"] == pytest.approx(l1)
    assert means["fid"] == pytest.approx(frechet_distance(ours, theirs), rel=1e-6)
    assert means["kid"] == pytest.approx(kernel_distance(ours, theirs, 5)[0], abs=1e-7)
    assert means["lpips"] is None


@pytest.mark.parametrize("section", [QuantizeConfig(), ResizeConfig(num_steps=4)])
def test_each_step_is_scored_against_ground_truth_and_reals_of_its_level(truths, scorer, tmp_path, section):
    schedule = build_schedule(section, SIZE)
    degrades = [partial(schedule.degrade, level=level) for level in (1, section.num_steps - 1)]
    steps = [dict(zip(truths, degrade_pixels(list(truths.values()), degrade), strict=True)) for degrade in degrades]
    tracks = [Track(str(step), files(images), degrades[step]) for step, images in enumerate(steps)]
    scores = score_tracks(pairs_of(truths), tracks, scorer, SIZE)
    reals = list(files(truths).values())
    statistics = real_statistics(reals, set_hash(reals), degrades, scorer, SIZE, tmp_path)
    for own, real in zip(scores, statistics, strict=True):
        means = summarise(own, real, scorer)
        assert (means["l1"], means["identical"], means["psnr"]) == (0, 10, None)
        assert means["fid"] == pytest.approx(0, abs=1e-9)
    assert summarise(scores[0], statistics[1], scorer)["fid"] > 1e-7


def test_statistics_are_cached_by_content_level_and_protocol_and_never_stale(truths, fakes, scorer, tmp_path):
    cache, counted = tmp_path / "cache", []
    scorer.features.register_forward_hook(lambda *_: counted.append(1))
    schedule = build_schedule(QuantizeConfig(), SIZE)

    def statistics(images, degrade=None, **choices):
        before = len(counted)
        scorer.protocol = PROTOCOL.model_copy(update=choices)
        reals = list(files(images).values())
        (found,) = real_statistics(reals, set_hash(reals), [degrade], scorer, SIZE, cache)
        return found.moments.mean, len(counted) > before

    first, computed = statistics(truths)
    again, recomputed = statistics({f"renamed {name}": image for name, image in truths.items()})
    assert computed and not recomputed
    np.testing.assert_array_equal(first, again)
    changed = dict(truths) | {"03.png": fakes["03.png"]}
    assert statistics(changed)[1]
    assert statistics(truths, partial(schedule.degrade, level=1))[1]
    assert statistics(truths, partial(schedule.degrade, level=2))[1]
    assert statistics(truths, resize_filter="box")[1]
    assert statistics(truths, drop_last=True)[1]
    assert not statistics(truths, name="another name")[1]
    for entry in cache.glob("*.npz"):
        entry.write_bytes(entry.read_bytes()[:1000])
    assert statistics(truths)[1]


def test_dropping_the_last_batch_leaves_its_images_out_of_fid_alone(truths, fakes, scorer):
    scorer.protocol = PROTOCOL.model_copy(update={"drop_last": True})
    (scores,) = score_tracks(pairs_of(truths), [Track("final", files(fakes))], scorer, SIZE)
    assert (scores.statistics.moments.count, len(scores.rows)) == (8, 10)


def test_a_level_is_known_by_what_it_does():
    schedules = {steps: build_schedule(ResizeConfig(num_steps=steps), SIZE) for steps in (4, 8)}
    prints = {
        (steps, level): degrade_fingerprint(partial(schedules[steps].degrade, level=level), SIZE)
        for steps, level in ((4, 1), (4, 2), (8, 2))
    }
    assert prints[4, 1] == prints[8, 2] != prints[4, 2]  # twice the steps, but the same size


def test_a_generated_image_of_another_size_is_named(truths, fakes, scorer):
    wrong = dict(fakes) | {"04.png": fakes["04.png"][:32]}
    with pytest.raises(ValueError, match=r"04\.png is 32x48"):
        score_tracks(pairs_of(truths), [Track("final", files(wrong))], scorer, SIZE)


def known(means):
    return {key: value for key, value in means.items() if value is not None}


def shared_scores(rank: int, folder: Path, truths, fakes) -> None:
    torch.set_num_threads(1)
    reals_module.weights_hash = lambda name: "weights"
    reals = list(files(truths).values())
    if rank:  # one process has its cache already, the other has none
        alone = Scorer(PROTOCOL, CPU, features=FewColours())
        real_statistics(reals, set_hash(reals), [None], alone, SIZE, folder / "cache 1")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    scorer = Scorer(PROTOCOL, CPU, features=FewColours())
    (scores,) = score_tracks(pairs_of(truths), [Track("final", files(fakes))], scorer, SIZE)
    content = set_hash(reals)
    (statistics,) = real_statistics(reals, content, [None], scorer, SIZE, folder / f"cache {rank}")
    torch.save((scores.rows, summarise(scores, statistics, scorer), content), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_find_what_one_finds(truths, fakes, scorer, tmp_path):
    (scores,) = score_tracks(pairs_of(truths), [Track("final", files(fakes))], scorer, SIZE)
    reals = list(files(truths).values())
    (statistics,) = real_statistics(reals, set_hash(reals), [None], scorer, SIZE, tmp_path / "cache")
    expected = known(summarise(scores, statistics, scorer))
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=shared_scores, args=(rank, tmp_path, truths, fakes)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        worker.kill()
    for rank in range(2):
        rows, means, content = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert rows == scores.rows and content == set_hash(reals)
        assert known(means) == pytest.approx(expected, rel=1e-9, abs=1e-12)
