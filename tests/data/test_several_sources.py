"""Several sources of a line: how many a batch has, which ones, and what a sample looks like."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch

from data import loader
from data.dataset import PairDataset
from data.draws import Draw
from data.pairs import PairLine, output_name, read_pairs, store_key, write_pairs
from data.pose import POSE_FORMS
from data.sampler import Share, StepSampler
from tests.data.conftest import NAMES, SIZE
from tests.tiny import pair_dataset

# of ten lines: four with one source, six with three
COUNTS = np.array([1, 3, 1, 3, 3, 1, 3, 3, 1, 3])


def draws(counts: np.ndarray | None, batch: int = 4, steps: range = range(25), **share: int) -> list[list[Draw]]:
    size, micro = 10 if counts is None else len(counts), share.pop("micro", batch)
    return list(StepSampler(size, Share(batch, micro, **share), steps, seed=2, num_sources=counts))


def test_a_batch_has_the_sources_of_its_poorest_line():
    batches = draws(COUNTS)
    assert all({draw.num_sources for draw in batch} == {min(COUNTS[d.index] for d in batch)} for batch in batches)
    for epoch in range(9):
        assert sorted(d.index for batch in batches for d in batch if d.epoch == epoch) == list(range(10))


def test_few_sources_are_left_out_though_lines_have_one_to_three():
    counts = np.arange(1000) % 3 + 1
    batches = draws(counts, batch=16, steps=range(125))  # two epochs
    drawn = sum(draw.num_sources for batch in batches for draw in batch)
    assert 0.95 * counts.sum() * 2 <= drawn <= counts.sum() * 2
    assert sorted(draw.index for batch in batches for draw in batch) == sorted([*range(1000)] * 2)


def test_lines_of_equally_many_sources_keep_the_order_of_one():
    one = [draw.index for batch in draws(None) for draw in batch]
    assert [draw.index for batch in draws(np.full(10, 2)) for draw in batch] == one
    assert {draw.num_sources for batch in draws(np.full(10, 2)) for draw in batch} == {2}
    assert {draw.num_sources for batch in draws(None) for draw in batch} == {1}


def test_processes_accumulation_and_resuming_see_the_same_sources():
    whole = [draw for batch in draws(COUNTS, batch=8, steps=range(6)) for draw in batch]
    parts = [draws(COUNTS, batch=8, steps=range(2, 6), micro=2, rank=rank, world_size=2) for rank in (0, 1)]
    assert [draw for pair in zip(*parts, strict=True) for batch in pair for draw in batch] == whole[16:]


@pytest.mark.parametrize("pose", POSE_FORMS)
def test_training_draws_different_sources_as_a_function_of_the_counters(root: Path, pose: str):
    data = pair_dataset(root, "train", SIZE, pose, num_sources=3, seed=1)
    assert data.num_sources.tolist() == [2] * 6
    pictures = [data.store.read(data.table.name(n)).transpose(2, 0, 1).tobytes() for n in data.table.sources(0)]
    orders = set()
    for epoch in range(12):
        sample, again = (data[Draw(epoch, 0, num_sources=2)] for _ in range(2))
        assert all(torch.equal(sample[name].nan_to_num(), again[name].nan_to_num()) for name in sample)
        assert sample["source_image"].shape == (2, 3, *SIZE) and sample["source_face"].shape == (4,)
        orders.add(tuple(pictures.index(image.numpy().tobytes()) for image in sample["source_image"]))
    assert orders == {(0, 1), (1, 0)}


@pytest.mark.parametrize("pose", POSE_FORMS)
def test_images_poses_and_face_of_a_batch_belong_together(root: Path, pose: str):
    data = pair_dataset(root, "test", SIZE, pose, num_sources=2)
    one = {tuple(b["index"].tolist()): b for b in loader.test_loader(data, 3, 0)}
    assert [b["source_image"].ndim for b in one.values()] == [4]  # these test lines have one source each
    train = pair_dataset(root, "train", SIZE, pose, num_sources=2)
    sampler = StepSampler(6, Share(6, 6), range(1), num_sources=train.num_sources)
    (raw,) = loader.train_loader(train, sampler, 0, False)
    batch = loader.to_device(raw, "cpu")
    channels = POSE_FORMS[pose].num_channels
    assert batch["source_image"].shape == (6, 2, 3, *SIZE) and batch["source_pose"].shape == (6, 2, channels, *SIZE)
    maps = {train.store.read(train.table.name(n)).transpose(2, 0, 1).tobytes(): n for n in range(len(train.table.keys))}
    for row, index in enumerate(raw["index"].tolist()):
        for place in range(2):
            number = maps[raw["source_image"][row, place].numpy().tobytes()]
            assert number in train.table.sources(index)
            joints = train._view(train.table.name(number), "source", np.random.default_rng(0))
            alone = loader.to_device(loader.collate([joints | data_of(train, index)]), "cpu")
            torch.testing.assert_close(batch["source_pose"][row, place], alone["source_pose"][0])
            if place == 0:
                assert torch.equal(raw["source_face"][row], joints["source_face"])


def data_of(data: PairDataset, index: int) -> dict[str, torch.Tensor]:
    """All of a sample but its source."""
    return {name: value for name, value in data[Draw(0, index)].items() if not name.startswith("source")}


def test_test_lines_keep_their_first_sources_in_batches_of_equals(tree: Path, root: Path):
    (tree / "64-48").symlink_to(root / "64-48")
    first, second, third = NAMES[6:9]
    lines = [PairLine(first, (second,)), PairLine(second, (third, first)), PairLine(third, (first,))]
    write_pairs(tree / "test_pairs.txt", lines)
    data = pair_dataset(tree, "test", SIZE, "joints", num_sources=2)
    shapes = {tuple(b["index"].tolist()): tuple(b["source_image"].shape) for b in loader.test_loader(data, 8, 0)}
    assert shapes == {(0, 2): (2, 3, *SIZE), (1,): (1, 2, 3, *SIZE)}
    keys = [line.target.replace(".jpg", ".png") for line in read_pairs(tree / "test_pairs.txt")]
    assert data.names(1) == (keys[2], keys[1], keys[0])
    assert pair_dataset(tree, "test", SIZE, "joints").names(1) == (keys[2], keys[1])


def test_a_bad_line_is_replaced_by_one_that_has_as_many_sources(tree: Path, root: Path):
    """Lines 0 to 2, of the first person, cannot be read; of the others 3 and 4 have two sources, 5 has one."""
    lines = read_pairs(root / "train_pairs.txt")
    lines[5] = PairLine(lines[5].target, lines[5].sources[:1])
    for split in ("train", "test"):
        write_pairs(tree / f"{split}_pairs.txt", lines)
    shutil.copytree(root / "64-48", tree / "64-48")
    with lmdb.open(str(tree / "64-48"), map_size=1 << 26) as env, env.begin(write=True) as transaction:
        for name in NAMES[:3]:
            transaction.put(store_key(name).encode(), b"no image")
    train, test = (pair_dataset(tree, split, SIZE, "joints", num_sources=2) for split in ("train", "test"))
    draws = [[Draw(epoch, 0, num_sources=2), Draw(epoch, 3, num_sources=2)] for epoch in range(12)]
    for batch in loader.train_loader(train, draws, 0, False, skip_bad=True):  # type: ignore[arg-type]
        assert batch["source_image"].shape == (2, 2, 3, *SIZE)
        assert int(batch["index"][0]) in (3, 4) and batch["replaces"].tolist() == [0, -1]
    batches = {tuple(batch["index"].tolist()): batch for batch in loader.test_loader(test, 8, 0, skip_bad=True)}
    assert [batch["source_image"].ndim for batch in batches.values()] == [4, 5]
    assert [len(batch["index"]) for batch in batches.values()] == [1, 5]


def test_an_output_is_named_after_all_its_sources():
    assert output_name("a/b.jpg", "t.jpg", "c.jpg", "d.jpg") == "a-b_and_c_and_d_2_t_vis.png"
    many = [f"img/WOMEN/Dresses/id_0000000{n}/01_1_front.jpg" for n in range(1, 9)]
    names = {output_name(many[0], many[1], *many[2:n]) for n in range(2, 9)}
    assert len(names) == 7 and max(len(name) for name in names) <= 255
