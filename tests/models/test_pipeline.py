"""StepPose: kinds of input, one or many, steps, mixing, loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from images.pixels import to_uint8
from models.pipeline import StepPose
from models.rollout import Pair, rollout
from tests.runs import NUM_STEPS, save_run, tiny_config, tiny_model
from tests.tiny import SIZE

SYSTEMS = tuple(NUM_STEPS)


@pytest.fixture(params=SYSTEMS)
def model(request: pytest.FixtureRequest) -> StepPose:
    return tiny_model(request.param)


def pixels(count: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


def maps(model: StepPose, count: int = 1, seed: int = 0) -> torch.Tensor:
    shape = (count, model.config.data.pose_channels, *SIZE)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def tensors(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_pil_numpy_and_tensors_give_the_same_image_in_their_own_kind(model):
    image, pose = pixels()[0], maps(model)[0]
    from_array = model.generate(image, pose, source_pose=pose)
    from_pil = model.generate(Image.fromarray(image), pose, source_pose=pose)
    from_tensor = model.generate(tensors(image[None])[0], pose, source_pose=pose)
    assert isinstance(from_pil, Image.Image) and from_array.dtype == np.uint8 and from_tensor.shape == (3, *SIZE)
    assert (np.array(from_pil) == from_array).all() and (to_uint8(from_tensor) == from_array).all()


def test_all_steps_are_the_rollout_and_end_in_the_last(model):
    source, pose = tensors(pixels()), maps(model)
    images = model.generate(source, pose, "all", source_pose=pose)
    with torch.no_grad():
        canvas = model.schedule.start_canvas(source, model.noise(1))
        plain = rollout(
            model.generator,
            model.schedule,
            Pair(source, pose, pose),
            canvas,
            torch.zeros(1, dtype=torch.long),
            model.num_steps,
            model.config.rollout.degrade_source,
        )
        expected = [output.target_image[0] for _, output in plain]
    assert len(images) == model.num_steps
    assert all(torch.equal(image[0], truth) for image, truth in zip(images, expected, strict=True))
    assert torch.equal(model.generate(source, pose, source_pose=pose)[0], expected[-1])


def test_many_equal_one_by_one_with_their_seeds(model):
    source, pose = tensors(pixels(3)), maps(model, 3)
    together = model.generate(source, pose, source_pose=pose, seed=5)
    for index in range(3):
        alone = model.generate(source[index], pose[index], source_pose=pose[index], seed=5 + index)
        assert torch.allclose(together[index], alone, atol=1e-4)


def test_one_source_goes_with_many_poses_and_one_pose_with_many_sources(model):
    source, pose = list(pixels(3)), maps(model, 3)
    assert len(model.generate(source[0], pose, source_pose=pose[0])) == 3
    assert len(model.generate(source, pose[0], source_pose=pose[0])) == 3
    with pytest.raises(ValueError, match="2 poses do not go with 3"):
        model.generate(source, pose[:2], source_pose=pose[0])


def test_a_larger_photograph_is_resized_without_a_crop(model):
    pose = maps(model)[0]
    photograph = Image.fromarray(pixels()[0]).resize((96, 128), Image.Resampling.NEAREST)
    small = photograph.resize((48, 64), Image.Resampling.BICUBIC)
    first, second = (model.generate(image, pose, source_pose=pose) for image in (photograph, small))
    assert (np.array(first) == np.array(second)).all()


def test_maps_may_be_8_bit(model):
    grey = (maps(model)[0] * 255).to(torch.uint8)
    source = pixels()[0]
    first = model.generate(source, grey, source_pose=grey)
    second = model.generate(source, grey.float() / 255, source_pose=grey.float() / 255)
    assert (first == second).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": torch.zeros(3, 10, 10)}, r"float \(3, 64, 48\)"),
        ({"source": torch.full((3, *SIZE), 255.0)}, r"must lie in \[-1, 1\]"),
        ({"source": torch.full((3, *SIZE), float("nan"))}, "without NaN"),
        ({"source": np.zeros(SIZE)}, r"\(H, W, 3\)"),
        ({"source": np.zeros((*SIZE, 3), np.float32)}, "uint8, not .* float32"),
        ({"source": "person.jpg"}, "not str"),
        ({"source": []}, "empty"),
        ({"pose": torch.zeros(2, *SIZE)}, "the model wants"),
        ({"pose": "pose.txt"}, "not str"),
        ({"steps": "first"}, "'last' or 'all'"),
    ],
)
def test_bad_input_is_named(model, change, message):
    source, pose = pixels()[0], maps(model)[0]
    call = {"source": source, "pose": pose, "source_pose": pose, **change}
    with pytest.raises(ValueError, match=message):
        model.generate(**call)


def test_pose_maps_out_of_range_are_refused(model):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        model.generate(pixels()[0], maps(model)[0] * 255, source_pose=maps(model)[0])


def test_dptn_asks_for_the_pose_of_the_source():
    model = tiny_model("dptn")
    with pytest.raises(ValueError, match="source's own pose"):
        model.generate(pixels()[0], maps(model)[0])


def test_switch_0_and_switch_s_equal_the_unmixed_results(model):
    first, second = pixels(2)
    pose, own = maps(model)[0], list(maps(model, 2, seed=1))
    alone = [model.generate(image, pose, source_pose=maps_) for image, maps_ in zip((first, second), own, strict=True)]
    mixed = [model.mix([first, second], pose, [switch], source_poses=own) for switch in (0, model.num_steps)]
    assert (mixed[0] == alone[1]).all() and (mixed[1] == alone[0]).all()
    assert (alone[0] != alone[1]).any()


def test_a_mix_is_the_first_source_alone_until_its_switch(model):
    pose, own = maps(model)[0], list(maps(model, 2, seed=1))
    first, second = pixels(2)
    alone = model.generate(first, pose, "all", source_pose=own[0])
    mixed = model.mix([first, second], pose, [2], "all", source_poses=own)
    assert all((left == right).all() for left, right in zip(alone[:2], mixed[:2], strict=True))
    assert (alone[2] != mixed[2]).any()


@pytest.mark.parametrize("switches", [[], [1, 2], [-1], [99]])
def test_a_mix_with_bad_switches_is_refused(model, switches):
    pose = maps(model)[0]
    with pytest.raises(ValueError, match="switch steps"):
        model.mix(list(pixels(2)), pose, switches, source_poses=[pose, pose])


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_folder_and_its_checkpoint_file_load_alike(system, tmp_path: Path):
    config = tiny_config(system, tmp_path)
    save_run(tmp_path / "run", config)
    from_run = StepPose.load(tmp_path / "run")
    (file,) = (tmp_path / "run" / "checkpoints").glob("*.pt")
    pose = maps(from_run)[0]
    images = [m.generate(pixels()[0], pose, source_pose=pose) for m in (from_run, StepPose.load(file, config=config))]
    assert (images[0] == images[1]).all()
    assert from_run.trained_steps == 7 and from_run.config == config


def test_loading_leaves_the_callers_randomness_alone(tmp_path: Path):
    save_run(tmp_path / "run", tiny_config("nted", tmp_path))
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    StepPose.load(tmp_path / "run")
    assert torch.equal(torch.rand(1), expected)


def test_bf16_stays_near_fp32_and_autocast_ends_between_steps(model):
    source, pose = tensors(pixels()), maps(model)
    half = StepPose(model.config, model.generator, dtype=torch.bfloat16)
    pair, noise = half.pair(source, pose, pose), half.noise(1)
    first = next(model.stream(pair, noise))
    for image in half.stream(pair, noise):
        assert not torch.is_autocast_enabled("cpu") and image.dtype == torch.float32
        assert (image - first).abs().mean() < 0.1 * first.abs().mean() + 0.05
        break
