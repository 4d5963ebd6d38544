"""What generated images were made from."""

import pytest
import torch
from torch import nn

from evaluation.manifest import Manifest, check_folder, read_manifest, weights_hash, write_manifest


def manifest(**changes) -> Manifest:
    about = {
        "run": "a", "trained_steps": 3, "weights": "w", "config": {"seed": 0}, "seed": 0, "steps": [], "extras": [],
        "names": ["a.png"], "made": {"time": "now"},
    }  # fmt: skip
    return Manifest(**about | changes)


def test_weights_have_one_hash_wherever_they_are_and_each_change_another():
    network, other = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)),
    )
    assert weights_hash(network) != weights_hash(other)
    other.load_state_dict(network.state_dict())
    before = weights_hash(network)
    assert weights_hash(other.to(torch.float64)) == before
    with torch.no_grad():
        network[0].weight[0, 0] += 0.5
    assert weights_hash(network) != before
    other[1].running_mean[0] = 1
    assert weights_hash(other) != before


def test_a_manifest_is_read_back_and_allows_the_same_images_alone(tmp_path):
    check_folder(tmp_path / "new", manifest())
    write_manifest(tmp_path / "new", manifest())
    assert read_manifest(tmp_path / "new") == manifest() and read_manifest(tmp_path) is None
    check_folder(tmp_path / "new", manifest(made={"time": "later"}))
    for change in ({"weights": "x"}, {"seed": 1}, {"names": []}, {"config": {"seed": 1}}, {"run": "b"}):
        with pytest.raises(ValueError, match="holds other images"):
            check_folder(tmp_path / "new", manifest(**change))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": 5}', "\xff"])
def test_a_damaged_manifest_is_one_line(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"manifest\.json is damaged \(") as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
