"""Build the stores (LMDBs) that training reads, from a folder of images, lists and keypoint files.

    python -m scripts.prepare_data --root dataset/deepfashion --output dataset/deepfashion --size 256-176 512-352

Interrupted, the same command goes on where it stopped; from another --root it begins anew. A store gets its name only
when it is whole; while an image is bad it stays `{H}-{W}.partial`, the images are named with their reasons, and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import filecmp
import logging
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from config.cli import Parser, image_size, run, sentence
from data.checks import check_frames, read_joints
from data.frames import keypoint_frame, parse_frame
from data.inputs import check_seal, differences, input_states, is_current
from data.layouts import LAYOUTS
from data.lists import LISTS, PAIRS, check_listed, find_images, listed_names, read_splits
from data.maps import MAX_CHANNELS, encode_maps, fit_maps, maps_file, maps_key, read_maps
from data.openpose import Frame, pose_file, read_keypoints
from data.pairs import across_people, store_key, unique_names
from data.records import make_record, record_key
from data.sheet import contact_sheet
from data.store import (
    FORMATS,
    ImageStore,
    StoreMeta,
    StoreWriter,
    encode_image,
    encode_keypoints,
    keypoints_key,
    store_path,
)
from images.pixels import resize
from images.reading import read_image
from images.writing import write_bytes, write_image

_LOG = logging.getLogger("prepare_data")
# a commit waits for the disk; what it gathers is held in memory twice
_BYTES_A_COMMIT = 64_000_000
# keypoint files that tell whether their frame is the right one
_JOINTS_LOOKED_AT = 500
Size = tuple[int, int]


@dataclass(frozen=True)
class Job:
    """What a worker needs to turn a name into the values of each store."""

    root: Path
    sizes: tuple[Size, ...]
    layout: str
    image_format: str | None  # None: any of what is there, else the default
    frame: Frame | None  # of keypoint files; None: there are none
    map_channels: int = 0

    def meta(self, size: Size, there: StoreMeta | None = None) -> StoreMeta:
        """What a store says of itself that is built now, or was, where `there` is what it says."""
        default = there.format if there else FORMATS[0]
        return StoreMeta(size, self.image_format or default, self.frame, self.layout, self.map_channels)


@dataclass(frozen=True)
class Outcome:
    """An image's values in each store (in the order of the sizes), or what is wrong with it."""

    name: str
    has_pose: bool = False
    values: tuple[dict[str, bytes], ...] = ()
    error: str = ""


def main() -> int:
    arguments = parse()
    root, out = Path(arguments.root), Path(arguments.output)
    if arguments.verify:
        errors = [error for size in arguments.size for error in verify(size, root, out, arguments)]
        return report(errors + other_lists(root, out))
    names = image_names(root, arguments.across_people)
    job = make_job(root, arguments)
    if job.frame:
        check_sample(job, out, names)
    job = replace(
        job, sizes=tuple(size for size in job.sizes if arguments.overwrite or not is_whole(job, size, out, names))
    )
    errors = build(job, names, out, arguments) if job.sizes else []
    copy_lists(root, out)
    return report(errors)


def make_job(root: Path, arguments: argparse.Namespace) -> Job:
    """What the command line asks for."""
    if not 0 <= arguments.map_channels <= MAX_CHANNELS:
        raise ValueError(f"--map_channels {arguments.map_channels} is outside of 0 to {MAX_CHANNELS}")
    default = LAYOUTS[arguments.layout].frame
    frame = keypoint_frame(root, default, arguments.frame) if (root / "pose").is_dir() else None
    return Job(root, tuple(arguments.size), arguments.layout, arguments.format, frame, arguments.map_channels)


def parse() -> argparse.Namespace:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", required=True, help="folder with img/, pose/, the lists and the pairs files")
    parser.add_argument("--output", required=True, help="folder for the stores; lists and pairs files are copied there")
    parser.add_argument("--size", nargs="+", type=image_size, default=[(256, 176), (512, 352)], metavar="H-W")
    parser.add_argument("--layout", choices=LAYOUTS, default="deepfashion", help="what the image files are")
    parser.add_argument("--frame", type=parse_frame, metavar="H-W+LEFT", help="the image that keypoints are pixels of")
    parser.add_argument("--format", choices=FORMATS, help="raw: the default; png: smaller, slower to read")
    parser.add_argument(
        "--map_channels",
        type=int,
        default=0,
        metavar="C",
        help="put in the condition maps in maps/, of C channels",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--chunksize", type=int, default=16, help="images handed to a process at a time")
    parser.add_argument("--overwrite", action="store_true", help="build stores anew that are there already")
    parser.add_argument("--across_people", action="store_true", help="allow training pairs of two people")
    parser.add_argument("--verify", action="store_true", help="only check every image of the stores in --output")
    return parser.parse_args()


def image_names(root: Path, allow_across: bool = False) -> list[str]:
    """The images that the lists and pairs files in `root` name; without any, all images under `root`.

    Raises:
        ValueError: they lie there under other names, two would be one, or training pairs join two people.
    """
    if not root.is_dir():
        raise ValueError(f"--root {root} is no folder; name the one that contains img/")
    names = listed(root) or find_images(root)
    check_listed(root, names)
    crossing = [] if allow_across else across_people(read_splits(root).get(PAIRS[0], []))
    if crossing:
        raise ValueError(
            f"{root / PAIRS[0]}: {len(crossing)} pairs join two people, the first {crossing[0]}; "
            "run scripts.make_pairs, or give --across_people if that is meant"
        )
    return names


def paired_names(root: Path) -> set[str]:
    """The images that the pairs files in `root` name."""
    return {name for lines in read_splits(root).values() for name in unique_names(lines)}


def check_sample(job: Job, out: Path, names: list[str]) -> None:
    """Before the work: whether joints can be pixels of the frame; raises ValueError, with a picture to look at."""
    assert job.frame
    joints, _ = read_joints(job.root, names[:: len(names) // _JOINTS_LOOKED_AT + 1])
    wrong = [finding for finding in check_frames(joints, job.frame) if finding.level == "error"] if joints else []
    if wrong:
        write_image(out / "frame.png", contact_sheet(job.root, LAYOUTS[job.layout], job.frame, joints))
        raise ValueError(f"{job.root / 'pose'}: {wrong[0].text}. {wrong[0].fix} For that, look at {out / 'frame.png'}")


def copy_lists(root: Path, out: Path) -> None:
    """Put the small text files beside the stores, so that `out` is all that training needs."""
    out.mkdir(parents=True, exist_ok=True)
    for file in (*LISTS, *PAIRS):
        if (root / file).is_file() and root.resolve() != out.resolve():
            write_bytes(out / file, (root / file).read_bytes())


def other_lists(root: Path, out: Path) -> list[str]:
    """What is wrong with lists and pairs files in `out`: those of `root` have changed since."""
    return [
        f"{out / file} is not as in {root}; run the command without --verify, which copies it"
        for file in (*LISTS, *PAIRS)
        if (root / file).is_file() and not ((out / file).is_file() and filecmp.cmp(root / file, out / file, False))
    ]


def is_whole(job: Job, size: Size, out: Path, names: list[str]) -> bool:
    """Whether a store is there with all images, made from the files that are there now; says so.

    Raises:
        ValueError: it is there, but made from other files or with other settings.
    """
    path = store_path(out, size)
    if not path.is_dir() or not any(path.iterdir()):
        return False
    store = ImageStore(path)
    found = differences(store, job.root, names, job.meta(size, store.meta))
    if found:
        raise ValueError(f"{path} is there, but {'; '.join(found)}; --overwrite builds it anew")
    if not {store_key(name) for name in names} <= set(store.keys()):
        return False
    made = "from the files that are there now" if store.has_records else "as it is: it does not say from which files"
    _LOG.info("%s is there already, with %d images, %s; --overwrite builds it anew", path, len(store), made)
    return True


def build(job: Job, names: list[str], out: Path, arguments: argparse.Namespace) -> list[str]:
    """Fill a writer a size; returns what is wrong, and finishes the stores if nothing is."""
    out.mkdir(parents=True, exist_ok=True)
    errors: list[str] = []
    with ExitStack() as stack:
        writers = [
            stack.enter_context(closing(StoreWriter(store_path(out, size), job.meta(size), str(job.root.resolve()))))
            for size in job.sizes
        ]
        left = names_left(job, names, writers)
        check_space(job, len(left), out)
        if len(left) < len(names):
            _LOG.info("going on after %d of %d images", len(names) - len(left), len(names))
        needed = paired_names(job.root)
        with _pool(arguments.workers, arguments.chunksize) as imap:
            outcomes = tqdm(imap(partial(convert, job), left), total=len(left), unit="image", smoothing=0.02)
            for batch in _batched(outcomes, _BYTES_A_COMMIT):
                errors += write_batch(job, batch, needed, writers)
        for writer in writers if not errors else ():
            writer.finish()
            _LOG.info("%s: %d images good", writer.path, len(writer.written))
    return errors


def names_left(job: Job, names: list[str], writers: list[StoreWriter]) -> list[str]:
    """The images that some writer lacks, or holds from other files than are there now; takes out what is not listed."""
    keys = {store_key(name): name for name in names}
    for writer in writers:
        writer.remove(
            [key for key in writer.written
             if key not in keys or not is_current(job.root, keys[key], writer.record(key))]
        )  # fmt: skip
    done = set.intersection(*(writer.written for writer in writers))
    return [name for key, name in keys.items() if key not in done]


def write_batch(job: Job, batch: list[Outcome], needed: set[str], writers: list[StoreWriter]) -> list[str]:
    """Put what is good into the stores; returns what is wrong with the others."""
    complaints = [(outcome, _complaint(job, outcome, needed)) for outcome in batch]
    # what is complained of stays out, so that the next attempt looks at it again
    good = [outcome.values for outcome, complaint in complaints if not complaint and outcome.values]
    for index, writer in enumerate(writers):
        writer.put({key: value for values in good for key, value in values[index].items()})
    return [complaint for _, complaint in complaints if complaint]


def check_space(job: Job, num_images: int, out: Path) -> None:
    """Before hours of work: whether the disk of `out` holds as many images more; raises ValueError."""
    needed = num_images * sum(image_bytes(size) for size in job.sizes) if job.meta((1, 1)).format == "raw" else 0
    free = shutil.disk_usage(out).free
    if needed > free:
        raise ValueError(
            f"the stores need {needed / 1e9:.1f} GB, and {out} has {free / 1e9:.1f} GB free; free some, choose another "
            "folder or fewer --size, or take --format png, which is smaller and slower to read"
        )


def image_bytes(size: Size) -> int:
    """What an image takes in a `raw` store: pages of 4096 bytes, and its share of a page for key and keypoints."""
    return (size[0] * size[1] * 3 // 4096 + 2) * 4096


def _complaint(job: Job, outcome: Outcome, needed: set[str]) -> str:
    if outcome.error or outcome.has_pose or job.frame is None or outcome.name not in needed:
        return outcome.error
    return f"keypoint file {pose_file(job.root, outcome.name)} does not exist, and a pair needs it"


def convert(job: Job, name: str) -> Outcome:
    """Decode an image once, resize it to each size (bicubic), and read its keypoints."""
    try:
        files = input_states(job.root, name, job.frame is not None, job.map_channels > 0)
        image = LAYOUTS[job.layout].picture(read_image(job.root / name), name)
        keypoints, maps = _keypoints(job, name), _maps(job, name)
        values = []
        for size in job.sizes:
            pixels = encode_image(resize(image, size), job.meta(size).format)
            held = {store_key(name): pixels, **keypoints}
            if maps is not None:
                held[maps_key(store_key(name))] = encode_maps(fit_maps(maps, LAYOUTS[job.layout], size))
            values.append(held | {record_key(store_key(name)): make_record(held, files)})
        return Outcome(name, bool(keypoints), tuple(values))
    except (ValueError, OSError) as error:
        return Outcome(name, error=sentence(error))


def verify(size: Size, root: Path, out: Path, arguments: argparse.Namespace) -> list[str]:
    """Check every value of a store, and whether it is what would be built now; returns what is wrong."""
    store = ImageStore(store_path(out, size), size)
    keys, errors = store.keys(), []
    if len(keys) != len(store):
        errors.append(f"store {store.path} says {len(store)} images and holds {len(keys)}")
    for key in tqdm(keys, unit="image", desc=store.path.name):
        errors += _complaint_of(store.check, key)
    num_good = len(keys) - len(errors) + (len(keys) != len(store))
    errors += _complaint_of(check_seal, store)
    names = listed(root) or (find_images(root) if (root / "img").is_dir() else [])
    lacking = [name for name in names if store_key(name) not in store]
    errors += [f"store {store.path} lacks {len(lacking)} listed images, the first {lacking[0]}"] if lacking else []
    asked = make_job(root, arguments).meta(size, store.meta)
    found = differences(store, root, names, asked, by_contents=True)
    errors += [f"store {store.path}: {text}; --overwrite builds it anew" for text in found]
    how = "by their checksums" if store.has_records else "as far as they tell: this store holds no checksums"
    _LOG.info("%s: %d of %d images good, %s", store.path, num_good, len(keys), how)
    return errors


def listed(root: Path) -> list[str]:
    """The images that the lists in `root` name."""
    return sorted({name for file in listed_names(root).values() for name in file})


def _complaint_of(check: Callable[[Any], None], thing: Any) -> list[str]:
    try:
        check(thing)
    except ValueError as error:
        return [str(error)]
    return []


def report(errors: list[str]) -> int:
    """Name what is bad on stderr; the exit code."""
    for error in errors:
        sys.stderr.write(f"bad: {error}\n")
    if errors:
        sys.stderr.write(f"error: {len(errors)} bad; mend or unlist them and run the same command again\n")
    return 1 if errors else 0


def _keypoints(job: Job, name: str) -> dict[str, bytes]:
    """The keypoint value of an image, if it has a file: lists may name images that no pair needs."""
    path = pose_file(job.root, name)
    if job.frame is None or not os.path.lexists(path):
        return {}
    return {keypoints_key(store_key(name)): encode_keypoints(read_keypoints(path))}


def _maps(job: Job, name: str) -> np.ndarray | None:
    """The condition maps of an image, where they are asked for."""
    if not job.map_channels:
        return None
    return read_maps(job.root / maps_file(job.root, name), job.map_channels)


@contextmanager
def _pool(num_workers: int, chunksize: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A lazy map, over processes where there are more than one."""
    if num_workers <= 1:
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(num_workers) as pool:
        yield partial(pool.imap_unordered, chunksize=max(chunksize, 1))


def _batched(outcomes: Iterable[Outcome], num_bytes: int) -> Iterator[list[Outcome]]:
    """Lists of outcomes whose values come to at least `num_bytes`; the last may have less."""
    batch: list[Outcome] = []
    held = 0
    for outcome in outcomes:
        batch.append(outcome)
        held += sum(len(value) for values in outcome.values for value in values.values())
        if held >= num_bytes:
            yield batch
            batch, held = [], 0
    yield batch


if __name__ == "__main__":
    sys.exit(run(main))
