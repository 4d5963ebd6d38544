"""A trained generator, ready to draw: the one way in for commands, the web page and Python programs.

from studio.pipeline import StepPose

model = StepPose.load("result/my_run")
pose = model.pose_form.draw(joints, model.image_size)  # joints: (18, 2) pixels, NaN where missing
image = model.generate(Image.open("person.jpg"), pose, source_pose=source_pose)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from config.schema import Config
from data.pose import PoseForm
from images.noise import Purpose, noise_key, normal_noise
from models.appearance import Blended, blend_inputs, first_half
from models.device import autocast, prepare
from models.families import build_generator, build_schedule
from models.generator import Generator
from models.layers import GeneratorOutput
from models.rollout import Pair, generate, switched
from studio.inputs import Images, Maps, OneImage, image_batch, is_single, map_batch, same_kind
from trainers import checkpoints
from trainers.ema import settle_old_average
from trainers.stored import read_model

Steps = Literal["last", "all"]


class StepPose:
    """A generator with its schedule.

    Args:
        config: the run that it belongs to.
        generator: on its device; it is put in evaluation mode.
        trained_steps: optimizer steps it was trained for.
        dtype: float32, or bfloat16 for autocast.
        compile_mode: None, or a mode of `torch.compile` ("default"; "reduce-overhead" uses CUDA graphs).
    """

    def __init__(
        self,
        config: Config,
        generator: Generator,
        trained_steps: int = 0,
        dtype: torch.dtype = torch.float32,
        compile_mode: str | None = None,
    ) -> None:
        self.config, self.trained_steps, self.dtype = config, trained_steps, dtype
        self.device = next(generator.parameters()).device
        self.generator: Generator = generator.eval().requires_grad_(False)
        prepare(self.generator, self.device)
        self.schedule = build_schedule(config.schedule, config.data.image_size).to(self.device)
        self._network = _Compiled(self.generator, compile_mode) if compile_mode else self.generator

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        which: int | None = None,
        config: Config | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile_mode: str | None = None,
    ) -> StepPose:
        """The EMA generator of a model by name or path, as `find_model` finds it.

        Args:
            which: step of the checkpoint in a run's folder; None for the newest.
            config: refuse a checkpoint that belongs to another one, and take its settings; None: the saved one.

        Raises:
            ValueError: nothing there, a damaged file, one with code in it, or one of another config.
        """
        file, state = read_model(path, which)
        if config is not None:
            checkpoints.check_config(file, state["config"], config, checkpoints.GENERATOR_KEYS)
        config = config or checkpoints.saved_config(state["config"])
        # a seed of its own: drawing the weights that are replaced next must not disturb the caller's randomness
        with torch.random.fork_rng(devices=[]):
            generator = build_generator(config.generator, config.data.pose_channels, config.schedule.num_steps)
        try:
            generator.load_state_dict(state["generator_ema"])
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{file} does not fit its own config: {reason}") from None
        settle_old_average(generator, state["format"])
        return cls(config, generator.to(device), state["step"], dtype, compile_mode)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of its images."""
        return self.config.data.image_size

    @property
    def num_steps(self) -> int:
        """S."""
        return self.schedule.num_steps

    @property
    def pose_form(self) -> PoseForm:
        """What draws the pose maps that it takes: `pose_form.draw(joints, image_size)`."""
        return self.config.data.pose_form

    @property
    def needs_source_pose(self) -> bool:
        """Whether it looks at the source's own pose."""
        return self.generator.needs_source_pose

    def generate(
        self,
        source: Images | None = None,
        pose: Maps | None = None,
        steps: Steps = "last",
        *,
        sources: Sequence[OneImage] | None = None,
        source_pose: Maps | None = None,
        seed: int = 0,
        first: int = 0,
        noise: Tensor | None = None,
    ) -> Any:
        """Draw the person of a source image, or of several photographs, in a pose.

        Args:
            source: one image or B: PIL images, (H, W, 3) uint8 arrays, or (3, H, W) tensors in [-1, 1].
            pose: one target pose or B: maps (P, H, W), uint8 or float in [0, 1], of the form `pose_form`. One of
                either goes with many of the other.
            steps: "last" for the finished image, "all" for the image of every step, from coarse to fine.
            sources: any number of photographs of one person, in place of `source`; their order is of no account.
            source_pose: maps of the source's own pose, for a model that `needs_source_pose`; of each of `sources`.
            seed, first: the B images take the noise of lines first, first + 1 ... of the test pairs, as inference.py
                draws them with this seed.
            noise: (B, 3, H, W) standard normal, in place of these.

        Returns:
            images of the kind of the source: one for one person in one pose, else a list of B; with "all" a list of S
            of these.

        Raises:
            ValueError: an image or pose of another kind, size or range, or numbers of them that do not fit.
        """
        if steps not in ("last", "all"):
            raise ValueError(f"steps is {steps!r}; it must be 'last' or 'all'")
        given = source if sources is None else sources
        if pose is None or given is None or (source is not None and sources is not None):
            raise ValueError("give a pose, and either a source or sources=[...]")
        pair = (self.pair if sources is None else self.several)(given, pose, source_pose)
        images = list(self.stream(pair, self.noise(len(pair.target_pose), seed, first) if noise is None else noise))
        one_person = sources is not None or is_single(given)
        single = one_person and not isinstance(pose, Sequence) and pose.ndim == 3
        shown: list[Any] = [same_kind(batch, given) for batch in images]
        shown = [batch[0] for batch in shown] if single else shown
        return shown if steps == "all" else shown[-1]

    def mix(
        self,
        sources: Sequence[Images],
        pose: Maps,
        switches: Sequence[int],
        steps: Steps = "last",
        *,
        source_poses: Sequence[Any] | None = None,
        seed: int = 0,
    ) -> Any:
        """Style mixing: draw with the first source, from step switches[0] on with the second, and so on.

        Early steps carry identity and detail, late steps colour. With switch 0 the result is the second source's own,
        with switch S the first's.

        Args:
            sources: two or more, each an image or several photographs of one person. switches: one less, ascending,
                each in 0..S.
            pose: maps (P, H, W) of one target pose. source_poses: maps of each source's own pose, as above.
            steps, seed: as in `generate`.

        Returns:
            an image of the kind of the first source, or with "all" a list of S.
        """
        poses = source_poses or [None] * len(sources)
        if len(poses) != len(sources):
            raise ValueError(f"{len(poses)} source poses for {len(sources)} sources; give one each")
        pairs = [self.several(source, pose, own) for source, own in zip(sources, poses, strict=True)]
        images = list(self.stream(switched(pairs, switches, self.num_steps), self.noise(1, seed)))
        shown = [same_kind(image, sources[0])[0] for image in images]
        return shown if steps == "all" else shown[-1]

    def blend(self, first: Pair, second: Pair, weight: float | Tensor, noise: Tensor) -> Iterator[Tensor]:
        """Appearance control: each step's image (B, 3, H, W), drawn with the texture of two sources.

        Args:
            first, second: from `pair`, in one target pose.
            weight: share of the second source, in [0, 1]: one for all, or (B or 1, 1, H, W) in the target's pixels.
            noise: (B, 3, H, W).

        Raises:
            ValueError: a weight out of range.
        """
        shape = (len(noise), 1, *self.image_size)
        map_ = torch.as_tensor(weight, dtype=torch.float32, device=self.device).expand(shape)
        if not bool(((map_ >= 0) & (map_ <= 1)).all()):
            raise ValueError("blend weights must lie in [0, 1]: 0 is the first source, 1 the second")
        pair, noises = blend_inputs(first, second, noise)
        return first_half(self.stream(pair, noises, Blended(self.generator, map_)))

    def pair(self, source: Images, pose: Maps, source_pose: Maps | None = None) -> Pair:
        """What a rollout takes, from images and maps as `generate` takes them; one is repeated to go with many."""
        if source_pose is None and self.needs_source_pose:
            raise ValueError("this model needs the source's own pose too: source_pose=maps")
        image = image_batch(source, self.image_size, self.device)
        maps = [self._maps(one) for one in (pose if source_pose is None else source_pose, pose)]
        count = max(len(image), *map(len, maps))
        parts = {"images": image, "source poses": maps[0], "poses": maps[1]}
        wrong = [f"{len(part)} {name}" for name, part in parts.items() if len(part) not in (1, count)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} do not go with {count}; give one or equally many of each")
        if source_pose is None:
            maps[0] = maps[1]  # not looked at
        return Pair(*(part.expand(count, -1, -1, -1) for part in (image, *maps)))

    def several(self, sources: Images, pose: Maps, source_poses: Maps | None = None) -> Pair:
        """What a rollout takes to draw one person, of whom there are several photographs, in one pose or many.

        Args:
            sources, source_poses: images and maps as `generate` takes them, a source pose for each source.

        Raises:
            ValueError: as `generate`; the generator takes one source only.
        """
        if source_poses is None and self.needs_source_pose:
            raise ValueError(
                "this model needs the sources' own poses too: source_pose=[maps, ...], in mix source_poses=[maps, ...]"
            )
        images, targets = image_batch(sources, self.image_size, self.device), self._maps(pose)
        own = targets[:1].expand(len(images), -1, -1, -1) if source_poses is None else self._maps(source_poses)
        if len(own) != len(images):
            raise ValueError(f"{len(own)} source poses for {len(images)} sources; give one each")
        if len(images) == 1:
            return self.pair(images, targets, own)
        if not self.generator.takes_several:
            raise ValueError(f"a {self.config.generator.kind} generator takes one source, not {len(images)}")
        count = len(targets)
        return Pair(images.expand(count, -1, -1, -1, -1), own.expand(count, -1, -1, -1, -1), targets)

    def _maps(self, maps: Maps) -> Tensor:
        return map_batch(maps, self.config.data.pose_channels, self.image_size, self.device)

    def noise(self, count: int, seed: int = 0, first: int = 0) -> Tensor:
        """(count, 3, H, W) standard normal; row i is that of line first + i of the test pairs in a run of this seed."""
        keys = [noise_key(Purpose.DRAWING, seed, first + row) for row in range(count)]
        return normal_noise(torch.tensor(keys, device=self.device), (3, *self.image_size))

    def stream(
        self, pair: Pair | Sequence[Pair], noise: Tensor, generator: nn.Module | None = None
    ) -> Iterator[Tensor]:
        """The image (B, 3, H, W) of each step as soon as it is there.

        Args:
            pair: one, or one a step. noise: (B, 3, H, W).
            generator: in place of the model's own, e.g. one that blends two sources.
        """
        steps = generate(generator or self._network, self.schedule, pair, noise, self.config.rollout.degrade_source)
        while True:
            # autocast must not stay on between the steps, while the caller is at work
            with autocast(self.device, self.dtype):
                image = next(steps, None)
            if image is None:
                return
            yield image


class _Compiled(nn.Module):
    """A compiled generator. Its image is a copy: with CUDA graphs the next replay writes over the last output."""

    def __init__(self, generator: nn.Module, mode: str) -> None:
        super().__init__()
        self.generator = torch.compile(generator, mode=mode)

    def forward(self, *arguments: Any) -> GeneratorOutput:
        return GeneratorOutput(self.generator(*arguments).target_image.clone())
