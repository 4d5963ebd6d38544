"""What the study of several photographs compares with what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import several
from benchmarks.several import SIZE, VIEWS, Album, Scorer, differences, draw_targets, markdown, pair_of
from images.pixels import resize, to_signed, to_tensor
from tests.runs import tiny_model


@pytest.fixture
def people() -> list[Album]:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (9, 2, 3, *SIZE, 3), dtype=np.uint8)
    joints = random.uniform(30, 300, (9, 2, 3, 18, 2))
    return [Album(list(p[0]), list(j[0]), list(p[1]), list(j[1])) for p, j in zip(pictures, joints, strict=True)]


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_each_view_of_a_person_is_drawn_from_the_same_chosen_photographs(system, people):
    model = tiny_model(system)
    pair = pair_of(model, people[:2], [2, 0])
    assert pair.source_image.shape[:2] == (6, 2) and pair.target_pose.shape[0] == 6
    for row in range(6):
        chosen = [resize(people[row // 3].photos[view], model.image_size) for view in (2, 0)]
        torch.testing.assert_close(pair.source_image[row], to_signed(to_tensor(chosen)))
    images = draw_targets(model, people, [0])
    assert [len(view) for view in images] == [9] * 3  # more than are drawn at once
    alone = draw_targets(model, people[:1], [0])
    assert all(np.abs(images[view][0].astype(int) - alone[view][0]).max() <= 1 for view in range(3))


def test_a_person_is_counted_where_the_target_is_not_white():
    target = np.full((64, 44, 3), 255, np.uint8)
    target[:32] = 55
    scores = Scorer().score(np.full((64, 44, 3), 155, np.uint8), target)
    assert scores["l1"] == pytest.approx(100 / 255) and scores["person_l1"] == pytest.approx(100 / 255)
    beside = target.copy()
    beside[32:] = 0
    scores = Scorer().score(beside, target)
    assert scores["person_l1"] == 0 and scores["l1"] == pytest.approx(0.5) and scores["lite0"] > 0
    assert Scorer().score(target, target)["lite0"] == pytest.approx(0, abs=1e-6)


def test_differences_are_taken_person_by_person_and_told_with_their_intervals():
    def scores(base: float) -> several.Scores:
        by_set = {name: base - 0.1 * index for index, name in enumerate(several.SETS)}
        return {n: {v: {m: [x, x + 1] for m in several.METRICS} for v in VIEWS} for n, x in by_set.items()}

    both = {"one": scores(5.0), "three": scores(4.0)}
    found = differences(both, "l1")
    assert found["one", "front and back - front alone"][0] == pytest.approx([-0.2, -0.2])
    assert found["three", "three views - front and back"][2] == pytest.approx([-0.1, -0.1])
    assert found["three - one", "back alone"][1] == pytest.approx([-1, -1])
    text = markdown(both, {"one": 9, "three": 4})
    assert "2 unseen people" in text and "`three` 4 steps" in text
    assert "| three - one | back alone | -1.0000 [-1.0000, -1.0000] |" in text
    assert "| one | front alone | 5.5000 [5.0000, 6.0000] |" in text
