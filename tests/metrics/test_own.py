"""A network of one's own as a protocol's embedding: its file, its crop, its normalisation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import eval_step
from images.writing import write_image
from metrics.own import OwnNetwork, own_hash
from metrics.protocols import OwnEmbedding, load_protocol
from metrics.scorer import load_scorer

OWN = "base: offline\nembedding: own\nown: {{file: {file}, size: [4, 2]{more}}}\n"


class Means(nn.Module):
    """Features that can be worked out by hand: the mean of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


@pytest.fixture(params=["means.pt2", "means.onnx"])
def file(request, tmp_path: Path) -> Path:
    """The same network in both formats, for one image at a time."""
    path, example = tmp_path / request.param, (torch.zeros(1, 3, 4, 2),)
    if path.suffix == ".onnx":
        torch.onnx.export(Means().eval(), example, path, dynamo=True, external_data=False, verbose=False)
    else:
        torch.export.save(torch.export.export(Means(), example), path)
    return path


def test_it_sees_the_crop_scaled_and_normalised_in_its_order_of_channels(file):
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    images[0, :, :4, 4:] = torch.tensor([51, 102, 255], dtype=torch.uint8).view(3, 1, 1)  # 0.2, 0.4 and 1
    settings = OwnEmbedding(file=str(file), size=(4, 2), crop=(0, 0.5, 0.5, 1), mean=(0.1, 0, 0), deviation=(1, 1, 2))
    expected = torch.tensor([[0.1, 0.4, 0.5], [-0.1, 0, 0]])
    torch.testing.assert_close(OwnNetwork(settings)(images), expected)
    turned = settings.model_copy(update={"channels": "bgr"})
    torch.testing.assert_close(OwnNetwork(turned)(images), expected.flip(1))
    assert own_hash(settings) != own_hash(turned)


def test_eval_step_tells_persons_apart_by_it(file, dataset, tmp_path, command):
    """Images in one colour a person: by their mean colour every image is nearest to its own person."""
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    for folder in ("generated", "truth"):
        for person, colour in enumerate(colours):
            for view in ("1_front", "2_side"):
                image = np.full((64, 48, 3), colour, np.uint8)
                write_image(tmp_path / folder / f"fashionWOMENDressesid0000000{person}01_{view}.png", image)
    (tmp_path / "mine.yaml").write_text(OWN.format(file=file.name, more=", crop: [0, 0.5, 0.5, 1]"))
    places = ["--generated", tmp_path / "generated", "--ground_truth", tmp_path / "truth", "--real", tmp_path / "truth"]
    more = ["--protocol", tmp_path / "mine.yaml", "--cache", tmp_path / "cache"]
    assert command(eval_step.main, *places, *more) == 0
    last = json.loads((tmp_path / "generated_report" / "report.json").read_text())["steps"][-1]
    assert last["fd_own"] == pytest.approx(0, abs=1e-6) and "fd_lite0" not in last
    assert last["recall_1"] == 1


def test_a_file_that_is_missing_is_told_and_the_rest_scored(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN.format(file="none.pt2", more=""))
    scorer = load_scorer(load_protocol(str(tmp_path / "mine.yaml")), torch.device("cpu"))
    assert scorer.networks == [] and scorer.missing[0].metrics == ("fd_own", "kd_own")
    assert f"the embedding {tmp_path}/none.pt2 does not exist" in scorer.missing[0].reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN.format(file="weights.safetensors", more=""), r"give a \.pt2 of torch\.export or a \.onnx"),
        (OWN.format(file="a.pt2", more=", crop: [0.5, 0, 0.5, 1]"), "top < bottom"),
        (OWN.format(file="a.pt2", more=", deviation: [0, 1, 1]"), "must be positive"),
        ("base: offline\nembedding: own\n", "embedding: own goes with a section `own`"),
        ("base: offline\nown: {file: a.pt2, size: [4, 2]}\n", "embedding: own goes with a section `own`"),
    ],
)
def test_a_section_that_cannot_be_is_one_line(text, says, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=says):
        load_protocol(str(tmp_path / "mine.yaml"))
