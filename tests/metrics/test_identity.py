"""Whether persons are told apart by how they look, and not by how they stand."""

import numpy as np
import pytest

from features.lite0 import EfficientNetLite0
from images.pixels import to_tensor
from metrics.identity import Gallery

SIZE = (128, 88)
NUM_PERSONS, NUM_VIEWS = 12, 4


def gallery(*rows):
    features, names, persons = zip(*rows, strict=True)
    return Gallery(np.array(features, np.float32), names, persons)


def test_the_nearest_person_without_the_target_itself():
    real = gallery(([1, 0], "a1", "a"), ([0, 1], "a2", "a"), ([1, 1], "b1", "b"), ([-1, 0], "c1", "c"))
    near_b = np.array([[5, 4]], np.float32)
    # without a1, the nearest to (5, 4) is b; a2 is second
    assert real.recalls(near_b, ["a1"], ["a"]) == {"recall_1": [0], "recall_5": [1]}
    assert real.recalls(near_b, ["a1"], ["b"])["recall_1"] == [1]
    # b has one image alone: leaving it out leaves nobody to be found
    assert np.isnan(real.recalls(near_b, ["b1"], ["b"])["recall_1"]).all()
    assert np.isnan(real.recalls(near_b, ["a1"], [None])["recall_5"]).all()


def test_who_is_as_near_as_another_is_not_found():
    real = gallery(([1, 0], "a1", "a"), ([1, 0], "b1", "b"), ([1, 0], "b2", "b"))
    assert real.recalls(np.array([[1, 0]], np.float32), ["b1"], ["b"])["recall_1"] == [0]


def test_the_ceiling_is_what_the_ground_truth_itself_scores():
    a, b = [([1, 0], "a1", "a"), ([9, 1], "a2", "a")], [([1, 1], "b1", "b"), ([8, 2], "b2", "b")]
    real = gallery(*a, *b, ([0, 1], "c", "c"))
    # b2 alone is nearer to the other person, to a2; c has no other image
    assert real.ceiling(["a1", "a2", "b1", "b2", "c"], [*"aabbc"]) == {"recall_1": 0.75, "recall_5": 1}
    assert real.ceiling(["c"], ["c"]) == {}


@pytest.fixture(scope="module")
def people():
    """Persons as patterns of colour in outlines that are drawn anew for each view: the outline says nothing."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    images, outlines, persons = [], [], []
    for person in range(NUM_PERSONS):
        first, second = random.integers(0, 220, (2, 3))
        wave = random.uniform(0.1, 0.9, 2)
        pattern = np.where((np.sin(wave[0] * rows + wave[1] * columns) > 0)[..., None], first, second)
        for _ in range(NUM_VIEWS):
            centre, width, height = random.uniform(30, 58), random.uniform(12, 26), random.uniform(40, 60)
            inside = ((rows - 64) / height) ** 2 + ((columns - centre) / width) ** 2 < 1
            arm = abs(rows - random.uniform(40, 90) - random.uniform(-1, 1) * (columns - centre)) < 5
            outlines.append(inside | (arm & (abs(columns - centre) < width + 12)))
            images.append(np.where(outlines[-1][..., None], pattern, 255).astype(np.uint8))
            persons.append(str(person))
    return images, outlines, persons


def test_perfect_outlines_in_one_colour_score_at_chance_and_the_right_clothes_do_not(people):
    images, outlines, persons = people
    network, names = EfficientNetLite0(), [str(index) for index in range(len(images))]
    real = Gallery(network(to_tensor(images)).numpy(), names, persons)
    outline_alone = [np.where(outline[..., None], np.uint8([120, 90, 60]), np.uint8(255)) for outline in outlines]
    chance = 1 / NUM_PERSONS
    spread = (chance * (1 - chance) / len(images)) ** 0.5
    found = {
        name: real.recalls(network(to_tensor(generated)).numpy(), names, persons)
        for name, generated in (("outlines", outline_alone), ("clothes", images))
    }
    assert found["outlines"]["recall_1"].mean() < chance + 3 * spread
    assert found["outlines"]["recall_5"].mean() < 5 * chance + 3 * (5 * chance * (1 - 5 * chance) / len(images)) ** 0.5
    assert found["clothes"]["recall_1"].mean() > 0.5
