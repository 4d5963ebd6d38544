"""From files of other datasets and from photos to drawn images, by the commands of docs/data.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import inference
import train
from config.load import load_config
from data.openpose import pose_file, read_keypoints
from data.photos import PHOTO_SIZE
from data.pose import to_image_frame
from images.joints import JOINTS
from scripts import extract_pose, import_poses, make_pairs, prepare_data
from tests.runs import save_run, tiny_config

MARKET = [
    "data.num_workers=0",
    "objective={perceptual_net: random, channel_divisor: 16}",
    "trainer.max_steps=1",
    "trainer.batch_size=2",
    "trainer.sample_every=100",
    "trainer.precision=fp32",
]
# the shapes of the shipped configurations with few channels
SHRUNK = {
    "nted": [
        "generator.channels=[8,8,8,6]",
        "generator.num_textures=[3,4,4,0]",
        "discriminator.channels=[8,8,8,8,8,6]",
    ],
    "dptn": ["generator.ngf=4", "generator.img_f=8", "discriminator.ndf=4", "discriminator.img_f=8"],
}
# OpenPose-18 in the shares of the height of a person facing us
PERSON = np.array(
    [[0, 0.06], [0, 0.17], [-0.1, 0.18], [-0.14, 0.33], [-0.15, 0.47], [0.1, 0.18], [0.14, 0.33], [0.15, 0.47],
     [-0.06, 0.5], [-0.06, 0.72], [-0.06, 0.94], [0.06, 0.5], [0.06, 0.72], [0.06, 0.94], [-0.02, 0.04], [0.02, 0.04],
     [-0.045, 0.05], [0.045, 0.05]]
)  # fmt: skip


def write_market(root: Path) -> Path:
    """Two people in two views each, with the annotation and pairs files of the field; returns the files' folder."""
    names = [f"{person:04d}_c{view}s1_000451_03.jpg" for person in (2, 7) for view in (1, 2)]
    (root / "img").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for name in names:
        Image.fromarray(rng.integers(0, 256, (128, 64, 3), dtype=np.uint8)).save(root / "img" / name)
        joints = np.rint(PERSON * 120 + (32, 4)).astype(int)
        rows.append(f"{name}:{joints[:, 1].tolist()}:{joints[:, 0].tolist()}\n")
    (root / "annotation.csv").write_text("name:keypoints_y:keypoints_x\n" + "".join(rows))
    (root / "train.csv").write_text(f"from,to\n{names[0]},{names[1]}\n{names[1]},{names[0]}\n")
    (root / "test.csv").write_text(f"from,to\n{names[2]},{names[3]}\n")
    return root


def test_both_generators_train_on_market_and_draw(tmp_path: Path, command: Callable[..., int]) -> None:
    root = write_market(tmp_path / "market")
    assert command(import_poses.main, "--format", "csv", root / "annotation.csv", "--output", root) == 0
    assert command(make_pairs.main, "--root", root, "--csv", root / "train.csv", root / "test.csv") == 0
    options = ["--layout", "market", "--size", "128-64", "--workers", 1]
    assert command(prepare_data.main, "--root", root, "--output", root, *options) == 0
    for system in SHRUNK:
        config = ["--config", f"config/{system}_market.yaml", "--name", system, "--checkpoints_dir", tmp_path / "runs"]
        changes = [f"data.root={root}", *MARKET, *SHRUNK[system]]
        assert load_config(f"config/{system}_market.yaml", changes).data.image_size == (128, 64)
        assert command(train.main, *config, *changes) == 0
        assert command(inference.main, *config, "--output_dir", tmp_path / system, *changes) == 0
        (drawn,) = (tmp_path / system).glob("*.png")
        assert Image.open(drawn).size == (64, 128)


def write_photo(path: Path, size: tuple[int, int], joints: np.ndarray) -> None:
    """A grey (H, W) photo with a black square of 9 pixels on every joint."""
    image = np.full((*size, 3), 128, np.uint8)
    for x, y in joints.astype(int):
        image[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_own_photos_are_drawn_in_each_others_poses(tmp_path: Path, command: Callable[..., int]) -> None:
    photos, root = tmp_path / "photos", tmp_path / "mine"
    for name, size, height in (("ann", (700, 900), 600), ("bob", (900, 500), 800)):
        joints = PERSON * height + (size[1] / 2, 40)
        write_photo(photos / f"{name}.jpg", size, joints)
        rows = np.concatenate([joints, np.ones((len(JOINTS), 1))], axis=1).ravel().tolist()
        (tmp_path / f"{name}_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": rows}]}))
    files = sorted(tmp_path.glob("*.json"))
    assert command(import_poses.main, "--format", "openpose", *files, "--images", photos, "--output", root) == 0
    for name in ("ann", "bob"):
        joints = to_image_frame(read_keypoints(pose_file(root, f"img/{name}.png")), PHOTO_SIZE)
        pixels = np.asarray(Image.open(root / "img" / f"{name}.png"))[..., 0]
        assert all(pixels[int(y), int(x)] < 40 for x, y in joints)
    assert command(make_pairs.main, "--root", root, "--every") == 0
    assert command(prepare_data.main, "--root", root, "--output", root, "--size", "64-48", "--workers", 1) == 0
    config = save_run(tmp_path / "nted", tiny_config("nted", root))
    known = ["--config", config, "--name", "nted", "--checkpoints_dir", tmp_path]
    assert command(inference.main, *known, "--output_dir", tmp_path / "out", f"data.root={root}") == 0
    drawn = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert drawn == ["img-ann_2_img-bob_vis.png", "img-bob_2_img-ann_vis.png"]


@pytest.mark.slow
def test_extract_pose_runs_from_a_photo_to_files_with_weights_of_the_real_name(
    tmp_path: Path, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights that call everything a person: what is found means nothing, that it arrives does."""
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    state = network.state_dict()
    state["roi_heads.box_predictor.cls_score.bias"] = torch.tensor([0.0, 8.0])
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / Path(KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.url).name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    write_photo(tmp_path / "me.jpg", (160, 120), PERSON * 140 + (60, 10))
    options = ["--output", tmp_path / "mine", "--threshold", -1e6, "--device", "cpu"]
    assert command(extract_pose.main, tmp_path / "me.jpg", *options) == 0
    joints = read_keypoints(pose_file(tmp_path / "mine", "img/me.png"))
    assert np.isfinite(joints).all()
    for kind in ("img", "overlay"):
        assert Image.open(tmp_path / "mine" / kind / "me.png").size == (PHOTO_SIZE[1], PHOTO_SIZE[0])
