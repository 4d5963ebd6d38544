"""Warm starts: which networks a new run begins with, and which parts training leaves alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import train
from models.originals_files import pack
from scripts import export, import_checkpoint
from studio.pipeline import StepPose
from tests.runs import run_flags, save_run, tiny_config
from tests.scripts.test_import_checkpoint import config_of, save, states
from tests.tiny import SIZE, overrides
from tests.trainers.test_trainer import ALONE, same, tiny
from trainers.trainer import Trainer


@pytest.fixture
def another(dataset: Path, tmp_path: Path) -> dict:
    """What the run `another` holds, a DPTN of two steps after two optimizer steps in which its average lags behind."""
    trainer = Trainer(tiny("dptn", dataset, "trainer.ema_half_life=1000"), tmp_path / "another", ALONE)
    trainer.train()
    state = trainer.engine.state()
    assert not same(state["generator"], state["generator_ema"])
    return state


def started(dataset: Path, folder: Path, *more: str) -> Trainer:
    return Trainer(tiny("dptn", dataset, f"trainer.start_from={folder / 'another'}", *more), folder / "new", ALONE)


@pytest.mark.parametrize(("choice", "entry"), [([], "generator_ema"), (["trainer.start_with=trained"], "generator")])
def test_a_new_run_takes_the_networks_of_another_and_nothing_else(choice, entry, another, dataset, tmp_path):
    state = started(dataset, tmp_path, *choice, "optim.generator.lr=0.001").engine.state()
    assert same(state["generator"], another[entry]) and same(state["generator_ema"], another[entry])
    assert same(state["discriminator"], another["discriminator"])
    assert (state["step"], state["nimg"], float(state["skipped"])) == (0, 0, 0)
    for name in ("generator", "discriminator"):
        optimizer = state[f"{name}_optimizer"]
        assert another[f"{name}_optimizer"]["state"] and not optimizer["state"]
    assert state["generator_optimizer"]["param_groups"][0]["lr"] == 0.001


def test_what_does_not_fit_starts_afresh_and_is_reported(another, dataset, tmp_path, command, caplog):
    caplog.set_level("INFO")
    keys = overrides("dptn", dataset, "schedule.num_steps=3", "discriminator.num_levels=2")
    flags = ["--config=config/dptn_256.yaml", "--name=new", f"--checkpoints_dir={tmp_path}", "rollout.window=3"]
    assert command(train.main, *flags, *keys, f"trainer.start_from={tmp_path / 'another'}") == 0
    lines = (tmp_path / "new" / "start_from.txt").read_text().splitlines()
    assert lines[:2] == [
        f"starts from {tmp_path / 'another/checkpoints/step_00000002.pt'}, step 2",
        "  schedule.num_steps: 2 there, 3 here",
    ]
    whole = len(another["generator"])
    assert f"generator_ema: {whole} of {whole} tensors taken" in lines
    # the last layer tells 3 steps apart, not 2
    assert "  step_head.2.weight: (2, 256) there, (3, 256) here" in lines
    assert "  blocks.encoder1.model.1.bias: (8,) there, none here" in lines
    assert all(line in caplog.text for line in lines if not line.startswith(" "))
    assert [json.loads(line)["step"] for line in (tmp_path / "new/log.jsonl").read_text().splitlines()] == [1, 2]


def test_a_warm_start_with_frozen_parts_resumes_bit_for_bit_without_its_source(another, dataset, tmp_path):
    keys = ["trainer.freeze=[generator.source_encoder,discriminator.blocks]", f"trainer.start_from={tmp_path}/another"]
    ends = {}
    for name, stops in (("through", [4]), ("halves", [2, 4])):
        for stop in stops:
            trainer = Trainer(tiny("dptn", dataset, *keys, f"trainer.max_steps={stop}"), tmp_path / name, ALONE)
            trainer.train()
            if name == "halves":
                shutil.rmtree(tmp_path / "another", ignore_errors=True)
        ends[name] = trainer.engine.state()
    assert same(*[{**state, "config": ""} for state in ends.values()])
    with pytest.raises(ValueError, match=r"trainer\.start_from: .*another there, elsewhere here"):
        Trainer(tiny("dptn", dataset, keys[0], "trainer.start_from=elsewhere"), tmp_path / "halves", ALONE)


def test_frozen_parts_stay_and_all_others_move(another, dataset, tmp_path):
    frozen = {"generator": "source_encoder", "discriminator": "blocks.encoder0"}
    names = ",".join(f"{network}.{part}" for network, part in frozen.items())
    trainer = started(dataset, tmp_path, f"trainer.freeze=[{names}]", "objective.r1_gamma=1")
    before = {
        (network, name): parameter.detach().clone()
        for network in frozen
        for name, parameter in trainer.engine.networks[network].named_parameters()
    }
    trainer.train()
    moved = {
        key: not torch.equal(value, trainer.engine.networks[key[0]].get_parameter(key[1]))
        for key, value in before.items()
    }
    inside = {key: key[1].startswith(frozen[key[0]] + ".") for key in moved}
    assert not any(moved[key] for key in moved if inside[key]) and sum(inside.values()) > 10
    others = [moved[key] for key in moved if not inside[key]]
    assert sum(others) > 0.9 * len(others)
    average = trainer.engine.generator_ema.get_parameter
    assert all(torch.equal(before[n, k], average(k)) for n, k in before if n == "generator" and inside[n, k])
    assert not any(trainer.engine.networks[n].get_parameter(k).requires_grad for n, k in inside if inside[n, k])


def test_an_export_starts_a_run_of_another_size_with_a_discriminator_of_its_own(dataset, tmp_path, command):
    save_run(tmp_path / "another", tiny_config("dptn", dataset, "data.image_size=[96,64]"))
    flags = ["--model", tmp_path / "another", "--output", tmp_path / "out"]
    assert command(export.main, *flags, "--format", "safetensors") == 0
    config = tiny("dptn", dataset, f"trainer.start_from={tmp_path}/out")
    trainer = Trainer(config, tmp_path / "new", ALONE)
    saved = torch.load(tmp_path / "another/checkpoints/step_00000007.pt")["generator_ema"]
    assert same(dict(trainer.engine.generator_ema.state_dict()), dict(saved))
    assert "  data.image_size: [96, 64] there, [64, 48] here" in trainer.start_report
    whole = len(trainer.engine.networks["discriminator"].state_dict())
    assert f"discriminator: 0 of {whole} tensors taken" in trainer.start_report


def test_imported_published_weights_of_one_step_are_fine_tuned_step_by_step(dataset, tmp_path, command, monkeypatch):
    monkeypatch.setattr(import_checkpoint, "SHIPPED_CONFIGS", tmp_path)
    config = config_of("nted", dataset)
    published = save(tmp_path, pack("nted", states(config)))
    save_run(tmp_path / "another", config)
    shutil.rmtree(tmp_path / "another/checkpoints")
    flags = run_flags(tmp_path, "another")
    assert command(import_checkpoint.main, "--system", "nted", "--input", *published, *flags) == 0
    keys = overrides("nted", dataset, "schedule.num_steps=4", f"trainer.start_from={tmp_path}/another")
    flags = ["--config=config/nted_256.yaml", "--name=new", f"--checkpoints_dir={tmp_path}"]
    assert command(train.main, *flags, *keys) == 0
    report = (tmp_path / "new" / "start_from.txt").read_text()
    assert "starts from" in report and "  schedule.num_steps: 1 there, 4 here\n" in report
    own = states(config)["generator_ema"]
    state = Trainer(tiny("nted", dataset, keys[-1]), tmp_path / "again", ALONE).engine.state()["generator"]
    equal = [name for name in own if name in state and torch.equal(own[name], state[name])]
    assert len(equal) > 0.9 * len(own)


@pytest.mark.parametrize(
    ("system", "more"),
    [
        ("nted", []),
        ("nted", ["generator.source_pose=true"]),
        ("dptn", ["generator.source_to_both=true", "generator.spectral_norm=false", "generator.pose_attention=true"]),
        ("unet", []),
    ],
)
def test_a_network_of_one_step_grows_into_steps_and_draws_as_before(system, more, dataset, tmp_path):
    """Whatever the canvas and the step: what is new begins at zero."""
    torch.manual_seed(1)
    poses = ["data.pose=joints", "generator.step_input=channel", "rollout.window=null", *more]
    one = tiny_config(system, dataset, *poses, "schedule.num_steps=1")
    save_run(tmp_path / "one", one)
    old = StepPose.load(tmp_path / "one").generator
    grown = Trainer(
        tiny(system, dataset, *poses, "schedule.num_steps=3", f"trainer.start_from={tmp_path}/one"),
        tmp_path / "new",
        ALONE,
    )
    assert any("whose new inputs begin at zero" in line for line in grown.start_report)
    image, pose, canvas = torch.rand(2, 3, *SIZE), torch.rand(2, 18, *SIZE), torch.rand(2, 3, *SIZE)
    drawn = grown.engine.generator_ema(image, pose, pose.flip(0), canvas, torch.tensor([0, 2])).target_image
    torch.testing.assert_close(drawn, old(image, pose, pose.flip(0)).target_image, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("trainer.start_from=nowhere", "there is no model nowhere; shipped: "),
        (
            "trainer.freeze=[generator.source_encode]",
            r"no part 'generator\.source_encode'; .*generator\.source_encoder",
        ),
        ("trainer.freeze=[discriminator]", r"leaves nothing of the discriminator to train; name smaller parts"),
    ],
)
def test_a_wrong_source_or_part_is_one_line(key, says, dataset, tmp_path):
    with pytest.raises(ValueError, match=says):
        Trainer(tiny("dptn", dataset, key), tmp_path / "new", ALONE)


def test_another_kind_of_generator_and_a_trained_one_of_an_export_are_refused(another, dataset, tmp_path, command):
    with pytest.raises(ValueError, match=r"step_00000002\.pt has no generator_ema that fits here; .* of a nted"):
        Trainer(tiny("nted", dataset, f"trainer.start_from={tmp_path}/another"), tmp_path / "new", ALONE)
    flags = ["--model", tmp_path / "another", "--output", tmp_path / "out"]
    assert command(export.main, *flags, "--format", "safetensors") == 0
    keys = [f"trainer.start_from={tmp_path}/out", "trainer.start_with=trained"]
    with pytest.raises(ValueError, match=r"no generator that fits here; .* trainer\.start_with=ema alone"):
        Trainer(tiny("dptn", dataset, *keys), tmp_path / "new", ALONE)
