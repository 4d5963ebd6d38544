"""Pairs per second of the paired metrics on one core, against the plain way and scikit-image, with equal values.

    python -m benchmarks.metrics [--pairs N] [--seconds T]

Plain SSIM sums every window on its own (a two-dimensional convolution without structure); scikit-image filters along
each axis. Ours is checked to equal both. `files` is the whole way of PNG files of twenty steps, reading included, to
SSIM (window 51), PSNR, L1, MAE and spectra against the clean ground truth and that of each level, on as many threads as
this machine has cores; `distance_processor_seconds` is for one distance of two sets of 5000 x 2048 features. One JSON
object is printed.
"""

from __future__ import annotations

import json
import os
import resource
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
from skimage.metrics import structural_similarity

from config.cli import Parser, run
from images.pixels import Pixels, resize
from images.writing import write_image
from metrics.distribution import Moments, frechet_distance_of, kernel_distance
from metrics.evaluate import score_tracks
from metrics.images import image_file
from metrics.paired import SsimWindow, ssim
from metrics.protocols import PROTOCOLS
from metrics.scorer import Scorer
from metrics.task import Pair, Task, Track
from models.families import build_schedule
from models.schedules import ResizeConfig

SIZE = (256, 176)
TEST_PAIRS, NUM_STEPS = 8570, 20
WINDOWS = {"window_51": SsimWindow(51), "sigma_1.5": SsimWindow(sigma=1.5, sample_covariance=False)}
SCIKIT_OPTIONS: dict[str, dict[str, Any]] = {
    "window_51": {"win_size": 51},
    "sigma_1.5": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def main() -> int:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=50, help="PNG pairs for the measurement with files")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    fake, truth = picture(0), picture(1)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:  # first, since the plain form below needs much memory
        report["files"] = measure_files(Path(folder), arguments.pairs)
    report |= {name: measure_ssim(name, fake, truth, arguments.seconds) for name in WINDOWS}
    report["distance_processor_seconds"] = measure_distances()
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def measure_ssim(name: str, fake: Pixels, truth: Pixels, seconds: float) -> dict[str, float]:
    """Pairs/s of ours, scikit-image's and the plain form, and how far the values are apart."""
    window = WINDOWS[name]
    x, y = fake / 255.0, truth / 255.0
    scikit = partial(structural_similarity, x, y, channel_axis=2, data_range=1, **SCIKIT_OPTIONS[name])
    ours, plain = partial(ssim, fake, truth, window), partial(plain_ssim, x, y, window)
    rates = {key: rate(f, seconds) for key, f in (("ours", ours), ("scikit_image", scikit), ("plain", plain))}
    return {
        **{f"{key}_pairs_per_second": round(value, 2) for key, value in rates.items()},
        "ratio_to_scikit_image": round(rates["ours"] / rates["scikit_image"], 2),
        "ratio_to_plain": round(rates["ours"] / rates["plain"], 1),
        "difference_to_scikit_image": abs(ours() - float(scikit())),
        "difference_to_plain": abs(ours() - plain()),
    }


def plain_ssim(x: np.ndarray, y: np.ndarray, window: SsimWindow) -> float:
    """SSIM by the definition: each window's weighted moments with all its pixels, in one product."""
    radius = window.radius
    taps = np.ones(2 * radius + 1)
    if window.sigma is not None:
        taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / window.sigma))
    weights = torch.from_numpy(np.outer(taps, taps) / taps.sum() ** 2)
    maps = torch.from_numpy(np.stack([x, y, x * x, y * y, x * y]).transpose(0, 3, 1, 2).reshape(15, 1, *x.shape[:2]))
    means = torch.nn.functional.conv2d(maps, weights[None, None]).reshape(5, 3, -1)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = means
    scale = len(taps) ** 2 / (len(taps) ** 2 - 1) if window.sample_covariance else 1.0
    variances = scale * (mean_xx - mean_x**2 + mean_yy - mean_y**2)
    covariance = scale * (mean_xy - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return float(value.mean())


def measure_files(folder: Path, count: int) -> dict[str, float]:
    """Scores `count` pairs of PNG files of a schedule's steps as eval_step.py does, against both kinds of truth."""
    pairs, files = [], {}
    for index in range(count):
        name = f"{index}.png"
        for part, seed in (("truth", 2 * index), ("fake", 2 * index + 1)):
            write_image(folder / part / name, picture(seed))
        pairs.append(Pair(name, image_file(folder / "truth" / name)))
        files[name] = image_file(folder / "fake" / name)
    schedule = build_schedule(ResizeConfig(num_steps=NUM_STEPS), SIZE)
    tracks = [Track(str(step), files, partial(schedule.degrade, level=step + 1)) for step in range(NUM_STEPS - 1)]
    protocol = PROTOCOLS["nted"].model_copy(update={"ssim": {"ssim": PROTOCOLS["nted"].ssim["ssim"]}})
    start, start_cpu = time.perf_counter(), time.process_time()
    score_tracks(Task(pairs, [*tracks, Track("final", files)], SIZE), Scorer(protocol, torch.device("cpu")))
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "steps": NUM_STEPS,
        "processor_ms_per_pair_and_step": round(1000 * cpu / count / NUM_STEPS, 2),
        "processor_minutes_for_8570_pairs": round(TEST_PAIRS / count * cpu / 60, 1),
        "threads": os.cpu_count() or 1,
        "minutes_for_8570_pairs": round(TEST_PAIRS / count * wall / 60, 1),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def measure_distances(count: int = 5000, width: int = 2048) -> dict[str, float]:
    """Processor seconds of one Frechet and one kernel distance of two sets of Inception's width."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, count, width)).astype(np.float32)
    moments = [Moments.of(table) for table in (a, b)]
    start = time.process_time()
    frechet_distance_of(*moments)
    middle = time.process_time()
    kernel_distance(a, b)
    return {"frechet": round(middle - start, 2), "kernel": round(time.process_time() - middle, 2)}


def rate(function: Callable[[], object], seconds: float) -> float:
    """Calls per second of this thread's processor time, so that a busy machine counts less."""
    calls, start = 0, time.thread_time()
    while calls == 0 or time.thread_time() - start < seconds:
        function()
        calls += 1
    return calls / (time.thread_time() - start)


def picture(seed: int) -> Pixels:
    """A smooth picture with fine noise, as large as a photograph once it is a PNG."""
    random = np.random.default_rng(seed)
    coarse = random.integers(60, 200, (16, 11, 3), dtype=np.uint8)
    smooth = resize(coarse, SIZE)
    return np.clip(smooth + random.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(run(main))
