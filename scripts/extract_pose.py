"""Find the person and the pose in photos, for use as sources and as target poses.

    python -m scripts.extract_pose PHOTO... --out DIR

torchvision's keypoint R-CNN finds the person, who is cropped to DIR/img; the joints go to DIR/pose (OpenPose-18, the
neck halfway between the shoulders) and a picture to check them by eye to DIR/overlay. Then, to put every person into
every pose: `python -m scripts.make_pairs --root DIR --every` and `python -m scripts.prepare_data --root DIR --out DIR`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from config.cli import run
from data.importers import reorder
from data.pairs import check_name
from data.photos import add_photo
from images.joints import COCO_17
from images.reading import read_image

_LOG = logging.getLogger("extract_pose")
_LONGEST_SIDE = 1600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="photos; of several people in one the surest is taken")
    parser.add_argument("--out", required=True, help="dataset folder to write to")
    parser.add_argument("--threshold", type=float, default=2.0, help="least score of a joint (the network's logits)")
    parser.add_argument("--person_threshold", type=float, default=0.7, help="least score of a person, 0 to 1")
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
            add_photo(Path(arguments.out), name, image, joints)
    for file in without:
        sys.stderr.write(f"bad: no person found in {file}; try a lower --person_threshold\n")
    _LOG.info("%d photos in %s; look at %s", len(names) - len(without), arguments.out, Path(arguments.out) / "overlay")
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


def load_network(device: str) -> Any:
    """Keypoint R-CNN with its COCO weights; raises ValueError with the way to get them if they are not here."""
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn

    weights = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
    try:
        weights.get_state_dict(check_hash=True)  # fetched before the network is built, which takes seconds
        return keypointrcnn_resnet50_fpn(weights=weights, weights_backbone=None).eval().to(device)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        target = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise ValueError(
            f"the weights of keypoint R-CNN cannot be loaded ({error}): download {weights.url} and put it at {target}, "
            "or bring keypoints of another tool with scripts.import_poses"
        ) from None


def find_pose(
    network: Any, image: Image.Image, threshold: float, person_threshold: float, device: str
) -> np.ndarray | None:
    """(18, 2) joints of the surest person in pixels, NaN where less sure than `threshold`; None if nobody is found."""
    shrunk = image.copy()
    shrunk.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    pixels = torch.from_numpy(np.array(shrunk)).permute(2, 0, 1).float().div(255).to(device)
    with torch.inference_mode():
        found = network([pixels])[0]
    if not len(found["scores"]) or float(found["scores"][0]) < person_threshold:
        return None
    points = found["keypoints"][0].cpu().numpy().astype(float)
    points[:, 2] = found["keypoints_scores"][0].cpu().numpy()
    joints = reorder(points, COCO_17, threshold)
    return joints * (image.width / shrunk.width, image.height / shrunk.height)


if __name__ == "__main__":
    sys.exit(run(main))
