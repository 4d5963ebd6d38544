"""The configuration of a run: typed, frozen, strict. Options of networks and losses stand beside their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from config.section import Section
from data.options import DataConfig
from losses.families import OBJECTIVES
from losses.objective import ObjectiveConfig
from models.discriminators import DiscriminatorConfig
from models.families import DISCRIMINATORS, GENERATORS, SCHEDULES
from models.generator import GeneratorConfig
from models.schedules import ScheduleConfig

Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]

PAIRED_METRICS = ("ssim", "psnr", "l1")  # of every validation

# a section of a family has the options of its kind, which stand beside the class in the family's table
FAMILIES: dict[str, Mapping[str, Any]] = {
    "schedule": SCHEDULES,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "objective": OBJECTIVES,
}


class RolloutConfig(Section):
    """How training walks the steps."""

    window: int | None = Field(None, ge=1, description="consecutive steps of a training rollout; null: all of them")
    bidirectional: bool = Field(False, description="train source -> target and target -> source in one batch")
    degrade_source: bool = Field(False, description="step k sees the source at level k+1 instead of the clean one")


class AdamConfig(Section):
    """Adam of one network."""

    lr: float = Field(2e-4, gt=0, le=1, description="learning rate")
    betas: Betas = Field((0.0, 0.99), description="Adam's betas")


class OptimConfig(Section):
    """Adam of both. With R1 every n steps the discriminator's is StyleGAN2's: lr * c, betas ** c, c = n / (n + 1)."""

    generator: AdamConfig = AdamConfig()
    discriminator: AdamConfig = AdamConfig()
    decay_epochs: int = Field(
        0, ge=0, description="learning rates fall linearly to 0 over the last of `trainer.epochs`"
    )


class TrainerConfig(Section):
    """The loop."""

    start_from: str | None = Field(
        None,
        description="a run, a checkpoint, an export or a shipped model whose networks a new run begins with",
    )
    start_with: Literal["ema", "trained"] = Field(
        "ema", description="which generator of `start_from`: its average, or the one that was trained"
    )
    freeze: tuple[str, ...] = Field(
        (), description="parts that training leaves as they are, e.g. [generator.reference_encoder]"
    )
    epochs: int = Field(200, ge=1, description="passes over the pairs file")
    max_steps: int | None = Field(
        None, ge=1, description="optimizer steps, in which `epochs` pass for the learning rates; null: from epochs"
    )
    max_minutes: float | None = Field(None, gt=0, description="save and stop after this long; null: no limit")
    batch_size: int = Field(16, ge=1, description="pairs an optimizer step, over all processes")
    max_batch_per_process: int = Field(16, ge=1, description="pairs in memory at once; more are accumulated")
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = Field(
        ("tensorboard",), description="who is told of all that is logged, beside log.jsonl"
    )
    log_every: int = Field(50, ge=1, description="steps between log lines")
    sample_every: int = Field(1000, ge=1, description="steps between step-strip images")
    checkpoint_every: int = Field(5000, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(3, ge=1, description="newest checkpoints kept, beside the best one")
    eval_every: int | None = Field(None, ge=1, description="steps between validations on test pairs; null: never")
    eval_pairs: int = Field(64, ge=1, description="test pairs of a validation, spread over the list")
    eval_protocol: str | None = Field(
        None, description="validations score under this protocol too, a name or a YAML file; null: SSIM, PSNR and L1"
    )
    best_metric: str = Field("ssim", description="the last step's metric that `best.pt` is the best by")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 autocast where the device multiplies bf16 in hardware, else fp32 (GPUs: TF32)"
    )
    compile: bool = Field(
        False, description="torch.compile generator, discriminator and image losses (needs a C++ compiler)"
    )
    deterministic: bool = Field(
        True, description="on a GPU, algorithms that give the same bits every time; false: the fastest ones"
    )
    recompute_activations: bool = Field(
        False, description="compute activations again in backward: same results, less memory, more time"
    )
    post_hoc_ema: tuple[Annotated[float, Field(gt=0, lt=0.28)], ...] = Field(
        (), description="lengths of averages that snapshots are kept of, from which others are made later: [0.05, 0.1]"
    )
    ema_half_life: float = Field(10_000, gt=0, description="half life of the EMA generator, in generated target images")

    @model_validator(mode="after")
    def _best_is_scored(self) -> TrainerConfig:
        if self.eval_protocol is None and self.best_metric not in PAIRED_METRICS:
            raise ValueError(
                f"best_metric is {self.best_metric}: without an eval_protocol there are {', '.join(PAIRED_METRICS)}"
            )
        return self


class Config(Section):
    """A whole run."""

    seed: int = Field(0, ge=0, lt=2**31, description="seed of weights, data order, augmentation and noise")
    data: DataConfig = DataConfig()
    schedule: SerializeAsAny[ScheduleConfig]
    rollout: RolloutConfig = RolloutConfig()
    generator: SerializeAsAny[GeneratorConfig]
    discriminator: SerializeAsAny[DiscriminatorConfig] | None
    objective: SerializeAsAny[ObjectiveConfig]
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()

    @property
    def has_step_head(self) -> bool:
        """Whether the discriminator is asked which step an image belongs to."""
        return self.schedule.num_steps > 1 and self.discriminator is not None and self.discriminator.step == "head"

    @model_validator(mode="after")
    def _parts_fit(self) -> Config:
        window, num_steps = self.rollout.window, self.schedule.num_steps
        if window is not None and window > num_steps:
            raise ValueError(
                f"rollout.window is {window}, more than schedule.num_steps ({num_steps}): lower it or set null"
            )
        if window not in (None, num_steps) and not self.schedule.has_teacher:
            raise ValueError(
                f"rollout.window is {window}: with a {self.schedule.kind} schedule, a window that is not all steps "
                "would start from the target itself: set rollout.window=null"
            )
        if self.data.num_sources > 1 and not GENERATORS[self.generator.kind].takes_several:
            raise ValueError(f"a {self.generator.kind} generator takes one source: set data.num_sources=1")
        self.generator.check_pose(self.data.pose)
        for part in (self.generator, self.objective, self.discriminator, self.schedule):
            if part is not None:
                part.check_image_size(*self.data.image_size)
        _check_objective(self)
        return self


def _check_objective(config: Config) -> None:
    """What the objective asks of the networks must be there."""
    kind, objective = config.generator.kind, config.objective
    if objective.needs_textures and not GENERATORS[kind].has_textures:
        raise ValueError(f"a {kind} generator has no textures to reconstruct with: set objective.attention=0")
    if objective.step_labels != "own" and not config.has_step_head:
        raise ValueError(
            f"objective.step_labels is {objective.step_labels}, but there is no step head to teach them: set "
            "objective.step_labels=own, or discriminator.step=head and two steps or more"
        )
    if config.discriminator is None:
        left = [name for name in ("gan", "step", "r1_gamma", "gradient_penalty") if getattr(objective, name)]
        if left:
            zeros = " ".join(f"objective.{name}=0" for name in left)
            raise ValueError(f"discriminator is null, but the objective asks it for losses: set {zeros}")
