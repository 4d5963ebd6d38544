"""Pairs of images with poses, every random choice a function of (seed, epoch, index)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from data.draws import Draw
from data.frames import keypoint_frame, usual_frame
from data.openpose import Frame, pose_file, read_keypoints
from data.options import DataConfig
from data.pairs import PairLine, check_distinct, read_pairs, store_key
from data.pose import Size, face_box, to_image_frame
from data.store import ImageStore, store_path
from images.joints import NUM_JOINTS
from images.noise import Purpose, noise_key

_LOG = logging.getLogger(__name__)
Sample = dict[str, Tensor]


class View(NamedTuple):
    """A scaled and cropped view of an image: scale to `scale_size` (H', W'), then cut `crop` (x, y, w, h)."""

    scale_size: Size
    crop: tuple[int, int, int, int]


class PairDataset(Dataset[Sample]):
    """Pairs of a split.

    A sample holds `source_image, target_image` (3, H, W) uint8 RGB; `source_pose, target_pose` as `PoseForm.encode`
    gives them; `source_face, target_face` (4,) float32; `noise_key` (D,) int64; `start` (D,) float32 in [0, 1), 0
    first in a sample that is first of its batch; `index` int64; and, where there are any, `source_maps, target_maps`
    (C, H, W) uint8. `loader.to_device` finishes it. With several sources their images, poses and maps have one more
    dimension, the first; `source_face` is that of the first source.

    Training draws the sources of the line, without repetition, and a scale in [1, augment_scale] and a crop for each
    image; testing takes the first sources as they are.

    Args:
        data: `root`, a folder with `{H}-{W}` stores, `{split}_pairs.txt`, and `pose/` unless the store holds keypoints;
            and what is made of its images.
        split: `train` or `test`.
        num_directions: D; 2 if a batch trains both ways.
        seed: of all random choices.

    Raises:
        ValueError: a missing or malformed pairs file, a missing store, images that it lacks, no keypoints.
    """

    def __init__(self, data: DataConfig, split: str, num_directions: int = 1, seed: int = 0) -> None:
        self.root, self.split, self.image_size = Path(data.root), split, data.image_size
        self.pose_form, self.map_channels = data.pose_form, data.map_channels
        self.augment_scale = data.augment_scale if split == "train" else 1.0
        self.num_directions, self.seed = num_directions, seed
        self.store = ImageStore(store_path(self.root, self.image_size), self.image_size)
        pairs_file = self.root / f"{split}_pairs.txt"
        self.table = PairTable.from_lines(read_pairs(pairs_file))
        self.num_sources = np.minimum(np.diff(self.table.offsets), data.num_sources)  # of each line
        self._check_images(pairs_file)
        self.frame = self._choose_keypoints()

    def __len__(self) -> int:
        return len(self.table.targets)

    def names(self, index: int) -> tuple[str, ...]:
        """Store keys of the first source, the target and the further sources of line `index`, as testing takes them."""
        first, *others = map(self.table.name, self.table.sources(index)[: self.num_sources[index]])
        return first, self.table.name(self.table.targets[index]), *others

    def __getitem__(self, draw: Draw | int) -> Sample:
        draw = draw if isinstance(draw, Draw) else Draw(0, draw)
        rng = np.random.default_rng([self.seed, draw.epoch, draw.index, int(self.split == "test")])
        sources = [self._view(self.table.name(source), "source", rng) for source in self._sources(draw, rng)]
        sample = _in_a_row(sources) if len(sources) > 1 else sources[0]
        sample |= self._view(self.table.name(self.table.targets[draw.index]), "target", rng)
        start = rng.random(self.num_directions, dtype=np.float32)
        start[0] *= not draw.is_first
        keys = [self._noise_key(draw, direction) for direction in range(self.num_directions)]
        return sample | {
            "start": torch.from_numpy(start),
            "noise_key": torch.tensor(keys),
            "index": torch.tensor(draw.index),
        }

    def alike(self, draw: Draw) -> np.ndarray:
        """The lines that can give as many sources as a draw has, so that they can stand in its batch."""
        if self.split == "test":
            return np.flatnonzero(self.num_sources == self.num_sources[draw.index])
        return np.flatnonzero(self.num_sources >= draw.num_sources)

    def _sources(self, draw: Draw, rng: np.random.Generator) -> np.ndarray:
        """Numbers of the sources that a sample has."""
        sources = self.table.sources(draw.index)
        if self.split == "test":
            return sources[: self.num_sources[draw.index]]
        if draw.num_sources == 1:
            return sources[[rng.integers(len(sources))]]
        return rng.choice(sources, draw.num_sources, replace=False)

    def _noise_key(self, draw: Draw, direction: int) -> int:
        """A test pair's is that of `StepPose.generate`, which knows no epoch and no direction."""
        if self.split == "test":
            return noise_key(Purpose.DRAWING, self.seed, draw.index)
        return noise_key(Purpose.TRAINING, self.seed, draw.epoch, draw.index, direction)

    def _view(self, key: str, role: str, rng: np.random.Generator) -> Sample:
        """One image of the pair, with pose and face box, under the names of its role."""
        image, keypoints = self.store.read(key), self.keypoints(key)
        view = draw_view(self.image_size, self.augment_scale, rng) if self.augment_scale > 1 else None
        scale_size, crop = view or (None, None)
        joints = to_image_frame(keypoints, self.image_size, scale_size, crop, self.frame)
        maps = {f"{role}_maps": _tensor(apply_view(self.maps(key), view))} if self.map_channels else {}
        return maps | {
            f"{role}_image": _tensor(apply_view(image, view)),
            f"{role}_pose": torch.from_numpy(self.pose_form.encode(joints, self.image_size)),
            f"{role}_face": torch.from_numpy(face_box(joints)),
        }

    def keypoints(self, key: str) -> np.ndarray:
        """(18, 2) keypoints of an image, in `frame`, from the store if it holds any, else from `pose/`."""
        if self._keypoints_in_store:
            return self.store.read_keypoints(key)
        if self._without_keypoints:
            return np.full((NUM_JOINTS, 2), np.nan)
        return read_keypoints(pose_file(self.root, key))

    def maps(self, key: str) -> np.ndarray:
        """(H, W, C) uint8 condition maps of an image."""
        return self.store.read_maps(key, self.map_channels)

    def _check_images(self, pairs_file: Path) -> None:
        present = set(self.store.keys())
        missing = [key for key in self.table.all_names() if key not in present]
        if missing:
            raise ValueError(
                f"store {self.store.path} lacks {len(missing)} of the images in {pairs_file}, the first: {missing[0]}; "
                "run python -m scripts.prepare_data on the folder that has them"
            )

    def _choose_keypoints(self) -> Frame:
        meta = self.store.meta
        self._keypoints_in_store = bool(meta and meta.frame)
        is_there = self._keypoints_in_store or (self.root / "pose").is_dir()
        # maps may do without joints; then no face is cut out
        self._without_keypoints = not is_there and not self.pose_form.num_channels
        if not is_there and not self._without_keypoints:
            raise ValueError(f"store {self.store.path} holds no keypoints and there is no folder {self.root / 'pose'}")
        origin = "the store" if self._keypoints_in_store else self.root / "pose" if is_there else "nowhere"
        _LOG.info("%s: %d lines, keypoints from %s", self.split, len(self), origin)
        return meta.frame if meta and meta.frame else keypoint_frame(self.root, usual_frame(self.table.name(0)))


class PairTable(NamedTuple):
    """Pair lines as arrays: unlike lists of strings, loader processes share them and never copy them by counting."""

    keys: np.ndarray
    targets: np.ndarray
    flat_sources: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_lines(cls, lines: list[PairLine]) -> PairTable:
        """Names become store keys, held once."""
        number: dict[str, int] = {}
        targets = [number.setdefault(line.target, len(number)) for line in lines]
        sources = [number.setdefault(name, len(number)) for line in lines for name in line.sources]
        offsets = np.cumsum([0, *(len(line.sources) for line in lines)])
        keys = np.array([store_key(name).encode() for name in number])
        if len(np.unique(keys)) < len(keys):
            check_distinct(number, "pairs file")
        return cls(keys, np.array(targets, np.int32), np.array(sources, np.int32), offsets)

    def name(self, number: int) -> str:
        """A store key."""
        return self.keys[number].decode()

    def all_names(self) -> list[str]:
        """Every store key."""
        return [key.decode() for key in self.keys]

    def sources(self, index: int) -> np.ndarray:
        """Numbers of the sources of a line."""
        return self.flat_sources[self.offsets[index] : self.offsets[index + 1]]


def padded(values: list[Tensor]) -> list[Tensor]:
    """Encoded skeletons of unequal length, padded with bytes that nothing reads; all else as it is."""
    lengths = {value.shape[-1] for value in values if value.ndim}
    if len(lengths) < 2:
        return values
    return [pad(value, (0, max(lengths) - value.shape[-1])) for value in values]


def _in_a_row(sources: list[Sample]) -> Sample:
    """Several sources in one sample; the face is that of the first, which alone is drawn again."""
    sample = {name: torch.stack(padded([source[name] for source in sources])) for name in sources[0]}
    return sample | {"source_face": sources[0]["source_face"]}


def _tensor(image: np.ndarray) -> torch.Tensor:
    """(C, H, W) from an (H, W, C) array."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def draw_view(size: Size, augment_scale: float, rng: np.random.Generator) -> View:
    """A scale drawn uniformly from [1, augment_scale] and a place for an (H, W) crop."""
    scale = rng.uniform(1, augment_scale)
    height, width = int(size[0] * scale), int(size[1] * scale)
    x, y = int(rng.integers(width - size[1] + 1)), int(rng.integers(height - size[0] + 1))
    return View((height, width), (x, y, size[1], size[0]))


def apply_view(image: np.ndarray, view: View | None) -> np.ndarray:
    """Scale an (H, W, C) image bilinearly and crop it."""
    if view is None:
        return image
    (height, width), (x, y, crop_width, crop_height) = view
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        image = image if image.ndim == 3 else image[..., None]  # OpenCV drops a single channel
    return image[y : y + crop_height, x : x + crop_width]
