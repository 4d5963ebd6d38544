"""Tracks, statistics of reals and their cache, with a small network in Inception's place."""

import gc
import multiprocessing
import weakref
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

from images.names import person_of
from images.pixels import to_tensor
from metrics import evaluate
from metrics import reals as reals_module
from metrics.distribution import frechet_distance, kernel_distance
from metrics.evaluate import load_gallery, score_tracks
from metrics.images import array_image
from metrics.protocols import PROTOCOLS
from metrics.reals import Reals, prepare_reals, set_hash
from metrics.scorer import FeatureNetwork, Scorer, degrade_fingerprint, degraded, to_arrays
from metrics.slices import summarise
from metrics.task import Pair, Task, Track
from models.families import build_schedule
from models.schedules import QuantizeConfig, ResizeConfig

SIZE = (64, 48)
CPU = torch.device("cpu")
NAMES = (("inception_imagenet", "fid", "kid"), ("lite0", "fd_lite0", "kd_lite0"))
PROTOCOL = PROTOCOLS["nted"].model_copy(update={"batch_size": 4, "kid_subsets": 5, "embedding": "lite0"})


class FewColours(nn.Module):
    """Stands for Inception: the averages of six regions."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images.double() / 255, (2, 1)).flatten(1)


def make_scorer(protocol=PROTOCOL):
    networks = [FeatureNetwork(name, FewColours(), "weights", frechet, kernel) for name, frechet, kernel in NAMES]
    return Scorer(protocol, CPU, networks=networks)


@pytest.fixture
def scorer():
    return make_scorer()


@pytest.fixture(scope="module")
def truths(make_picture):
    return {f"{index:02d}.png": make_picture(index, SIZE) for index in range(10)}


@pytest.fixture(scope="module")
def fakes(truths):
    random = np.random.default_rng(0)
    return {n: np.clip(i + random.normal(9, 20, i.shape), 0, 255).astype(np.uint8) for n, i in truths.items()}


def files(images):
    return {name: array_image(name, partial(images.__getitem__, name)) for name in images}


def task_of(truths, *tracks):
    return Task([Pair(name, image) for name, image in files(truths).items()], list(tracks), SIZE)


def features_of(images):
    return FewColours()(to_tensor(images)).numpy()


def reals_of(images, scorer, cache, degrades=(None,)):
    reals = list(files(images).values())
    return prepare_reals(Reals(reals, set_hash(reals), scorer, SIZE, cache), degrades)


def degraded_arrays(images, degrade):
    return dict(zip(images, to_arrays(degraded(to_tensor(list(images.values())), degrade)), strict=True))


def test_scores_are_those_of_single_images_and_of_the_whole_sets(truths, fakes, scorer, tmp_path):
    task = task_of(truths, Track("final", files(fakes)))
    (scores,) = score_tracks(task, scorer, reals_of(truths, scorer, tmp_path))
    l1 = np.mean([np.abs(fakes[name] / 255 - truths[name] / 255).mean() for name in truths])
    ours, theirs = (features_of(list(images.values())) for images in (fakes, truths))
    assert scores.clean.columns["l1"].mean() == pytest.approx(l1)
    assert scores.clean.sets["fid"] == pytest.approx(frechet_distance(ours, theirs), rel=1e-6)
    assert scores.clean.sets["kid"] == pytest.approx(kernel_distance(ours, theirs, 5)[0], abs=1e-7)
    assert scores.clean.sets["fd_lite0"] == scores.clean.sets["fid"]
    assert "lpips" not in scores.clean.columns and scores.level is None


@pytest.mark.parametrize("section", [QuantizeConfig(), ResizeConfig(num_steps=4)])
@pytest.mark.parametrize("at_once", [1, 8])
def test_each_step_is_scored_against_clean_images_and_those_of_its_level(
    truths, scorer, tmp_path, section, at_once, monkeypatch
):
    for module in (evaluate, reals_module):
        monkeypatch.setattr(module, "TRACKS_AT_ONCE", at_once)
    schedule = build_schedule(section, SIZE)
    degrades = [partial(schedule.degrade, level=level) for level in (1, section.num_steps - 1)]
    steps = [degraded_arrays(truths, degrade) for degrade in degrades]
    tracks = [Track(str(step), files(images), degrades[step]) for step, images in enumerate(steps)]
    scores = score_tracks(task_of(truths, *tracks), scorer, reals_of(truths, scorer, tmp_path, [None, *degrades]))
    for step, (images, own) in enumerate(zip(steps, scores, strict=True)):
        assert not own.level.columns["l1"].any() and np.isposinf(own.level.columns["psnr"]).all()
        assert own.level.sets["fid"] == pytest.approx(0, abs=1e-9) and own.level.sets["spectrum"] == 0
        expected = [np.abs(images[name] / 255 - truths[name] / 255).mean() for name in truths]
        np.testing.assert_allclose(own.clean.columns["l1"], expected)
        ours, theirs = (features_of(list(one.values())) for one in (images, truths))
        assert own.clean.sets["fid"] == pytest.approx(frechet_distance(ours, theirs), rel=1e-3), step
    assert scores[0].clean.columns["l1"].mean() > scores[1].clean.columns["l1"].mean()  # later steps are clearer


def test_statistics_are_cached_by_content_level_and_protocol_and_never_stale(truths, fakes, tmp_path):
    cache, counted = tmp_path / "cache", []
    schedule = build_schedule(QuantizeConfig(), SIZE)
    network = FeatureNetwork("inception_imagenet", FewColours(), "weights", "fid", "kid")
    network.module.register_forward_hook(lambda *_: counted.append(1))

    def statistics(images, degrade=None, weights="weights", **choices):
        before = len(counted)
        own = FeatureNetwork(network.name, network.module, weights, "fid", "kid")
        scorer = Scorer(PROTOCOL.model_copy(update=choices), CPU, networks=[own])
        found = reals_of(images, scorer, cache, [degrade]).statistics(own, degrade)
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
    assert statistics(truths, weights="others")[1]
    assert not statistics(truths, name="another name")[1]
    for entry in cache.glob("*.npz"):
        entry.write_bytes(entry.read_bytes()[:1000])
    assert statistics(truths)[1]


def test_dropping_the_last_batch_leaves_its_images_out_of_fid_alone(truths, fakes, tmp_path):
    scorer = make_scorer(PROTOCOL.model_copy(update={"drop_last": True}))
    task = task_of(truths, Track("final", files(fakes)))
    (scores,) = score_tracks(task, scorer, reals_of(truths, scorer, tmp_path))
    ours, theirs = (features_of(list(images.values())[:8]) for images in (fakes, truths))
    assert scores.clean.sets["fid"] == pytest.approx(frechet_distance(ours, theirs), rel=1e-6)
    assert np.isfinite(scores.clean.columns["ssim"]).sum() == 10


def test_a_level_is_known_by_what_it_does():
    schedules = {steps: build_schedule(ResizeConfig(num_steps=steps), SIZE) for steps in (4, 8)}
    prints = {
        (steps, level): degrade_fingerprint(partial(schedules[steps].degrade, level=level), SIZE, CPU)
        for steps, level in ((4, 1), (4, 2), (8, 2))
    }
    assert prints[4, 1] == prints[8, 2] != prints[4, 2]  # twice the steps, but the same size


def test_a_generated_image_of_another_size_is_named(truths, fakes, scorer):
    wrong = dict(fakes) | {"04.png": fakes["04.png"][:32]}
    with pytest.raises(ValueError, match=r"04\.png is 32x48"):
        score_tracks(task_of(truths, Track("final", files(wrong))), scorer)


def by_persons(truths, fakes):
    """Pairs of which three each are of one person."""
    names = [f"fashionMENDenimid{index // 3 + 1:08d}0{index % 3}_1front.png" for index in range(len(truths))]
    renamed = [dict(zip(names, images.values(), strict=True)) for images in (truths, fakes)]
    pairs = [Pair(name, image, person=person_of(name)) for name, image in files(renamed[0]).items()]
    return Task(pairs, [Track("final", files(renamed[1]))], SIZE)


def everything(task, scorer, cache):
    """All that is found, as plain values; None on a process that is not the main one."""
    reals = reals_of({pair.name: pair.target.read() for pair in task.pairs}, scorer, cache)
    scores = score_tracks(task, scorer, reals, load_gallery(task, scorer))
    if not scores:
        return None
    (one,) = scores
    means = summarise(one.clean.columns, task.clusters())
    return means | one.clean.sets | {"digests": one.digests, "truth": one.truth_digest, "reals": reals.content}


def shared_scores(rank: int, folder: Path, truths, fakes) -> None:
    torch.set_num_threads(1)
    if rank:  # one process has its cache already, the other has none
        everything(by_persons(truths, fakes), make_scorer(), folder / "cache 1")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    torch.save(everything(by_persons(truths, fakes), make_scorer(), folder / f"cache {rank}"), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_find_what_one_finds(truths, fakes, tmp_path):
    expected = everything(by_persons(truths, fakes), make_scorer(), tmp_path / "cache")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=shared_scores, args=(rank, tmp_path, truths, fakes)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        worker.kill()
    found, nothing = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2))
    assert nothing is None and found.keys() == expected.keys() and "recall_1" in found
    for name, value in expected.items():
        is_exact = name in ("ssim", "psnr", "l1", "mae", "digests", "truth", "reals", "intervals")
        assert found[name] == (value if is_exact else pytest.approx(value, rel=1e-9, abs=1e-12)), name


def test_what_is_kept_of_features_does_not_grow_with_images_or_tracks(truths, scorer, tmp_path, monkeypatch):
    """Statistics of at most TRACKS_AT_ONCE tracks exist at a time, and each of its sample's vectors by itself."""
    monkeypatch.setattr(evaluate, "TRACKS_AT_ONCE", 2)
    alive, most = weakref.WeakSet(), []
    made = evaluate._empty

    def counted(scorer):
        gc.collect()
        found = made(scorer)
        alive.update(found.values())
        most.append(len(alive))
        return found

    monkeypatch.setattr(evaluate, "_empty", counted)
    tracks = [Track(str(index), files(truths)) for index in range(6)]
    score_tracks(task_of(truths, *tracks), scorer, reals_of(truths, scorer, tmp_path))
    assert most == [len(NAMES), 2 * len(NAMES)] * 3
