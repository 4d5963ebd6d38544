"""Several photographs of one person in Python."""

from __future__ import annotations

import numpy as np
import pytest

from models.rollout import join_pairs
from studio.pipeline import StepPose
from tests.runs import tiny_model
from tests.studio.test_pipeline import maps, pixels, tensors
from tests.tiny import SIZE

SYSTEMS = ("nted", "dptn")


@pytest.fixture(params=SYSTEMS)
def model(request: pytest.FixtureRequest) -> StepPose:
    return tiny_model(request.param)


def test_photographs_of_one_person_give_one_image_of_their_kind_in_any_order(model):
    photos, own, pose = list(pixels(3)), list(maps(model, 3, seed=1)), maps(model)[0]
    image = model.generate(sources=photos, pose=pose, source_pose=own)
    assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
    other = model.generate(sources=photos[::-1], pose=pose, source_pose=own[::-1])
    assert np.abs(image.astype(int) - other).max() <= 1  # the edge between two grey levels
    alone = model.generate(photos[0], pose, source_pose=own[0])
    assert (image != alone).any()
    assert (model.generate(sources=photos[:1], pose=pose, source_pose=own[:1]) == alone).all()
    assert len(model.generate(sources=photos, pose=maps(model, 4), source_pose=own)) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": None}, r"either a source or sources=\[\.\.\.\]"),
        ({"pose": None}, "give a pose"),
        ({"source": pixels()[0]}, "either a source"),
        ({"sources": []}, "empty"),
        ({"source_pose": "two"}, "2 source poses for 3 sources; give one each"),
    ],
)
def test_bad_input_is_named(model, change, message):
    own = maps(model, 3)
    call = {"sources": list(pixels(3)), "pose": maps(model)[0], "source_pose": own, **change}
    call["source_pose"] = own[:2] if change.get("source_pose") else own
    with pytest.raises(ValueError, match=message):
        model.generate(**call)


def test_a_generator_that_takes_one_source_says_so():
    model = tiny_model("unet")
    own, photos = maps(model, 2), list(pixels(2))
    with pytest.raises(ValueError, match="a unet generator takes one source, not 2"):
        model.generate(sources=photos, pose=own[0], source_pose=own)
    one = model.generate(sources=photos[:1], pose=own[0], source_pose=own[:1])
    assert (one == model.generate(photos[0], own[0], source_pose=own[0])).all()


def test_people_with_unequally_many_photographs_share_a_batch(model):
    photos, own, pose = tensors(pixels(5)), maps(model, 5, seed=1), maps(model)
    pairs = [model.several(photos[part], pose, own[part]) for part in (slice(0, 2), slice(2, 5), slice(0, 1))]
    joined = join_pairs(pairs)
    assert joined.source_image.shape == (3, 6, 3, *SIZE)
    *_, together = model.stream(joined, model.noise(1).expand(3, -1, -1, -1))
    for row, pair in enumerate(pairs):
        *_, alone = model.stream(pair, model.noise(1))
        assert float((together[row] - alone[0]).abs().max()) <= 1e-5


def test_a_person_of_a_mix_may_have_several_photographs(model):
    photos, own, pose = list(pixels(3)), list(maps(model, 3, seed=1)), maps(model)[0]
    people, poses = [photos[:2], photos[2]], [own[:2], own[2]]
    mixed = [model.mix(people, pose, [switch], source_poses=poses) for switch in (0, model.num_steps)]
    assert (mixed[0] == model.generate(photos[2], pose, source_pose=own[2])).all()
    assert (mixed[1] == model.generate(sources=photos[:2], pose=pose, source_pose=own[:2])).all()
