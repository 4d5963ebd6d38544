"""A study as data: arms that differ in named options, seeds, a budget, and the metric that decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from config.load import load_config
from config.schema import Config
from config.section import Section
from metrics.protocols import Protocol, load_protocol
from studies.cost import Cost

SEARCH_SEED = 1000  # of the runs that choose a learning rate: no run that is compared has it
ENDLESS = 10**9  # optimizer steps of a run whose budget is a time
_CHECKPOINTS_A_POINT = 4


class Budget(Section):
    """How long a run trains, in one unit; or as long as another arm, in its steps or in its operations."""

    flops: float | None = Field(None, gt=0, description="operations of training, as studies.cost counts them")
    steps: int | None = Field(None, ge=1, description="optimizer steps")
    minutes: float | None = Field(None, gt=0, description="minutes of training on the clock")
    flops_of: str | None = Field(None, description="as many operations as this arm")
    steps_of: str | None = Field(None, description="as many optimizer steps as this arm")

    @model_validator(mode="after")
    def _has_one_unit(self) -> Budget:
        units = [name for name, value in self if value is not None]
        if len(units) != 1:
            raise ValueError(f"a budget has one unit of {', '.join(Budget.model_fields)}, not {len(units)}")
        return self


Rates = tuple[Annotated[float, Field(gt=0)], ...]


class Start(Section):
    """Where an arm's runs begin: with the networks of another arm's runs of the same seeds, part of the way."""

    arm: str
    point: int = Field(ge=1, description="of the study's points: what was trained until there counts as trained here")


class Arm(Section):
    """One side of a comparison."""

    about: str = Field("", description="what it is for, for the report")
    base: str | None = Field(None, description="a config of its own, relative to the study's file")
    config: tuple[str, ...] = Field((), description="overrides, as on the command line of train.py")
    seeds: int | None = Field(None, ge=1, description="runs; null: the study's")
    budget: Budget | None = Field(None, description="null: the study's")
    start: Start | None = Field(None, description="null: from nothing")
    rates: Rates | None = Field(None, min_length=1, description="null: the study's")


class People(Section):
    """Synthetic people that the study is made on: `--make_data` draws them."""

    people: int = Field(ge=2, description="every eighth one is for testing")
    views: int = Field(5, ge=2, description="pictures of each")
    seed: int = Field(0, ge=0)


class Study(Section):
    """The whole study. What one of its `scales` names replaces what stands here, arm by arm."""

    about: str = Field("", description="the question")
    base: str = Field(description="config that all arms inherit, relative to the study's file")
    config: tuple[str, ...] = Field((), description="overrides of all arms")
    people: People | None = None
    arms: dict[str, Arm] = Field(min_length=2, description="the most important first: they run first")
    control: str = Field(description="the arm that others are compared with")
    comparisons: tuple[tuple[str, str], ...] = Field((), description="[arm, other]; empty: each arm with the control")
    seeds: int = Field(5, ge=1, description="runs of an arm")
    budget: Budget
    points: int = Field(4, ge=1, description="a run is scored after so many equal parts of its budget")
    protocol: str = "offline"
    primary: str = Field("fd_lite0", description="the metric that decides")
    pairs: int = Field(400, ge=2, description="test pairs that are scored, spread over the list")
    validation_share: float = Field(0.2, gt=0, lt=1, description="of the people in the test list, for choosing rates")
    rates: Rates = Field(
        (1.0,), min_length=1, description="factors of both learning rates, of which each arm takes the best"
    )
    rate_share: float = Field(0.25, gt=0, le=1, description="of the budget, for each of them")
    scales: dict[str, dict[str, Any]] = Field({}, description="other sizes of the study")

    @model_validator(mode="after")
    def _names_are_arms(self) -> Study:
        named = [self.control, *(name for pair in self.comparisons for name in pair)]
        budgets = [self.budget, *(arm.budget for arm in self.arms.values() if arm.budget)]
        named += [name for budget in budgets for name in (budget.flops_of, budget.steps_of) if name]
        named += [arm.start.arm for arm in self.arms.values() if arm.start]
        for name in named:
            if name not in self.arms:
                raise ValueError(f"{name!r} is no arm; arms are {', '.join(self.arms)}")
        return self

    @model_validator(mode="after")
    def _starts_are_on_the_way(self) -> Study:
        for name, arm in self.arms.items():
            if arm.start is None:
                continue
            other = self.arms[arm.start.arm]
            if arm.budget or other.budget or other.start or (other.seeds or self.seeds) < (arm.seeds or self.seeds):
                raise ValueError(
                    f"arms.{name}.start: both it and {arm.start.arm} must have the study's budget, and {arm.start.arm} "
                    "at least its seeds and no start of its own"
                )
            if len(arm.rates or self.rates) > 1 >= len(other.rates or self.rates):
                raise ValueError(
                    f"arms.{name}.start: its trials begin with those of {arm.start.arm}, which has one rate"
                )
            if arm.start.point >= self.points:
                raise ValueError(f"arms.{name}.start.point is {arm.start.point}; the last of {self.points} is the end")
        return self

    def compared(self) -> tuple[tuple[str, str], ...]:
        """Pairs of arms: each is asked whether the first is better than the second."""
        return self.comparisons or tuple((name, self.control) for name in self.arms if name != self.control)


@dataclass(frozen=True)
class Run:
    """One training: an arm with a seed, or with a factor of its learning rates that is on trial."""

    arm: str
    seed: int
    trial: float | None = None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm}-{self.seed}" if self.trial is None else f"{self.arm}-rate{self.trial:g}"


@dataclass(frozen=True)
class Point:
    """Where a run is scored: after so many optimizer steps, or seconds of training; `share` of its budget."""

    number: int
    share: float
    step: int
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """A study with what its arms cost: what there is to run, and for how long."""

    study: Study
    path: Path  # of the study's file
    costs: Mapping[str, Cost]

    @cached_property
    def protocol(self) -> Protocol:
        """How runs are scored."""
        return load_protocol(self.study.protocol)

    def runs(self) -> list[Run]:
        """Those that are compared, arms with more seeds first, seed by seed: an early end leaves whole rounds."""
        counts = {name: arm.seeds or self.study.seeds for name, arm in self.study.arms.items()}
        every = [Run(name, seed) for name, count in counts.items() for seed in range(count)]
        return sorted(every, key=lambda run: (-counts[run.arm], run.seed))

    def rates(self, arm: str) -> Rates:
        """An arm's own, or the study's."""
        return self.study.arms[arm].rates or self.study.rates

    def trials(self, arm: str) -> list[Run]:
        """The runs that choose an arm's learning rate; none where there is nothing to choose."""
        rates = self.rates(arm)
        return [Run(arm, SEARCH_SEED, rate) for rate in rates] if len(rates) > 1 else []

    def all_runs(self) -> list[Run]:
        """All of them, in the order in which they should start."""
        return [run for arm in self.study.arms for run in self.trials(arm)] + self.runs()

    def budget(self, arm: str) -> Budget:
        """An arm's own, or the study's."""
        return self.study.arms[arm].budget or self.study.budget

    def steps(self, arm: str, asked: tuple[str, ...] = ()) -> int:
        """Optimizer steps of an arm's runs, `ENDLESS` where the clock ends them; raises ValueError for a circle."""
        if arm in asked:
            raise ValueError(f"{self.path}: the budgets of {', '.join(asked)} depend on each other; give one a number")
        budget, further = self.budget(arm), (*asked, arm)
        if budget.steps_of:
            return self.steps(budget.steps_of, further)
        if budget.flops_of:
            other = budget.flops_of
            return self._steps_for(arm, self.steps(other, further) * self.costs[other].step_flops)
        if budget.flops:
            return self._steps_for(arm, budget.flops)
        return budget.steps or ENDLESS

    def _steps_for(self, arm: str, flops: float) -> int:
        return max(1, round(flops / self.costs[arm].step_flops))

    def start_share(self, arm: str) -> float:
        """The part of its budget that an arm's runs do not train themselves."""
        start = self.study.arms[arm].start
        return start.point / self.study.points if start else 0.0

    def points(self, run: Run) -> list[Point]:
        """Where a run is scored; one on trial at its end alone. Steps and seconds are those that it trains itself."""
        steps, minutes, before = self.steps(run.arm), self.budget(run.arm).minutes, self.start_share(run.arm)
        shares = {number: number / self.study.points for number in range(1, self.study.points + 1)}
        if run.trial is not None:
            shares, before = {1: self.study.rate_share}, 0.0
        own = {number: (share, share - before) for number, share in shares.items() if share > before}
        if minutes:
            return [Point(number, share, ENDLESS, 60 * minutes * part) for number, (share, part) in own.items()]
        return [Point(number, share, max(1, round(steps * part))) for number, (share, part) in own.items()]

    def config(self, run: Run, rate: float = 1.0, start_from: Path | None = None) -> Config:
        """The configuration of a run, with learning rates times `rate`, and the checkpoint that it starts from."""
        own = arm_config(self.study, self.path, run.arm, f"seed={run.seed}")
        if self.budget(run.arm).minutes and own.optim.decay_epochs:
            raise ValueError(f"{self.path}: a budget in minutes has no length that rates could fall over: "
                             "set optim.decay_epochs=0, or give it in flops or steps")  # fmt: skip
        last = self.points(run)[-1].step
        every = min(max(1, last // (len(self.points(run)) * _CHECKPOINTS_A_POINT)), 1000)
        loop = {"max_steps": last, "max_minutes": None, "eval_every": None, "sample_every": last}
        loop |= {"checkpoint_every": every, "keep_checkpoints": 2}
        trainer = own.trainer.model_copy(update=loop | ({"start_from": str(start_from)} if start_from else {}))
        adams = {name: getattr(own.optim, name) for name in ("generator", "discriminator")}
        rates = {name: adam.model_copy(update={"lr": adam.lr * rate}) for name, adam in adams.items()}
        return own.model_copy(update={"trainer": trainer, "optim": own.optim.model_copy(update=rates)})


def arm_config(study: Study, path: Path, name: str, *more: str) -> Config:
    """An arm's configuration as the study gives it; raises ValueError like `load_config`."""
    arm = study.arms[name]
    try:
        return load_config(path.parent / (arm.base or study.base), [*study.config, *arm.config, *more])
    except ValueError as error:
        raise ValueError(f"{path}: arm {name}: {error}") from None


def load_study(path: Path, scale: str | None = None) -> Study:
    """Read a study, at one of its scales; raises ValueError with one line that names file and key."""
    values = _read(path)
    scales = values.get("scales") or {}
    if scale is not None:
        if scale not in scales:
            raise ValueError(f"{path} has no scale {scale!r}; it has {', '.join(scales) or 'none'}")
        values = _scaled(values, scales[scale])
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        at, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{path}: {at + ': ' if at else ''}{message}") from None
    load_protocol(study.protocol)
    return study


def _scaled(values: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    """A study at a scale, which replaces options of arms one by one; an arm that is null there is left out."""
    arms = dict(values["arms"])
    for name, arm in (scale.get("arms") or {}).items():
        arms[name] = arm if arm is None else {**(arms.get(name) or {}), **arm}
    return {**values, **scale, "arms": {name: arm for name, arm in arms.items() if arm is not None}}


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"study {path} does not exist; see config/studies") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not isinstance(values.get("arms"), dict):
        raise ValueError(f"{path} holds no study; it needs base, arms, control and budget")
    return {**values, "arms": {name: arm or {} for name, arm in values["arms"].items()}}
