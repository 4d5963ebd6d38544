"""Samples: what they hold and what they depend on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data import loader
from data.dataset import PairDataset, apply_view, draw_view
from data.draws import Draw
from data.openpose import pose_file, read_keypoints
from data.pose import POSE_FORMS, to_image_frame
from data.sampler import Share, StepSampler
from data.store import ImageStore, store_path
from tests.tiny import pair_dataset

SIZE = (64, 48)


def dataset(root: Path, split: str = "train", pose: str = "skeleton", **options) -> PairDataset:
    return pair_dataset(root, split, SIZE, pose, **({"augment_scale": 1.2, "num_directions": 2, "seed": 3} | options))


def equal(first: dict, second: dict) -> bool:
    return all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)


@pytest.mark.parametrize("pose", POSE_FORMS)
def test_a_batch_has_the_promised_shapes_and_ranges(root: Path, pose: str) -> None:
    data = dataset(root, pose=pose)
    sampler = StepSampler(len(data), Share(4, 4), range(2))
    batches = [loader.to_device(batch, "cpu") for batch in loader.train_loader(data, sampler, 0, False)]
    assert len(batches) == 2
    batch = batches[0]
    for role in ("source", "target"):
        assert batch[f"{role}_image"].shape == (4, 3, *SIZE)
        assert -1 <= batch[f"{role}_image"].min() < -0.6 and 0.6 < batch[f"{role}_image"].max() <= 1
        assert batch[f"{role}_pose"].shape == (4, POSE_FORMS[pose].num_channels, *SIZE)
        assert batch[f"{role}_pose"].min() >= 0 and 0.5 < batch[f"{role}_pose"].max() <= 1
        assert batch[f"{role}_face"].shape == (4, 4)
    assert batch["noise"].shape == (4, 2, 3, *SIZE)
    assert batch["start"].shape == (4, 2) and batch["start"].min() >= 0 and batch["start"].max() < 1
    assert batch["start"][0, 0] == 0 and (batch["start"][1:] > 0).all()
    assert all(value.dtype in (torch.float32, torch.int64) for value in batch.values())


def test_a_sample_is_a_function_of_seed_epoch_and_index(root: Path) -> None:
    sample = dataset(root)[Draw(2, 4)]
    assert equal(sample, dataset(root)[Draw(2, 4)])
    assert not equal(sample, dataset(root)[Draw(3, 4)])
    assert not equal(sample, dataset(root, seed=4)[Draw(2, 4)])


def test_training_draws_every_source_and_testing_the_first(root: Path) -> None:
    train, test = dataset(root, augment_scale=1), dataset(root, "test")
    images = {bytes(train[Draw(epoch, 0)]["source_image"].numpy()) for epoch in range(20)}
    keys = [train.table.name(number) for number in train.table.sources(0)]
    assert images == {train.store.read(key).transpose(2, 0, 1).tobytes() for key in keys} and len(images) == 2
    source, target = test.names(0)
    sample = test[Draw(0, 0)]
    np.testing.assert_array_equal(sample["source_image"].numpy().transpose(1, 2, 0), test.store.read(source))
    np.testing.assert_array_equal(sample["target_image"].numpy().transpose(1, 2, 0), test.store.read(target))


def test_keypoints_are_the_same_from_the_store_and_from_files(root: Path) -> None:
    data = dataset(root)
    key = data.names(0)[1]
    np.testing.assert_array_equal(data.keypoints(key), read_keypoints(pose_file(root, key)))
    assert data.store.meta and data.store.meta.frame == data.frame


def test_a_published_store_takes_keypoints_from_files(root: Path, tmp_path: Path) -> None:
    import lmdb

    shutil.copytree(root, tmp_path / "d")
    with lmdb.open(str(tmp_path / "d" / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        transaction.delete(b"meta")
    assert equal(dataset(root)[Draw(0, 1)], dataset(tmp_path / "d")[Draw(0, 1)])
    shutil.rmtree(tmp_path / "d" / "pose")
    with pytest.raises(ValueError, match="holds no keypoints and there is no folder"):
        dataset(tmp_path / "d")


def test_joints_stay_on_the_image_under_augmentation() -> None:
    # one bright pixel at the neck: after scale and crop it is where the moved joint says
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = np.zeros((*SIZE, 3), np.uint8)
        image[20:23, 30:33] = 255
        view = draw_view(SIZE, 1.5, rng)
        x_file = (31 + 0.5) * 176 / SIZE[1] + 40  # pixel centres lie at half pixels
        y_file = (21 + 0.5) * 256 / SIZE[0]
        joint = to_image_frame(np.tile([x_file, y_file], (18, 1)), SIZE, *view)[0] - 0.5
        seen = apply_view(image, view)
        assert seen.shape == image.shape
        if seen.max() == 255 and 3 < joint[0] < SIZE[1] - 4 and 3 < joint[1] < SIZE[0] - 4:
            rows, columns = np.nonzero(seen[..., 0] > 127)
            assert abs(columns.mean() - joint[0]) < 0.6 and abs(rows.mean() - joint[1]) < 0.6


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_test_processes_share_all_pairs_and_their_noise(root: Path, world_size: int) -> None:
    data = dataset(root, "test")
    found = {}
    for rank in range(world_size):
        for batch in loader.test_loader(data, 2, 0, rank, world_size):
            noise = loader.to_device(batch, "cpu")["noise"]
            found |= {int(index): noise[i] for i, index in enumerate(batch["index"])}
    assert sorted(found) == list(range(len(data)))
    alone = {int(b["index"][0]): loader.to_device(b, "cpu")["noise"][0] for b in loader.test_loader(data, 1, 0)}
    assert all(torch.equal(found[index], alone[index]) for index in alone)


def test_loader_processes_give_the_same_batches(root: Path) -> None:
    data = dataset(root)
    sampler = StepSampler(len(data), Share(4, 4), range(3))
    plain, parallel = (list(loader.train_loader(data, sampler, workers, False)) for workers in (0, 2))
    assert all(equal(a, b) for a, b in zip(plain, parallel, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_input_in_a_loader_process_is_one_plain_line(tree: Path, root: Path, workers: int) -> None:
    import lmdb

    shutil.copytree(root / "64-48", tree / "64-48")
    key = dataset(tree).names(3)[1]
    with lmdb.open(str(tree / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        transaction.put(key.encode(), b"no image")
    sampler = StepSampler(6, Share(6, 6), range(1))
    with pytest.raises(ValueError, match="is damaged") as error:
        list(loader.train_loader(dataset(tree), sampler, workers, False))
    assert key in str(error.value) and "\n" not in str(error.value)


def test_images_that_the_store_lacks_are_named_at_the_start(tree: Path, root: Path) -> None:
    shutil.copytree(root / "64-48", tree / "64-48")
    with (tree / "train_pairs.txt").open("a") as file:
        file.write("img/x.jpg,img/y.jpg\n")
    with pytest.raises(ValueError, match=r"lacks 2 of the images in .*train_pairs.txt, the first: img/x.png"):
        dataset(tree)


def test_a_store_of_another_size_is_named(tree: Path, root: Path) -> None:
    shutil.copytree(root / "64-48", tree / "128-96")
    data = pair_dataset(tree, "train", (128, 96), "joints")
    with pytest.raises(ValueError, match=r"64x48 .*expected 128x96 .*--size 128-96"):
        data[Draw(0, 0)]
    assert len(ImageStore(store_path(tree, (128, 96)))) == 9
