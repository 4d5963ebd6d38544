"""Find the person and the pose in photos, for use as sources and as target poses.

    python -m scripts.extract_pose PHOTO... --output DIR

torchvision's keypoint R-CNN finds the person, who is cropped to DIR/img; the joints go to DIR/pose (OpenPose-18, the
neck halfway between the shoulders) and a picture to check them by eye to DIR/overlay. Then, to put every person into
every pose: `python -m scripts.make_pairs --root DIR --every`, `python -m scripts.prepare_data --root DIR --output DIR`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from config.cli import Parser, run
from data.detectors import LEAST_JOINT, LEAST_PERSON, find_pose, load_network
from data.pairs import check_name
from data.photos import add_photo
from images.reading import read_image

_LOG = logging.getLogger("extract_pose")


def main() -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="photos; of several people in one the surest is taken")
    parser.add_argument("--output", required=True, help="dataset folder to write to")
    parser.add_argument(
        "--threshold", type=float, default=LEAST_JOINT, help="least score of a joint (the network's logits)"
    )
    parser.add_argument("--person_threshold", type=float, default=LEAST_PERSON, help="least score of a person, 0 to 1")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    names = photos_by_name(arguments.images)
    network = load_network(arguments.device)
    without = []
    for name, file in tqdm(names.items(), unit="photo"):
        image = read_image(file)
        joints = find_pose(network, image, arguments.threshold, arguments.person_threshold, arguments.device)
        if joints is None:
            without.append(file)
        else:
            add_photo(Path(arguments.output), name, image, joints)
    for file in without:
        sys.stderr.write(f"bad: no person found in {file}; try a lower --person_threshold\n")
    _LOG.info(
        "%d photos in %s; look at %s", len(names) - len(without), arguments.output, Path(arguments.output) / "overlay"
    )
    return 1 if without else 0


def photos_by_name(files: list[str]) -> dict[str, str]:
    """File by name within the dataset; raises ValueError if one is missing or two would have one name."""
    names: dict[str, str] = {}
    for file in files:
        check_name(Path(file).name, file)
        if not Path(file).is_file():
            raise ValueError(f"photo {file} does not exist")
        stem = Path(file).stem
        if stem in names:
            raise ValueError(f"{file} and {names[stem]} would both be img/{stem}.png; rename one")
        names[stem] = file
    return names


if __name__ == "__main__":
    sys.exit(run(main))
