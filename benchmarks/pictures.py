"""Steps, mixing, blending, reading and motion of the shipped models, as the docs show them, by their commands.

python -m benchmarks.pictures --root dataset/small --output docs/images
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from config.cli import Parser, run, run_command
from config.load import load_config
from data.pairs import read_pairs
from images.reading import read_pixels
from images.strips import stack
from trainers.stored import ASSETS, CONFIG_FILE, shipped_models

WIDTH = 800  # of a page, in pixels; pictures are enlarged by a whole factor, so that they stay crisp
PAIRS, ROWS = 40, 4  # the first test pairs that are drawn, and how many of them, spread evenly, are shown
Names = tuple[str, str, str]


def parse() -> argparse.Namespace:
    parser = Parser(description="Draw what README and docs/using.md show of the shipped models.")
    parser.add_argument("--root", type=Path, required=True, help="dataset of people that they never saw, with stores")
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="folder of the pictures")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    people, views = three_people(arguments.root), front_and_back(arguments.root)
    arguments.output.mkdir(parents=True, exist_ok=True)  # before the long work
    for system in sorted(shipped_models()):
        with tempfile.TemporaryDirectory() as folder:
            for name, picture in pictures(system, arguments.root, people, views, Path(folder)):
                publish(picture, arguments.output / f"{name}_{system}.jpg")


def three_people(root: Path) -> Names:
    """Three people of the test pairs, spread evenly: two to be mixed, and one whose pose is taken."""
    targets: dict[Path, str] = {}
    for line in read_pairs(root / "test_pairs.txt"):
        targets.setdefault(Path(line.target).parent, line.target)
    if len(targets) < 3:
        raise ValueError(f"{root}/test_pairs.txt has {len(targets)} people; three are needed")
    first, second, third = list(targets.values())[:: len(targets) // 3][:3]
    return first, second, third


def pictures(
    system: str, root: Path, people: Names, views: tuple[str, str], folder: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture (H, W, 3) of what a shipped model draws."""
    yield "steps", stack(strips(system, root, folder / "images"))
    common = ("--model", system, "--root", root, "--pose", people[2])
    both = (*common, "--sources", *people[:2])
    run_command("-m", "scripts.style_mix", *both, "--grid", "--output", folder / "mix.png")
    yield "mixing", read_pixels(folder / "mix.png")
    run_command("-m", "scripts.blend", *both, "--count", 5, "--output", folder / "fade.png")
    run_command("-m", "scripts.blend", *both, "--region", "upper_body", "--output", folder / "region.png")
    yield "blending", below(read_pixels(folder / "fade.png"), read_pixels(folder / "region.png"))
    height, width = load_config(ASSETS / system / CONFIG_FILE).data.image_size
    chest = ("--source", people[0], "--pixel", width // 2, height // 3)
    run_command("-m", "scripts.inspect_attention", *common, *chest, "--output", folder / "inside")
    yield "inside", read_pixels(folder / "inside" / "pixels.png")
    yield "motion", stack([turned(system, root, sources, folder) for sources in (views[:1], views)])


def front_and_back(root: Path) -> tuple[str, str]:
    """Front and back view of the first of the synthetic test people that has both."""
    views = {name: None for line in read_pairs(root / "test_pairs.txt") for name in (line.target, *line.sources)}
    for back in (name for name in views if name.endswith("_3_back.jpg")):
        if (front := back.replace("_3_back", "_1_front")) in views:
            return front, back
    raise ValueError(f"{root}/test_pairs.txt has nobody from front and back; draw people with scripts.make_synthetic")


def turned(system: str, root: Path, sources: Sequence[str], folder: Path) -> np.ndarray:
    """Some frames of a turn with their poses, from one or more photographs."""
    given = [word for name in sources for word in ("--source", name)]
    poses = ("--poses", ASSETS / "motions" / "turn.npz")
    run_command(
        "-m", "scripts.animate", "--model", system, "--root", root, *given, *poses, "--output", folder / "turn.webp"
    )
    return read_pixels(folder / "turn_strip.png")


def strips(system: str, root: Path, folder: Path) -> list[np.ndarray]:
    """Source, pose, every step and target of some test pairs."""
    model = ("--config", ASSETS / system / CONFIG_FILE, "--checkpoints_dir", ASSETS, "--name", system)
    some = ("--max_pairs", PAIRS, "--strip", "--output_dir", folder, f"data.root={root}")
    run_command("inference.py", *model, *some)
    return [read_pixels(path) for path in sorted((folder / "strips").iterdir())[:: PAIRS // ROWS]]


def below(above: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Two pictures, one below the other, on white."""
    width = max(above.shape[1], under.shape[1])
    return np.concatenate([white_to(picture, width) for picture in (above, under)])


def white_to(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture (H, W, 3) with white on its right up to a width."""
    return np.pad(picture, ((0, 4), (0, width - picture.shape[1]), (0, 0)), constant_values=255)


def publish(picture: np.ndarray, path: Path) -> None:
    """Write a picture as a JPEG, enlarged."""
    factor = max(1, WIDTH // picture.shape[1])
    image = Image.fromarray(picture.repeat(factor, 0).repeat(factor, 1))
    image.save(path, quality=90)
    sys.stdout.write(f"wrote {path}, {image.width}x{image.height}\n")


if __name__ == "__main__":
    sys.exit(run(main))
