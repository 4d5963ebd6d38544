"""The data floor at DeepFashion's size: 52,712 images, 37 k training lines, 8,570 test pairs, generated small.

    python -m benchmarks.data_full --root FOLDER [--size 64-48]

Generates the set once, then measures as processes of their own: `prepare_data`, killed half-way and taken up again,
`--verify`, the time from a fresh start to the first training batch, and the memory of a loader process over an epoch.
One JSON object is printed.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.data import STANDING
from config.cli import Parser, image_size, run
from data.dataset import PairDataset
from data.loader import to_device, train_loader
from data.openpose import DEEPFASHION_FRAME, pose_file, write_keypoints
from data.options import DataConfig
from data.pairs import PairLine, write_pairs
from data.sampler import Share, StepSampler

NUM_IMAGES, TRAIN_LINES, TEST_LINES = 52_712, 37_258, 8_570
VIEWS = 4
BATCH_SIZE = 16


def main() -> int:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, help="folder for about 500 MB of small files")
    parser.add_argument("--size", type=image_size, default=(64, 48), metavar="H-W")
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    parser.add_argument("--first_batch", action="store_true", help="(of the benchmark itself) start training once")
    parser.add_argument("--epoch", action="store_true", help="(of the benchmark itself) walk an epoch")
    arguments = parser.parse_args()
    root, size = Path(arguments.root), arguments.size
    if arguments.first_batch or arguments.epoch:
        sys.stdout.write(json.dumps(first_batch(root, size) if arguments.first_batch else walk_epoch(root, size)))
        return 0
    if not (root / "train_pairs.txt").is_file():
        generate(root, size, arguments.images)
    sys.stdout.write(json.dumps({"images": arguments.images} | measure(root, size), indent=1) + "\n")
    return 0


def generate(root: Path, size: tuple[int, int], num_images: int) -> None:
    """Images, keypoint files and pairs in DeepFashion's layout; pairs files last, as the mark of a whole set."""
    rng = np.random.default_rng(0)
    names = [f"img/WOMEN/Tees/id_{i // VIEWS:08d}/01_{i % VIEWS + 1}_view.jpg" for i in range(num_images)]
    for name in tqdm(names, unit="image", desc="generating"):
        for path in (root / name, pose_file(root, name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((size[1], size[0])).save(root / name)
        joints = STANDING + np.array([DEEPFASHION_FRAME.left, 0]) + rng.normal(0, 4, (18, 2))
        write_keypoints(pose_file(root, name), joints)
    share = num_images / NUM_IMAGES
    first_test = int(num_images * TRAIN_LINES / (TRAIN_LINES + TEST_LINES)) // VIEWS * VIEWS
    train = lines(names[:first_test], int(TRAIN_LINES * share))
    test = lines(names[first_test:], int(TEST_LINES * share))
    (root / "train.lst").write_text("\n".join(names[:first_test]))
    (root / "test.lst").write_text("\n".join(names[first_test:]))
    write_pairs(root / "test_pairs.txt", [PairLine(line.target, line.sources[:1]) for line in test])
    write_pairs(root / "train_pairs.txt", train)


def lines(names: list[str], count: int) -> list[PairLine]:
    """Every view of a person from all others."""
    people = [names[i : i + VIEWS] for i in range(0, len(names), VIEWS)]
    every = [PairLine(a, tuple(b for b in views if b != a)) for views in people for a in views if len(views) > 1]
    return every[:count]


def measure(root: Path, size: tuple[int, int]) -> dict[str, object]:
    """Seconds and megabytes of each part."""
    name = f"{size[0]}-{size[1]}"
    prepare = ["scripts.prepare_data", "--root", str(root), "--output", str(root), "--size", name, "--workers", "2"]
    for leftover in (root / name, root / f"{name}.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    started = time.perf_counter()
    interrupted = subprocess.Popen([sys.executable, "-m", *prepare], stderr=subprocess.DEVNULL)
    partial = root / f"{name}.partial" / "data.mdb"
    while interrupted.poll() is None and not (partial.is_file() and partial.stat().st_size > 150_000_000):
        time.sleep(0.2)
    interrupted.send_signal(signal.SIGKILL)
    interrupted.wait()
    report: dict[str, object] = {"seconds_until_killed": round(time.perf_counter() - started, 1)}
    resumed = timed([*prepare])
    report["went_on_after"] = resumed.stderr.partition("going on after ")[2].partition(" images")[0]
    report["prepare_resumed_seconds"], report["prepare_peak_private_mb"] = resumed.seconds, resumed.peak_mb
    report["verify_seconds"] = timed([*prepare, "--verify"]).seconds
    this = ["benchmarks.data_full", "--root", str(root), "--size", f"{size[0]}-{size[1]}"]
    start = timed([*this, "--first_batch"])
    report["first_batch_seconds_with_imports"] = start.seconds
    report |= json.loads(start.stdout)
    return report | json.loads(timed([*this, "--epoch"]).stdout)


class Run(NamedTuple):
    """What a command took and wrote; memory is the most that it and its processes had together."""

    seconds: float
    peak_mb: int
    stdout: str
    stderr: str


def timed(module: list[str]) -> Run:
    """Run `python -m ...`."""
    begin, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while True:
            try:
                stdout, stderr = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, sum(private_mb(pid) for pid in [process.pid, *children(process.pid)]))
    if process.returncode:
        raise OSError(f"python -m {' '.join(module)} failed: {stderr[-500:]}")
    return Run(round(time.perf_counter() - begin, 1), peak, stdout, stderr)


def first_batch(root: Path, size: tuple[int, int]) -> dict[str, float]:
    """Seconds from opening the dataset to a batch on the device, with two loader processes."""
    begin = time.perf_counter()
    dataset = open_dataset(root, size)
    for batch in train_loader(dataset, sampler(dataset, 1), 2, False):
        to_device(batch, "cpu")
        break
    return {"first_batch_seconds": round(time.perf_counter() - begin, 2)}


def walk_epoch(root: Path, size: tuple[int, int]) -> dict[str, object]:
    """Private memory of a loader process over an epoch, in MB at its start, middle and end."""
    dataset = open_dataset(root, size)
    num_steps = len(dataset) // BATCH_SIZE
    marks: list[int] = []
    begin = time.perf_counter()
    for step, _ in enumerate(train_loader(dataset, sampler(dataset, num_steps), 1, False)):
        if step in (num_steps // 20, num_steps // 2, num_steps - 10):
            marks.append(private_mb(children("self")[0]))
    pairs_a_second = num_steps * BATCH_SIZE / (time.perf_counter() - begin)
    return {"loader_private_mb": marks, "loader_pairs_a_second": round(pairs_a_second)}


def open_dataset(root: Path, size: tuple[int, int]) -> PairDataset:
    return PairDataset(DataConfig(root=str(root), image_size=size), "train")


def sampler(dataset: PairDataset, num_steps: int) -> StepSampler:
    return StepSampler(len(dataset), Share(BATCH_SIZE, BATCH_SIZE), range(num_steps))


def children(pid: int | str) -> list[int]:
    """Child processes (Linux)."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def private_mb(pid: int) -> int:
    """Memory of a process that no file backs and no other process shares, in MB (Linux); 0 once it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:")) // 1024


if __name__ == "__main__":
    sys.exit(run(main))
