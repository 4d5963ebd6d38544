"""The configuration: inheritance, overrides, strictness, the shipped files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from config.load import build_config, dump_config, load_config
from trainers.build import build_networks

SHIPPED = sorted(path for path in Path("config").glob("*.yaml") if path.name != "base.yaml")
# published sizes: generator, and the discriminator where it is known
PARAMETERS = {
    "nted_256": (42_353_903, 27_822_997),
    "nted_256_onestep": (42_353_519, None),
    "nted_512_onestep": (42_612_402, None),
    "dptn_256": (9_799_491, None),
    "dptn_256_onestep": (9_794_371, None),
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_is_parsed_and_built_at_full_size(path):
    config = load_config(path)
    with torch.device("meta"):
        networks = build_networks(config)
    counts = [sum(p.numel() for p in network.parameters()) for network in networks.values()]
    expected = PARAMETERS.get(path.stem, (None, None))
    assert all(want in (None, count) for want, count in zip(expected, counts, strict=True)), counts


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_dumped_config_loads_as_the_same(path):
    config = load_config(path)
    assert build_config(yaml.safe_load(dump_config(config))) == config


def test_published_learning_rates():
    nted, dptn = load_config("config/nted_256.yaml"), load_config("config/dptn_256.yaml")
    assert (nted.optim.generator.lr, nted.optim.discriminator.lr) == (2e-4, 2e-4)
    assert (dptn.optim.generator.lr, dptn.optim.discriminator.lr) == (1e-4, 4e-4)
    assert load_config("config/nted_256_onestep.yaml").optim.generator.lr == 2e-3


def test_overrides_win_over_the_file_and_the_last_over_the_first():
    config = load_config(
        "config/nted_256.yaml", ["trainer.batch_size=4", "data.image_size=[128,96]", "trainer.batch_size=8"]
    )
    assert config.trainer.batch_size == 8
    assert config.data.image_size == (128, 96)


def test_a_changed_kind_drops_the_options_of_the_old_one():
    config = load_config("config/nted_256.yaml", ["schedule={kind: quantize, num_steps: 5}"])
    assert config.schedule.model_dump() == {"kind": "quantize", "num_steps": 5}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.batchsize=3", "unknown key trainer.batchsize (value 3); did you mean batch_size?"),
        ("trainer.batch_size=0", "trainer.batch_size (value 0): Input should be greater than or equal to 1"),
        ("generator.kind=nte", "did you mean nted?"),
        ("generator={kind: dptn}", "set objective.attention=0"),
        ("data.image_size=[256,100]", "must be multiples of 16"),
        ("rollout.window=30", "more than schedule.num_steps (20)"),
        ("trainer.batch_size", "is not of the form a.b=value"),
        ("optim.generator.lr=abc", "optim.generator.lr (value 'abc')"),
        ("objective.channel_divisor=2", "random can be narrower"),
        ("schedule.min_size=[300,5]", "larger than the image"),
        ("seed=-1", "seed (value -1)"),
    ],
)
def test_a_bad_override_is_one_line_with_the_fix(override, message):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        load_config("config/nted_256.yaml", [override])
    assert message in str(caught.value)


NO_HEAD = {
    "one step": ["schedule.num_steps=1", "rollout.window=null"],
    "a discriminator that is told": ["discriminator.step=projection"],
    "no discriminator": ["discriminator=null", *(f"objective.{name}=0" for name in ("gan", "step", "r1_gamma"))],
}


@pytest.mark.parametrize("why", NO_HEAD)
def test_a_placebo_needs_a_head_that_could_be_taught(why):
    assert load_config("config/nted_256.yaml", ["objective.step_labels=shuffled"]).has_step_head
    assert not load_config("config/nted_256.yaml", NO_HEAD[why]).has_step_head
    with pytest.raises(
        ValueError, match=r"step_labels is shuffled, but there is no step head .* set objective\.step_l"
    ):
        load_config("config/nted_256.yaml", [*NO_HEAD[why], "objective.step_labels=shuffled"])


def test_an_unknown_key_in_a_file_names_the_file_that_wrote_it(tmp_path):
    (tmp_path / "base.yaml").write_text(Path("config/nted_256.yaml").read_text().replace("base: base.yaml", "sed: 1"))
    (tmp_path / "mine.yaml").write_text("base: base.yaml\nseed: 3\n")
    with pytest.raises(ValueError, match=r"base\.yaml: unknown key sed \(value 1\); did you mean seed\?"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is not YAML"), ("- 1", "not a mapping"), ("base: mine.yaml", "leads back")]
)
def test_a_broken_file_is_one_line(text, message, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"^[^\n]*{message}[^\n]*$"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("family", ["schedule", "generator", "discriminator", "objective"])
def test_a_section_without_a_kind_is_one_line(family, tmp_path):
    whole = load_config("config/unet_256.yaml").model_dump(mode="json")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**whole, family: {}}))
    with pytest.raises(ValueError, match=rf"^[^\n]*mine\.yaml: {family}\.kind[^\n]*valid names: [^\n]*$"):
        load_config(tmp_path / "mine.yaml")


def test_a_missing_file_names_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean config/nted_256\.yaml"):
        load_config("config/nted_265.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.gan_mode=wasserstein", "needs gradient_penalty over 0"),
        ("generator.num_textures=[16,32,64,64,8]", "must end in 0"),
    ],
)
def test_options_that_cannot_work_together_are_refused(override, message):
    with pytest.raises(ValueError, match=message):
        load_config("config/nted_256.yaml", [override])


def test_a_generator_that_takes_one_source_says_so():
    with pytest.raises(ValueError, match=r"a unet generator takes one source: set data\.num_sources=1"):
        load_config("config/unet_256.yaml", ["data.num_sources=2"])
    assert load_config("config/nted_256.yaml", ["data.num_sources=2"]).data.num_sources == 2
