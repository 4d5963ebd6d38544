"""Condition maps of any kind: from files to a store, augmented with the image, into both generators and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import inference
import train
from config.load import load_config
from data.draws import Draw
from data.layouts import LAYOUTS
from data.loader import collate, to_device
from data.maps import decode_maps, encode_maps, fit_maps, maps_file, read_maps
from data.pairs import store_key
from scripts import prepare_data
from studio.choices import Choices
from studio.page import Page
from studio.people import Gallery, draw_pose
from studio.uploads import joints_to_text
from tests.data.conftest import NAMES, run_script
from tests.runs import tiny_model
from tests.tiny import overrides, pair_dataset

SHAPE = (110, 75)


def write_maps(root: Path, values: Callable[[int], np.ndarray], suffix: str = ".npy") -> None:
    for index, name in enumerate(NAMES):
        path = root / maps_file(root, name).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            Image.fromarray(values(index)).save(path)
        else:
            {".npy": np.save, ".npz": lambda file, array: np.savez_compressed(file, depth=array)}[suffix](
                path, values(index)
            )


def prepare(root: Path, *options: object) -> int:
    arguments = ["--root", root, "--output", root, "--size", "64-48", "--workers", 1, *options]
    return run_script(prepare_data.main, *arguments)


def test_maps_are_stored_resized_and_read_by_image_name(tree: Path) -> None:
    write_maps(tree, lambda index: np.full((*SHAPE, 2), (index / 10, 1), np.float32))
    assert prepare(tree, "--map_channels", 2) == 0
    pairs = pair_dataset(tree, "test", (64, 48), "joints", map_channels=2)
    for index, name in enumerate(NAMES):
        maps = pairs.maps(store_key(name))
        assert maps.shape == (64, 48, 2) and (maps == (round(25.5 * index), 255)).all()


@pytest.mark.parametrize("pose", ["skeleton", "joints", "maps"])
def test_maps_stand_beside_joints_or_alone(tree: Path, pose: str) -> None:
    write_maps(tree, lambda index: np.full((3, *SHAPE), 51 * (index % 5), np.uint8), ".npz")
    assert prepare(tree, "--map_channels", 3) == 0
    plain = 0 if pose == "maps" else pair_dataset(tree, "train", (64, 48), pose).pose_form.num_channels
    pairs = pair_dataset(tree, "train", (64, 48), pose, map_channels=3, augment_scale=1.1)
    batch = to_device(collate([pairs[Draw(0, index)] for index in (0, 1)]), "cpu")
    assert batch["target_pose"].shape == (2, plain + 3, 64, 48) and "target_maps" not in batch
    # the targets of the first two lines are images 0 and 1
    assert batch["target_pose"][:, plain:].flatten(1).unique(dim=1).ravel().tolist() == pytest.approx([0, 0.2])


def test_joints_are_not_needed_for_maps_alone(tree: Path) -> None:
    (tree / "pose").rename(tree / "elsewhere")
    write_maps(tree, lambda index: np.zeros((*SHAPE, 1), np.uint8))
    assert prepare(tree, "--map_channels", 1) == 0
    sample = pair_dataset(tree, "test", (64, 48), "maps", map_channels=1)[0]
    assert sample["source_face"].tolist() == [-1] * 4 and sample["source_maps"].shape == (1, 64, 48)
    with pytest.raises(ValueError, match="holds no keypoints"):
        pair_dataset(tree, "test", (64, 48), "joints", map_channels=1)


def test_maps_move_with_the_image_under_augmentation(tree: Path) -> None:
    """Maps that are the image's own colours stay so, whatever the view: both are scaled linearly and cut alike."""
    for name in NAMES:
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 48, 3), dtype=np.uint8)).save(
            (tree / name).with_suffix(".png")
        )
        (tree / name).unlink()
    for file in ("train_pairs.txt", "test_pairs.txt"):
        (tree / file).write_text((tree / file).read_text().replace(".jpg", ".png"))
    write_maps(tree, lambda index: np.asarray(Image.open((tree / NAMES[index]).with_suffix(".png"))))
    assert prepare(tree, "--map_channels", 3) == 0
    pairs = pair_dataset(tree, "train", (64, 48), "maps", map_channels=3, augment_scale=1.5)
    for index in range(len(pairs)):
        sample = pairs[Draw(3, index)]
        assert torch.equal(sample["source_image"], sample["source_maps"])
        assert torch.equal(sample["target_image"], sample["target_maps"])


LABELS = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 4


@pytest.mark.parametrize(
    ("values", "channels", "suffix"),
    [
        (LABELS, 4, ".npy"),
        (LABELS.astype(np.uint8), 4, ".png"),
        (LABELS[None], 4, ".npz"),
        (np.repeat(LABELS[..., None] == np.arange(4), 1, axis=2), 4, ".npy"),
    ],
)
def test_labels_become_a_map_each(tmp_path: Path, values: np.ndarray, channels: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        Image.fromarray(values).save(path)
    else:
        {".npy": np.save, ".npz": np.savez}[suffix](path, values)
    assert (read_maps(path, channels) == 255 * (LABELS[..., None] == np.arange(4))).all()


def test_a_palette_png_is_its_numbers_and_sixteen_bits_are_eight(tmp_path: Path) -> None:
    image = Image.fromarray(LABELS.astype(np.uint8), "P")
    image.putpalette([value for value in range(256) for _ in range(3)][::-1])
    image.save(tmp_path / "a.png")
    assert (read_maps(tmp_path / "a.png", 4).argmax(axis=2) == LABELS).all()
    Image.fromarray(np.full((5, 4), 0x80FF, np.uint16)).save(tmp_path / "b.png")
    assert (read_maps(tmp_path / "b.png", 1) == 0x80).all()
    Image.new("RGBA", (4, 5), (1, 2, 3, 4)).save(tmp_path / "c.png")
    assert (read_maps(tmp_path / "c.png", 4) == (1, 2, 3, 4)).all()


WRONG = [(np.zeros((5, 4, 2)), "expected .*3"), (np.full((5, 4, 3), 1.5), "beyond 0..1"),
         (np.full((5, 4), 3), "0 to 2"),
         (np.full((5, 4, 3), np.nan), "beyond 0..1"), (np.zeros((0, 4, 3)), "expected"), (np.zeros(3), "expected"),
         (np.full((5, 4, 3), -1, np.int64), "beyond 0..1"), (np.array([None]), "cannot be read"),
         (np.eye(3, dtype=np.uint8)[LABELS % 3], "uint8 of 0 to 1, black; save masks as bool"),
         (np.full((5, 4, 3), 255, np.uint16), "uint16 of 0 to 255, black")]  # fmt: skip


@pytest.mark.parametrize(("values", "complaint"), WRONG)
def test_maps_of_another_kind_are_refused_in_one_line(tmp_path: Path, values: np.ndarray, complaint: str) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(ValueError, match=rf"maps .*a\.npy .*{complaint}") as error:
        read_maps(tmp_path / "a.npy", 3)
    assert "\n" not in str(error.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300), suffix=st.sampled_from([".npy", ".npz", ".png"]))
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, raw: bytes, suffix: str) -> None:
    path = tmp_path / f"fuzz{suffix}"
    for start in (b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(start + raw)
        with pytest.raises(ValueError, match="fuzz") as error:
            read_maps(path, 3)
        assert "\n" not in str(error.value)


def test_missing_maps_and_other_numbers_of_channels_are_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_maps(tree, lambda index: np.zeros((*SHAPE, 1), np.uint8))
    (tree / maps_file(tree, NAMES[4])).unlink()
    assert prepare(tree, "--map_channels", 1) == 1
    assert f"maps {tree / maps_file(tree, NAMES[4])} do not exist" in capsys.readouterr().err
    np.save(tree / maps_file(tree, NAMES[4]), np.zeros((*SHAPE, 1), np.uint8))
    assert prepare(tree, "--map_channels", 1) == 0 and prepare(tree, "--map_channels", 1, "--verify") == 0
    with pytest.raises(ValueError, match="it holds 1 channels of maps, not 2"):
        prepare(tree, "--map_channels", 2)
    np.save(tree / maps_file(tree, NAMES[4]), np.ones((*SHAPE, 1), np.uint8))
    with pytest.raises(ValueError, match="1 of its images or keypoints have other files now"):
        prepare(tree, "--map_channels", 1)
    with pytest.raises(ValueError, match=r"has no maps of 2 channels.*--map_channels 2"):
        pair_dataset(tree, "test", (64, 48), "maps", map_channels=2)[0]
    with pytest.raises(ValueError, match="map_channels"):
        load_config("config/dptn_256.yaml", ["data.pose=maps"])


def test_the_border_of_a_layout_is_cut_off_maps_too() -> None:
    maps = np.zeros((256, 256, 1), np.uint8)
    maps[:, 40:216] = 200
    assert (fit_maps(maps, LAYOUTS["deepfashion_lowres"], (64, 44)) == 200).all()
    value = encode_maps(maps)
    assert (decode_maps(value, (256, 256, 1)) == maps).all()
    assert decode_maps(value, (256, 256, 2)) is None and decode_maps(value[:-9], (256, 256, 1)) is None


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_both_generators_train_on_maps_and_draw_with_them(
    tree: Path, tmp_path: Path, command: Callable[..., int], system: str
) -> None:
    write_maps(tree, lambda index: LABELS.astype(np.uint8), ".png")
    assert prepare(tree, "--map_channels", 4, "--size", "64-32") == 0
    more = ["data.pose=maps", "data.map_channels=4", "data.image_size=[64,32]", "data.num_workers=0"]
    keys = overrides(system, tree, *more, "trainer.max_steps=1", "trainer.batch_size=2")
    run = ["--config", f"config/{system}_256.yaml", "--name", "run", "--checkpoints_dir", tmp_path / "runs"]
    assert command(train.main, *run, *keys) == 0
    assert command(inference.main, *run, "--output_dir", tmp_path / "out", *keys) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def model_with_maps(tree: Path):
    write_maps(tree, lambda index: np.full((*SHAPE, 2), index * 20, np.uint8))
    assert prepare(tree, "--map_channels", 2, "--size", "64-32") == 0
    return tiny_model("dptn", tree, None, "data.image_size=[64,32]", "data.map_channels=2")


def test_people_of_the_dataset_bring_their_maps(tree: Path) -> None:
    model = model_with_maps(tree)
    person = Gallery(model.config.data).person(NAMES[7])
    maps = draw_pose(model, person)
    assert maps.shape == (model.config.data.pose_channels, 64, 32) and (maps[-2:] * 255).unique().tolist() == [140]
    assert torch.equal(maps, person.maps(model))
    with pytest.raises(ValueError, match="takes 2 maps of an image beside its pose: choose"):
        draw_pose(model, person.joints)


def test_the_page_draws_with_the_maps_of_the_chosen_pose(tree: Path) -> None:
    page = Page(Choices(["maps"], lambda name: model_with_maps(tree)))
    people = page.choices["maps"].people
    source, target, size = people[0], people[-1], people[0].image.shape[:2]
    pair = page.pair("maps", source, page.pose("maps", None, joints_to_text(target.joints, size)))
    assert target.condition is not None
    assert (pair.target_pose[0, -2:].cpu() * 255).round().unique().tolist() == [target.condition[0, 0, 0]]
    with pytest.raises(ValueError, match="takes 2 maps of an image beside its pose: choose"):
        page.pair("maps", source, page.pose("maps", None, joints_to_text(target.joints + 3, size)))
