"""Detectors of poses in photographs: torchvision's keypoint R-CNN, and MediaPipe."""

from __future__ import annotations

import tempfile
import urllib.error
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from data.importers import reorder
from data.landmarks import ENVIRONMENT, LEAST_VISIBILITY, find_landmarks, joints_of, make_environment
from images.joints import COCO_17

# (18, 2) joints in pixels of a photograph, NaN where missing; None where nobody is found
Detector = Callable[[Image.Image], np.ndarray | None]
LEAST_JOINT, LEAST_PERSON = 2.0, 0.7
_LONGEST_SIDE = 1600


def rcnn(image: Image.Image) -> np.ndarray | None:
    """Joints by keypoint R-CNN, whose weights are fetched at the first use; raises ValueError where they cannot be."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return find_pose(_network(device), image, LEAST_JOINT, LEAST_PERSON, device)


def mediapipe(image: Image.Image) -> np.ndarray | None:
    """Joints by MediaPipe, whose environment the first use makes; raises ValueError where it cannot."""
    python = make_environment(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "photo.npy"), np.array(image))
        find_landmarks(python, Path(folder))
        return joints_of(Path(folder, "photo.json"), (image.height, image.width), LEAST_VISIBILITY)


DETECTORS: dict[str, Detector] = {"rcnn": rcnn, "mediapipe": mediapipe}


@cache
def _network(device: str) -> Any:
    return load_network(device)


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
