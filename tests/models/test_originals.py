"""Published names against recorded lists, there and back."""

from __future__ import annotations

import pytest
import torch

from models.originals import (
    PARTS,
    SYSTEMS,
    from_published,
    misfit,
    optimizer_from_published,
    published_name,
    to_published,
)
from models.originals_files import examine, pack
from tests.published import published_state, small_config
from trainers.build import build_networks

BOTH = [(system, part) for system in SYSTEMS for part in PARTS]


def network(system: str, part: str, seed: int = 0) -> torch.nn.Module:
    return build_networks(small_config(system, f"seed={seed}"))[part]


def equal(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(("system", "part"), BOTH)
def test_every_recorded_name_finds_its_tensor(system, part):
    published = published_state(system, part)
    renamed = from_published(system, part, published)
    network(system, part).load_state_dict(renamed.state, strict=True)
    assert len(renamed.state) + len(renamed.dropped) == len(published)


@pytest.mark.parametrize(("system", "part"), BOTH)
def test_going_there_and_back_gives_every_recorded_name_and_bit(system, part):
    published = published_state(system, part)
    assert equal(to_published(system, part, from_published(system, part, published).state), published)


@pytest.mark.parametrize(("system", "part"), BOTH)
def test_going_back_and_there_gives_our_state_bit_for_bit(system, part):
    ours = network(system, part).state_dict()
    assert equal(from_published(system, part, to_published(system, part, ours)).state, ours)


@pytest.mark.parametrize(("system", "part"), BOTH)
def test_optimizers_number_every_parameter_once(system, part):
    renamed = from_published(system, part, published_state(system, part))
    assert sorted(renamed.parameters) == sorted(name for name, _ in network(system, part).named_parameters())


def test_prefixes_mean_nothing():
    published = published_state("dptn", "generator")
    other = {f"module.{name.replace('PTM.', 'transformer.')}": value for name, value in published.items()}
    assert equal(from_published("dptn", "generator", other).state, from_published("dptn", "generator", published).state)


def test_the_stored_step_images_are_dropped():
    published = published_state("dptn-step", "generator") | {"positional_encoding.pe": torch.zeros(1, 9, 8)}
    renamed = from_published("dptn-step", "generator", published)
    assert renamed.dropped["positional_encoding.pe"] == "step images are computed on the fly"


def test_second_names_that_differ_are_refused():
    published = published_state("dptn", "generator")
    published["mblock1.conv2.weight"] = published["mblock1.conv2.weight"] + 1
    with pytest.raises(ValueError, match=r"mblock1\.conv2\.weight and mblock1\.model\.5\.weight .* damaged"):
        from_published("dptn", "generator", published)


def test_another_blur_filter_is_refused():
    published = published_state("nted", "generator")
    published["reference_encoder.convs.0.blur.kernel"] = torch.full((4, 4), 1 / 16)
    with pytest.raises(ValueError, match=r"convs\.0\.blur\.kernel is not the filter"):
        from_published("nted", "generator", published)


def test_one_tensor_under_two_prefixes_is_refused():
    published = published_state("nted", "discriminator")
    published["module.convs.0.1.bias"] = published["convs.0.1.bias"]
    with pytest.raises(ValueError, match="names of one tensor"):
        from_published("nted", "discriminator", published)


def test_adams_moments_follow_the_published_order():
    # module by module, own parameters before children, each tensor once: so conv1 counts at its first name
    w, b = torch.zeros(2, 2, 3, 3), torch.zeros(2)
    published = {
        "En_c.mblock0.conv1.bias": b,
        "En_c.mblock0.conv1.weight_orig": w,
        "En_c.mblock0.conv1.weight_u": b,
        "En_c.mblock0.conv1.weight_v": torch.zeros(18),
        "En_c.mblock0.model.0.weight": b,
        "En_c.mblock0.model.0.bias": b,
        "En_c.mblock0.model.2.bias": b,
        "En_c.mblock0.model.2.weight_orig": w,
        "En_c.mblock0.model.2.weight_u": b,
        "En_c.mblock0.model.2.weight_v": torch.zeros(18),
    }
    block = "content_encoder.mblock0.model"
    ours = [f"{block}.0.weight", f"{block}.0.bias", f"{block}.2.bias", f"{block}.2.parametrizations.weight.original"]
    order = [ours[2], ours[3], ours[0], ours[1]]  # what the numbers 0..3 of the published optimizer mean
    shapes = dict(zip(ours, (b.shape, b.shape, b.shape, w.shape), strict=True))
    moments = {
        n: {k: torch.full(shapes[name], float(n)) for k in ("exp_avg", "exp_avg_sq")} | {"step": 7}
        for n, name in enumerate(order)
    }
    adam = {"state": moments, "param_groups": [{"params": [0, 1]}, {"params": [2, 3]}]}
    renamed = from_published("dptn-step", "generator", published)
    found = optimizer_from_published(adam, renamed, ours)
    assert [float(found[number]["exp_avg"].mean()) for number in range(4)] == [2, 3, 0, 1]
    assert found[0]["step"].dtype == torch.float32
    assert float(found[0]["step"]) == 7
    with pytest.raises(ValueError, match="numbers 2 parameters, the network has 4"):
        optimizer_from_published(adam | {"param_groups": [{"params": [0, 1]}]}, renamed, ours)
    swapped = adam | {"param_groups": [{"params": [1, 0, 2, 3]}]}
    with pytest.raises(ValueError, match=r"moments of content_encoder\.mblock0\.model\.2\.bias are \(2, 2, 3, 3\)"):
        optimizer_from_published(swapped, renamed, ours)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_config_describes_its_system_alone(system):
    config = small_config(system)
    assert [other for other in SYSTEMS if misfit(other, config) is None] == [system]


def test_another_schedule_is_a_misfit():
    config = small_config("nted-step", "schedule={kind: quantize, num_steps: 5}")
    assert misfit("nted-step", config) == "schedule.kind is quantize, nted-step has resize"


@pytest.mark.parametrize(
    ("system", "override", "reason"),
    [
        ("nted", "data.pose_strokes.radius=2", "data.pose_strokes draw with a radius of 2 pixels, nted with 4"),
        ("nted", "data.pose_strokes.scale_with_height=true", None),  # of 256 rows: the same
        ("nted", "data.map_channels=2", "data.map_channels is 2, nted has 0"),
        ("nted", "data.pose_strokes.joint_sigma=3", None),  # it draws none
        ("nted-step", "generator.step_input=channel", "generator.step_input is channel, nted-step has added"),
        ("dptn-step", "generator.source_to_both=true", "generator.source_to_both is True, dptn-step has False"),
        ("dptn", "generator.pose_attention=true", "generator.pose_attention is True, dptn has False"),
        ("dptn-step", "generator.pose_attention=true", "generator.pose_attention is True, dptn-step has False"),
        ("dptn-step", "discriminator.step=projection", "discriminator.step is projection, dptn-step has head"),
        (
            "dptn",
            "data.pose_strokes.joint_sigma=3",
            "data.pose_strokes draw with a joint_sigma of 3 pixels, dptn with 6",
        ),
    ],
)
def test_what_the_published_code_would_feed_otherwise_is_a_misfit(system, override, reason):
    assert misfit(system, small_config(system, override)) == reason


def shapes(system: str) -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        part: {name: tuple(value.shape) for name, value in network(system, part).state_dict().items()} for part in PARTS
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_packed_files_account_for_every_key(system):
    g, d = (network(system, part).state_dict() for part in PARTS)
    found = examine(
        system,
        pack(system, {"generator": g, "generator_ema": g, "discriminator": d}).values(),
        shapes(system),
    )
    assert not found.unexplained
    assert equal(found.networks["discriminator"].state, d)


@pytest.mark.parametrize("part", PARTS)
def test_a_bare_state_dict_is_known_by_its_names(part):
    found = examine("dptn", [published_state("dptn", part)], shapes("dptn"))
    assert list(found.networks) == [part]


def test_every_kind_of_row_appears_with_its_shape():
    state = published_state("nted", "discriminator")
    del state["final_linear.1.bias"]
    state |= {"extra.weight": torch.zeros(3, 2), "convs.0.1.bias": torch.zeros(9)}
    files = {
        "net_D": {f"module.{name}": value for name, value in state.items()},
        "iteration": 495400,
        "other": {"x": torch.zeros(2)},
    }
    found = examine("nted", [files], shapes("nted"))
    rows = {(row.status, row.name, row.shape) for rows in found.rows.values() for row in rows}
    assert ("mapped", "module.convs.0.0.weight", "(6, 3, 1, 1)") in rows
    assert ("dropped", "module.convs.1.skip.0.kernel", "(4, 4)") in rows
    assert ("dropped", "iteration", "int") in rows
    assert {(row.status, row.name, row.shape, row.note) for row in found.unexplained} == {
        ("missing", "final_linear.1.bias", "(1,)", "-> final_linear.1.bias"),
        ("unexpected", "module.extra.weight", "(3, 2)", "this network has no such tensor"),
        ("unexpected", "module.convs.0.1.bias", "(9,)", "this network's is (6,)"),
        ("unexpected", "other", "dict", "no known entry"),
    }


def test_a_network_given_twice_is_refused():
    with pytest.raises(ValueError, match="hold the generator twice"):
        examine("dptn", [published_state("dptn", "generator")] * 2, shapes("dptn"))


def test_published_names_of_ours_are_the_recorded_ones():
    assert (
        published_name("dptn-step", "generator", "PTM.TTBs.1.cross_attn.in_proj_weight")
        == "PTM.decoder.layers.1.multihead_attn.in_proj_weight"
    )
