"""The configuration of a run: typed, frozen, strict. Every option is documented here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
Size = tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=2, max_length=10)]
Weight = Annotated[float, Field(ge=0)]

POSE_CHANNELS = {"skeleton": 20, "joints": 18, "joints_limbs": 41}


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Which images, at which size, with which pose maps."""

    root: str = Field("dataset/deepfashion", description="folder with the LMDBs, the pairs files and pose/")
    image_size: Size = Field((256, 176), description="height and width of the network's images, in pixels")
    pose: Literal["skeleton", "joints", "joints_limbs"] = Field(
        "skeleton",
        description="pose maps: NTED's drawing (20 channels), heatmaps of joints (18), of joints and limbs (41)",
    )
    augment_scale: float = Field(
        1.1, ge=1, le=2, description="training images are scaled by 1 to this, then cropped back"
    )
    num_workers: int = Field(4, ge=0, le=128, description="loader worker processes of each training process")

    @property
    def pose_channels(self) -> int:
        """Channels of the pose maps."""
        return POSE_CHANNELS[self.pose]


class QuantizeSchedule(Section):
    """Grey levels quantised less and less (DPTN form)."""

    kind: Literal["quantize"] = "quantize"
    num_steps: int = Field(5, ge=1, le=255, description="S, the number of steps; 1 is the one-step baseline")


class ResizeSchedule(Section):
    """Resolution growing from `min_size` to the image size (NTED form)."""

    kind: Literal["resize"] = "resize"
    num_steps: int = Field(20, ge=1, le=1000, description="S, the number of steps; 1 is the one-step baseline")
    min_size: Size = Field((8, 5), description="height and width of level 0, in pixels")
    spacing: Literal["linear", "exponential"] = Field("linear", description="how the sizes between grow")


class RolloutConfig(Section):
    """How training walks the steps."""

    window: int | None = Field(None, ge=1, description="consecutive steps of a training rollout; null: all of them")
    bidirectional: bool = Field(False, description="train source -> target and target -> source in one batch")
    degrade_source: bool = Field(False, description="step k sees the source at level k+1 instead of the clean one")


class DPTNGenerator(Section):
    """Dual-task Pose Transformer Network (Zhang et al., CVPR 2022)."""

    kind: Literal["dptn"] = "dptn"
    ngf: int = Field(64, ge=1, description="channels of the first level; doubled each level")
    img_f: int = Field(512, ge=1, description="the most channels")
    num_levels: int = Field(3, ge=1, le=8, description="stride-2 blocks in an encoder")
    num_blocks: int = Field(3, ge=0, le=32, description="residual blocks of the content encoder")
    nhead: int = Field(2, ge=1, description="attention heads; divides the token width")
    num_CABs: int = Field(2, ge=0, le=32, description="context augment blocks")
    num_TTBs: int = Field(2, ge=1, le=32, description="texture transfer blocks")
    spectral_norm: bool = Field(True, description="spectral norm on every convolution")
    init: Literal["xavier", "orthogonal"] = Field("xavier", description="initialisation of convolutions")
    init_gain: float = Field(
        0.02, gt=0, description="gain of that; without spectral norm, 1 lets short trainings find the source's colours"
    )


class NTEDGenerator(Section):
    """Neural Texture Extraction and Distribution (Ren et al., CVPR 2022). Lists run from the coarsest level up."""

    kind: Literal["nted"] = "nted"
    channels: Widths = Field((512, 512, 512, 256, 128), description="channels of each level")
    num_textures: tuple[Annotated[int, Field(ge=0, le=1024)], ...] = Field(
        (16, 32, 64, 64, 0), description="textures K of each level; 0: none"
    )
    kernel_sizes: tuple[Literal[1, 3], ...] = Field((1, 3, 3, 3, 3), description="extraction and distribution kernels")

    @model_validator(mode="after")
    def _same_length(self) -> NTEDGenerator:
        if not len(self.channels) == len(self.num_textures) == len(self.kernel_sizes):
            raise ValueError("channels, num_textures and kernel_sizes need one entry a level each")
        if self.num_textures[-1]:
            raise ValueError("num_textures must end in 0: the encoder has no feature at the finest level")
        return self


class ResidualDiscriminator(Section):
    """Residual patch discriminator with spectral norm (DPTN)."""

    kind: Literal["residual"] = "residual"
    ndf: int = Field(32, ge=1, description="channels of the first block; doubled each block")
    img_f: int = Field(128, ge=1, description="the most channels")
    num_levels: int = Field(4, ge=1, le=8, description="stride-2 blocks")


class StyleGAN2Discriminator(Section):
    """StyleGAN2's residual discriminator (NTED). The list runs from the coarsest level up."""

    kind: Literal["stylegan2"] = "stylegan2"
    channels: Widths = Field((512, 512, 512, 512, 512, 256, 128), description="channels of each level")


class VGGConfig(Section):
    """The frozen VGG19 of the perceptual losses."""

    weights: Literal["imagenet", "random"] = Field(
        "imagenet", description="torchvision's, or random ones (demo, tests)"
    )
    channel_divisor: int = Field(1, ge=1, le=64, description="narrower by this factor; only with random weights")

    @model_validator(mode="after")
    def _imagenet_is_full_width(self) -> VGGConfig:
        if self.weights == "imagenet" and self.channel_divisor != 1:
            raise ValueError("channel_divisor must be 1 with weights: imagenet; use weights: random for a narrower one")
        return self


GANMode = Literal["non_saturating", "least_squares", "hinge", "wasserstein"]


class Objective(Section):
    """What both objectives share; weights multiply the terms of docs/method.md, 7."""

    gan_mode: GANMode = Field("non_saturating", description="adversarial loss")
    gan: Weight = Field(1.5, description="weight of the generator's adversarial loss")
    step: Weight = Field(1.5, description="weight of the step label's NLL on generated images")
    face: Weight = Field(1.0, description="weight of the face crop's feature loss")
    r1_gamma: Weight = Field(0.0, description="weight of R1 is gamma / 2; 0: no R1")
    r1_interval: int = Field(16, ge=1, description="optimizer steps between R1 steps (the loss is multiplied by it)")
    r1_step: bool = Field(True, description="add the same penalty for the summed step log-probabilities")
    gradient_penalty: Weight = Field(
        0.0, description="weight of the WGAN gradient penalty; 10 with gan_mode: wasserstein"
    )
    vgg: VGGConfig = VGGConfig()

    @model_validator(mode="after")
    def _wasserstein_has_its_penalty(self) -> Objective:
        if self.gan_mode == "wasserstein" and not self.gradient_penalty:
            raise ValueError("gan_mode: wasserstein needs gradient_penalty over 0; the usual one is 10")
        return self


class DPTNObjective(Objective):
    """L1, content, style, adversarial, step and face losses on the target and the reconstructed source."""

    kind: Literal["dptn"] = "dptn"
    l1: Weight = Field(2.5, description="weight of L1")
    content: Weight = Field(0.25, description="weight of the VGG feature loss")
    style: Weight = Field(250.0, description="weight of the VGG Gram loss")
    target_share: float = Field(0.5, ge=0, le=1, description="share of the target branch; the source's is the rest")


class NTEDObjective(Objective):
    """Perceptual (with Gram), adversarial, step, face and attention reconstruction losses."""

    kind: Literal["nted"] = "nted"
    l1: Weight = Field(0.0, description="weight of L1 (not in the paper)")
    perceptual: Weight = Field(2.0, description="weight of VGG features plus Gram")
    gram: Weight = Field(500.0, description="weight of the Gram loss inside the perceptual one")
    attention: Weight = Field(15.0, description="weight of the attention reconstruction loss")


class AdamConfig(Section):
    """Adam of one network."""

    lr: float = Field(2e-4, gt=0, le=1, description="learning rate")
    betas: Betas = Field((0.0, 0.99), description="Adam's betas")


class OptimConfig(Section):
    """Adam of both. With R1 every n steps the discriminator's is StyleGAN2's: lr * c, betas ** c, c = n / (n + 1)."""

    generator: AdamConfig = AdamConfig()
    discriminator: AdamConfig = AdamConfig()
    decay_epochs: int = Field(0, ge=0, description="the learning rates fall linearly to 0 over the last epochs")


class TrainerConfig(Section):
    """The loop."""

    epochs: int = Field(200, ge=1, description="passes over the pairs file")
    max_steps: int | None = Field(None, ge=1, description="optimizer steps; null: from epochs")
    max_minutes: float | None = Field(None, gt=0, description="save and stop after this long; null: no limit")
    batch_size: int = Field(16, ge=1, description="pairs an optimizer step, over all processes")
    max_batch_per_process: int = Field(16, ge=1, description="pairs in memory at once; more are accumulated")
    log_every: int = Field(50, ge=1, description="steps between log lines")
    sample_every: int = Field(1000, ge=1, description="steps between step-strip images")
    checkpoint_every: int = Field(5000, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(3, ge=1, description="newest checkpoints kept, beside the best one")
    eval_every: int | None = Field(None, ge=1, description="steps between validations on test pairs; null: never")
    eval_pairs: int = Field(64, ge=1, description="test pairs of a validation, spread over the list")
    best_metric: Literal["ssim", "psnr", "l1"] = Field("ssim", description="the last step's metric that `best.pt` has")
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
    ema_half_life: float = Field(10_000, gt=0, description="half life of the EMA generator, in generated target images")


GeneratorConfig = Annotated[DPTNGenerator | NTEDGenerator, Field(discriminator="kind")]
DiscriminatorConfig = Annotated[ResidualDiscriminator | StyleGAN2Discriminator, Field(discriminator="kind")]
ScheduleConfig = Annotated[QuantizeSchedule | ResizeSchedule, Field(discriminator="kind")]
ObjectiveConfig = Annotated[DPTNObjective | NTEDObjective, Field(discriminator="kind")]


class Config(Section):
    """A whole run."""

    seed: int = Field(0, ge=0, lt=2**31, description="seed of weights, data order, augmentation and noise")
    data: DataConfig = DataConfig()
    schedule: ScheduleConfig
    rollout: RolloutConfig = RolloutConfig()
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig
    objective: ObjectiveConfig
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()

    @model_validator(mode="after")
    def _parts_fit(self) -> Config:
        _check_window(self)
        _check_sizes(self)
        if self.objective.kind != self.generator.kind:
            raise ValueError(
                f"objective.kind is {self.objective.kind} but generator.kind is {self.generator.kind}: "
                f"set objective.kind={self.generator.kind}"
            )
        return self


def _check_window(config: Config) -> None:
    window, num_steps = config.rollout.window, config.schedule.num_steps
    if window is not None and window > num_steps:
        raise ValueError(
            f"rollout.window is {window}, more than schedule.num_steps ({num_steps}): lower it or set null"
        )


def _check_sizes(config: Config) -> None:
    """Strided networks need sides that halve evenly; level 0 of a resize schedule fits inside the image."""
    generator, (height, width) = config.generator, config.data.image_size
    halvings = generator.num_levels if generator.kind == "dptn" else len(generator.channels) - 1
    if height % 2**halvings or width % 2**halvings:
        raise ValueError(
            f"data.image_size is [{height}, {width}]: both sides must be multiples of {2**halvings} "
            f"for a {generator.kind} generator with {halvings} stride-2 levels"
        )
    if min(height, width) < 32 or height < 64:
        # the face crop is a quarter of the height and passes VGG19's four poolings
        raise ValueError(f"data.image_size is [{height}, {width}]: the height must be 64 or more, the width 32 or more")
    if config.discriminator.kind == "residual":
        levels = config.discriminator.num_levels
        smallest = 2**levels
    else:
        smallest = 2 ** (len(config.discriminator.channels) - 1)
    if min(height, width) < smallest:
        raise ValueError(f"data.image_size is [{height}, {width}]: the discriminator needs sides of {smallest} or more")
    schedule = config.schedule
    if schedule.kind == "resize" and (schedule.min_size[0] > height or schedule.min_size[1] > width):
        raise ValueError(f"schedule.min_size is {list(schedule.min_size)}, larger than the image [{height}, {width}]")
    if generator.kind == "dptn":
        tokens = min(generator.ngf * 2 ** (generator.num_levels - 1), generator.img_f)
        if tokens % generator.nhead:
            raise ValueError(f"generator.nhead is {generator.nhead}: it must divide the token width {tokens}")
