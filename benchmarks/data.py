"""Samples/s of the data floor on one core against the plain way, with identical pixels.

    python -m benchmarks.data [--pairs N] [--seconds T]

The plain way: Pillow decodes the PNG, every limb is drawn on a canvas of its own with a distance transform of the
whole image, every heatmap is a full-size expression, and the floats that the network takes are made and batched at
once. Ours hands bytes and joints to the device, as a loader process does. Both augment alike, and what `to_device`
makes of our samples is checked to be the plain way's. One JSON object is printed: pairs/s on one core from either
kind of store, and each over the plain way's; `ratio` is the skeleton's from the kind that `prepare_data` writes unless
told otherwise. `to_device` is that step alone on the same core, where training on a GPU has the GPU do it, and
`ratio_with_to_device` counts it in.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from config.cli import Parser, image_size, run
from data.dataset import PairDataset, Sample, apply_view, draw_view
from data.draws import Draw
from data.loader import Batch, collate, to_device
from data.openpose import DEEPFASHION_FRAME, HEATMAP_LIMBS
from data.options import DataConfig
from data.pairs import PairLine, store_key, write_pairs
from data.pose import to_image_frame
from data.store import FORMATS, StoreMeta, StoreWriter, encode_image, encode_keypoints, keypoints_key, store_path
from images.skeleton import COLOURS, SKELETON_LIMBS

Size = tuple[int, int]
AUGMENT_SCALE = 1.1
ROUNDS = 15
BATCH = 8
STANDING = np.array(
    [[88, 40], [88, 62], [68, 62], [60, 95], [56, 125], [108, 62], [116, 95], [120, 125], [74, 125], [72, 175],
     [70, 220], [102, 125], [104, 175], [106, 220], [82, 34], [94, 34], [74, 38], [102, 38]], float
)  # fmt: skip


def main() -> int:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=64, help="distinct pairs")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each measurement")
    parser.add_argument("--size", type=image_size, default=(256, 176), metavar="H-W")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments.size, arguments.pairs, arguments.seconds)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def measure(folder: Path, size: Size, num_pairs: int, seconds: float) -> dict[str, object]:
    """Pairs/s of both ways for each pose form, after checking that their pixels agree."""
    for image_format in FORMATS:
        write_dataset(folder / image_format, size, num_pairs, image_format)
    report: dict[str, Any] = {"size": f"{size[0]}x{size[1]}", "unit": "pairs/s of one core's time"}
    for pose in ("skeleton", "joints_limbs"):
        stores = {image_format: dataset(folder / image_format, size, pose) for image_format in FORMATS}
        plain = PlainPairs(stores["png"], pose)
        for pairs in stores.values():
            assert_same(plain.sample(3), to_device(collate([pairs[Draw(0, 3)]]), "cpu"))
        batch = [stores["raw"][Draw(0, 3)]] * BATCH
        ways: dict[str, Callable[[int], object]] = {
            "plain": partial(batched, plain.sample, num_pairs),
            **{name: partial(batched, partial(ours, pairs), num_pairs) for name, pairs in stores.items()},
            "to_device": lambda _, batch=batch: to_device(collate(batch), "cpu"),  # type: ignore[misc]
        }
        rates = measure_ways(ways, num_pairs, seconds)
        report[pose] = rates | ratios(rates)
    return report | {"store": FORMATS[0], "ratio": ratios(report["skeleton"])["ratio"]}


def ratios(rates: dict[str, float]) -> dict[str, float]:
    """How many times the plain way: from the default store, from each, and from the default with `to_device`."""
    seconds = 1 / rates[FORMATS[0]] + 1 / rates["to_device"]
    speeds = {"ratio": rates[FORMATS[0]], **{f"ratio_{name}": rates[name] for name in FORMATS}}
    speeds["ratio_with_to_device"] = 1 / seconds
    return {name: round(speed / rates["plain"], 2) for name, speed in speeds.items()}


def measure_ways(ways: dict[str, Callable[[int], object]], num_pairs: int, seconds: float) -> dict[str, float]:
    """The best of many short turns in calls per second of processor time: what else the machine does only slows."""
    rounds = [{name: rate(make, num_pairs, seconds / ROUNDS) for name, make in ways.items()} for _ in range(ROUNDS)]
    return {name: round(max(each[name] for each in rounds), 1) for name in ways}


def rate(make: Callable[[int], object], num_pairs: int, seconds: float) -> float:
    """Pairs per second of processor time, `make` making a batch from pair `index` on."""
    make(0)
    begin, count = time.process_time(), 0
    while time.process_time() - begin < seconds:
        make(count % num_pairs)
        count += 1
    return BATCH * count / (time.process_time() - begin)


def batched(make: Callable[[int], Sample], num_pairs: int, index: int) -> Batch:
    """A batch, collated as a loader process does."""
    return collate([make((index + i) % num_pairs) for i in range(BATCH)])


def ours(pairs: PairDataset, index: int) -> Sample:
    return pairs[Draw(0, index)]


def dataset(root: Path, size: Size, pose: str) -> PairDataset:
    values = {"root": str(root), "image_size": size, "pose": pose, "augment_scale": AUGMENT_SCALE}
    return PairDataset(DataConfig.model_validate(values), "train")


def assert_same(plain: Sample, ours: Batch) -> None:
    """Pixels agree up to the rounding of float32."""
    for name, value in plain.items():
        difference = float((value - ours[name][0]).abs().max())
        if difference > 1e-5:
            raise AssertionError(f"{name} differs by {difference} from the plain way")


def write_dataset(root: Path, size: Size, num_pairs: int, image_format: str) -> None:
    """Pictures about as hard to compress as photographs before a white wall, and people standing in them."""
    rng = np.random.default_rng(0)
    writer = StoreWriter(store_path(root, size), StoreMeta(size, image_format, DEEPFASHION_FRAME))
    names = [f"img/{index}.jpg" for index in range(2 * num_pairs)]
    for name in names:
        joints = STANDING + np.array([DEEPFASHION_FRAME.left, 0]) + rng.normal(0, 4, (18, 2))
        joints[rng.random(18) < 0.1] = np.nan
        key = store_key(name)
        writer.put({key: encode_image(picture(rng, size), image_format), keypoints_key(key): encode_keypoints(joints)})
    writer.finish()
    write_pairs(root / "train_pairs.txt", [PairLine(a, (b,)) for a, b in zip(names[::2], names[1::2], strict=True)])


def picture(rng: np.random.Generator, size: Size) -> np.ndarray:
    height, width = size
    coarse = cv2.resize(rng.integers(0, 256, (9, 6, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 14, (height, width, 3)), (0, 0), 1)
    image = np.clip(coarse + grain, 0, 255).astype(np.uint8)
    image[:, : width // 4] = image[:, -width // 4 :] = 255
    return image


class PlainPairs:
    """The plain way to the same samples; the random choices are the dataset's."""

    def __init__(self, pairs: PairDataset, pose: str) -> None:
        self.pairs, self.draw = pairs, {"skeleton": plain_skeleton, "joints_limbs": plain_heatmaps}[pose]

    def sample(self, index: int) -> Sample:
        pairs = self.pairs
        rng = np.random.default_rng([pairs.seed, 0, index, 0])
        rng.integers(1)
        keys = dict(zip(("source", "target"), pairs.names(index), strict=True))
        sample = {}
        for role, key in keys.items():
            value = pairs.store.read_bytes(key)
            image = np.array(Image.open(io.BytesIO(value)).convert("RGB"))
            view = draw_view(pairs.image_size, pairs.augment_scale, rng)
            joints = to_image_frame(pairs.keypoints(key), pairs.image_size, *view, frame=pairs.frame)
            sample[f"{role}_image"] = apply_view(image, view).transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
            sample[f"{role}_pose"] = self.draw(joints, pairs.image_size)
        return {name: torch.from_numpy(value) for name, value in sample.items()}


def plain_skeleton(joints: np.ndarray, size: Size) -> np.ndarray:
    """(20, H, W) float32 in [0, 1], limb by limb at full size."""
    canvas = np.zeros((*size, 3), np.uint8)
    found = np.isfinite(joints).all(axis=1)
    for (x, y), colour, is_found in zip(joints, COLOURS, found, strict=True):
        if is_found:
            cv2.circle(canvas, (int(x), int(y)), 4, colour[::-1], -1)
    maps = []
    for (a, b), colour in zip(SKELETON_LIMBS, COLOURS, strict=False):
        mask = np.zeros(size, np.uint8)
        if found[a] and found[b]:
            polygon = plain_polygon(*joints[a], *joints[b])
            coloured = canvas.copy()
            cv2.fillConvexPoly(coloured, polygon, colour[::-1])
            canvas = np.asarray(cv2.addWeighted(canvas, 0.4, coloured, 0.6, 0), np.uint8)
            cv2.fillConvexPoly(mask, polygon, 255)
        distance = cv2.distanceTransform(255 - mask, cv2.DIST_L1, 3) / 3
        maps.append(np.clip(distance, 0, 255).astype(np.uint8))
    drawn = np.concatenate([cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB).transpose(2, 0, 1), np.stack(maps)])
    return drawn.astype(np.float32) / 255


def plain_polygon(xa: float, ya: float, xb: float, yb: float) -> np.ndarray:
    angle = int(np.degrees(np.arctan2(ya - yb, xa - xb)))
    axes = (int(np.hypot(xa - xb, ya - yb) / 2), 4)
    return np.asarray(cv2.ellipse2Poly((int((xa + xb) / 2), int((ya + yb) / 2)), axes, angle, 0, 360, 1))


def plain_heatmaps(joints: np.ndarray, size: Size) -> np.ndarray:
    """(41, H, W) float32, map by map in float64."""
    y, x = np.mgrid[: size[0], : size[1]]
    maps = [
        np.exp(-((x - int(jx)) ** 2 + (y - int(jy)) ** 2) / 72) if np.isfinite(jx + jy) else 0 * x for jx, jy in joints
    ]
    for a, b in HEATMAP_LIMBS:
        if not np.isfinite(joints[[a, b]]).all():
            maps.append(0 * x)
            continue
        (xa, ya), (dx, dy) = joints[a], joints[b] - joints[a]
        along = np.clip(((x - xa) * dx + (y - ya) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        maps.append(np.exp(-((x - xa - along * dx) ** 2 + (y - ya - along * dy) ** 2) / 18))
    return np.stack(maps).astype(np.float32)


if __name__ == "__main__":
    sys.exit(run(main))
