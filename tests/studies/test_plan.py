"""Studies as data: budgets, runs, points, and what is said of a wrong file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from config.load import load_config
from studies.cost import Cost, cost_of
from studies.plan import ENDLESS, Budget, Plan, Run, arm_config, load_study

STUDIES = sorted(Path("config/studies").glob("*.yaml"))
STEPS = Path("config/studies/steps.yaml")
COSTS = {"a": Cost(10, 1, 1), "b": Cost(40, 1, 1), "c": Cost(25, 1, 1)}


def write(folder: Path, **changes: object) -> Path:
    """A study of three arms over a plain U-Net."""
    arms = {"a": {}, "b": {"config": ["schedule.num_steps=2"]}, "c": {"seeds": 1}}
    base = Path("config/unet_256.yaml").resolve()
    values = {"base": str(base), "config": ["optim.decay_epochs=0"], "arms": arms, "control": "a", "seeds": 2}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**values, "budget": {"flops": 1000}, "points": 2, **changes}))
    return path


def plan(path: Path, scale: str | None = None) -> Plan:
    return Plan(load_study(path, scale), path, COSTS)


def test_a_budget_in_operations_is_as_many_steps_as_it_pays_for(tmp_path):
    found = plan(write(tmp_path))
    assert [found.steps(name) for name in "abc"] == [100, 25, 40]


def test_an_arm_may_train_as_long_as_another_in_steps_or_in_operations(tmp_path):
    arms = {"a": {"budget": {"flops_of": "b"}}, "b": {"budget": {"steps": 30}}, "c": {"budget": {"steps_of": "a"}}}
    found = plan(write(tmp_path, arms=arms))
    assert [found.steps(name) for name in "abc"] == [120, 30, 120]
    arms["b"] = {"budget": {"steps_of": "c"}}
    with pytest.raises(ValueError, match="the budgets of a, b, c depend on each other"):
        plan(write(tmp_path, arms=arms)).steps("a")


def test_points_are_equal_parts_of_the_budget_and_a_trial_has_one(tmp_path):
    found = plan(write(tmp_path, rates=[1, 2], rate_share=0.3))
    assert [(point.share, point.step) for point in found.points(Run("b", 0))] == [(0.5, 12), (1, 25)]
    assert [(point.share, point.step) for point in found.points(found.trials("c")[0])] == [(0.3, 12)]
    assert [point.step for point in plan(write(tmp_path, budget={"minutes": 3})).points(Run("a", 0))] == [ENDLESS] * 2
    assert [p.seconds for p in plan(write(tmp_path, budget={"minutes": 3})).points(Run("a", 0))] == [90, 180]


def test_an_arm_that_starts_with_another_ones_networks_trains_the_rest_of_the_budget(tmp_path):
    arms = {"a": {}, "b": {"start": {"arm": "a", "point": 1}}}
    found = plan(write(tmp_path, arms=arms, points=4, rates=[1, 2], rate_share=0.3))
    assert [(p.number, p.share, p.step) for p in found.points(Run("b", 0))] == [(2, 0.5, 6), (3, 0.75, 12), (4, 1, 19)]
    assert [(p.number, p.share, p.step) for p in found.points(found.trials("b")[0])] == [(1, 0.3, 8)]
    assert found.config(Run("b", 1), start_from=Path("there.pt")).trainer.start_from == "there.pt"


def test_trials_come_first_and_arms_with_more_seeds_before_others_seed_by_seed(tmp_path):
    found = plan(write(tmp_path, rates=[0.5, 2]))
    trials = [f"{arm}-rate{rate}" for arm in "abc" for rate in (0.5, 2)]
    assert [run.name for run in found.all_runs()] == [*trials, "a-0", "b-0", "a-1", "b-1", "c-0"]
    assert not plan(write(tmp_path)).trials("a")
    arms = {"a": {"rates": [1]}, "b": {"rates": [3, 4, 5]}, "c": {}}
    found = plan(write(tmp_path, rates=[0.5, 2], arms=arms))
    assert [[run.trial for run in found.trials(arm)] for arm in "abc"] == [[], [3, 4, 5], [0.5, 2]]


def test_a_run_has_its_seed_its_rates_and_a_length_and_is_its_arms_configuration_else(tmp_path):
    found = plan(write(tmp_path, rates=[0.5, 2]))
    config = found.config(Run("b", 1), rate=0.5)
    asked = load_config("config/unet_256.yaml", ["optim.decay_epochs=0", "schedule.num_steps=2", "seed=1"])
    assert (config.seed, config.trainer.max_steps, config.schedule.num_steps) == (1, 25, 2)
    for name in ("generator", "discriminator"):
        assert getattr(config.optim, name).lr == getattr(asked.optim, name).lr / 2
    assert config.objective == asked.objective and config.data == asked.data


def test_a_scale_replaces_what_it_names_and_may_leave_arms_out(tmp_path):
    scale = {"budget": {"steps": 5}, "config": ["trainer.batch_size=4"], "arms": {"c": {"seeds": 7}, "a": None}}
    scale |= {"control": "b"}
    path = write(tmp_path, scales={"large": scale})
    found = load_study(path, "large")
    assert found.budget == Budget(steps=5) and found.arms["c"].seeds == 7
    assert found.config == ("trainer.batch_size=4",) and found.seeds == 2 and [*found.arms] == ["b", "c"]
    assert found.arms["b"] == load_study(path).arms["b"]
    with pytest.raises(ValueError, match="has no scale 'huge'; it has large"):
        load_study(path, "huge")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"control": "d"}, "'d' is no arm; arms are a, b, c"),
        ({"comparisons": [["a", "e"]]}, "'e' is no arm"),
        ({"budget": {"flops": 1, "steps": 2}}, "a budget has one unit of flops, steps, minutes, .*, not 2"),
        ({"budget": {}}, "not 0"),
        ({"rounds": 3}, "rounds: Extra inputs are not permitted"),
        ({"arms": ["a", "b"]}, "holds no study"),
        ({"arms": {"a": {}, "b": {"start": {"arm": "d", "point": 1}}}}, "'d' is no arm"),
        ({"arms": {"a": {}, "b": {"start": {"arm": "a", "point": 2}}}}, "start.point is 2; the last of 2 is the end"),
        ({"arms": {"a": {"seeds": 1}, "b": {"start": {"arm": "a", "point": 1}}}}, "arms.b.start: both .* its seeds"),
        (
            {"arms": {"a": {"rates": [1]}, "b": {"start": {"arm": "a", "point": 1}, "rates": [1, 2]}}},
            "a, which has one",
        ),
        ({"arms": {"a": {"budget": {"steps": 1}}, "b": {"start": {"arm": "a", "point": 1}}}}, "the study's budget"),
        ({"protocol": "offlin"}, "unknown protocol 'offlin'"),
    ],
)
def test_a_wrong_study_is_one_line(changes, said, tmp_path):
    with pytest.raises(ValueError, match=said) as error:
        load_study(write(tmp_path, **changes))
    assert "\n" not in str(error.value)


def test_a_wrong_override_names_the_arm(tmp_path):
    path = write(tmp_path, arms={"a": {}, "b": {"config": ["schedule.num_step=2"]}})
    with pytest.raises(ValueError, match=r"mine.yaml: arm b: .*unknown key schedule.num_step"):
        arm_config(load_study(path), path, "b")


def test_a_budget_in_minutes_has_no_length_for_rates_that_fall(tmp_path):
    with pytest.raises(ValueError, match=r"set optim\.decay_epochs=0"):
        plan(write(tmp_path, budget={"minutes": 1}, config=["optim.decay_epochs=3"])).config(Run("a", 0))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_ships_loads_at_all_its_scales_with_arms_that_differ(path):
    for scale in (None, *load_study(path).scales):
        study = load_study(path, scale)
        configs = [arm_config(study, path, name) for name in study.arms]
        pairs = [(config, arm.budget, arm.start) for config, arm in zip(configs, study.arms.values(), strict=True)]
        assert all(pairs.count(pair) == 1 for pair in pairs)


@pytest.mark.parametrize("scale", [None, "nted", "large"])
def test_arms_of_the_step_study_differ_in_what_they_are_named_for_and_in_nothing_else(scale):
    study = load_study(STEPS, scale)
    method = arm_config(study, STEPS, "steps_head").model_dump()
    allowed = {
        "steps": {"discriminator"},
        "head_shuffled": {"objective"},
        "conditioned": {"discriminator"},
        "one": {"schedule", "rollout"},
        "one_flops": {"schedule", "rollout"},
        "one_wide": {"schedule", "rollout", "generator"},
        "same_target": {"schedule", "rollout", "discriminator"},
        "source_once": {"generator", "discriminator"},
        "grown": set(),
    }
    for name, parts in allowed.items():
        if name not in study.arms:
            continue
        arm = arm_config(study, STEPS, name).model_dump()
        assert {part for part in arm if arm[part] != method[part]} <= parts, name


@pytest.mark.parametrize("scale", [None, "nted"])
def test_the_wide_arm_is_as_dear_to_draw_with_as_all_steps(scale):
    study = load_study(STEPS, scale)
    wide, steps = (cost_of(arm_config(study, STEPS, name), torch.device("cpu")) for name in ("one_wide", "steps"))
    assert wide.image_flops == pytest.approx(steps.image_flops, rel=0.03)
