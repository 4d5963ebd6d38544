"""Any photo of a person to an image and keypoints in DeepFashion's layout, and pictures to check poses by eye."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from data.frames import keypoint_frame, write_frame
from data.openpose import (
    DEEPFASHION_FRAME,
    Frame,
    between_frames,
    pose_file,
    write_keypoints,
)
from images.skeleton import draw_over
from images.writing import write_image

# DeepFashion's high-resolution images
PHOTO_SIZE = (1101, 750)
# room around the joints, as shares of their height: hair above the eyes, shoes below the ankles
_ABOVE, _BELOW, _BESIDE = 0.14, 0.08, 0.1
# DeepFashion's pictures are 1 % narrower than its keypoints' frame; a photograph of 3:2 would be 3 % off
_SAME_SHAPE = 0.015


def person_box(joints: np.ndarray, image_size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) of the aspect ratio of `shape` (H, W) that holds a person.

    It may reach beyond an image of `image_size` (H, W); without any joint it holds the whole image.
    """
    found = joints[np.isfinite(joints).all(axis=1)]
    if len(found):
        (left, top), (right, bottom) = found.min(axis=0), found.max(axis=0)
        height = max(bottom - top, right - left, 1.0)
        # a picture that ends at the knees shall not gain empty floor: no more than the image has, where it has joints
        top, bottom = max(top - _ABOVE * height, min(top, 0)), min(bottom + _BELOW * height, max(bottom, image_size[0]))
        left, right = left - _BESIDE * height, right + _BESIDE * height
    else:
        left, top, right, bottom = 0.0, 0.0, float(image_size[1]), float(image_size[0])
    height = max(bottom - top, (right - left) * shape[0] / shape[1])
    width = height * shape[1] / shape[0]
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    left, top = round(middle_x - width / 2), round(middle_y - height / 2)
    return left, top, left + max(round(width), 1), top + max(round(height), 1)


def crop_person(
    image: Image.Image, joints: np.ndarray, shape: tuple[int, int] = PHOTO_SIZE
) -> tuple[Image.Image, np.ndarray]:
    """Cut a person out to an image of `shape` (H, W), white where the photo ends; joints (18, 2) move along."""
    left, top, right, bottom = person_box(joints, (image.height, image.width), shape)
    inside = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    scale = np.array([shape[1] / (right - left), shape[0] / (bottom - top)])
    canvas = Image.new("RGB", (shape[1], shape[0]), "white")
    corner = np.rint((np.array(inside[:2]) - (left, top)) * scale).astype(int)
    extent = np.maximum(np.rint((np.array(inside[2:]) - inside[:2]) * scale).astype(int), 1)
    if inside[0] < inside[2] and inside[1] < inside[3]:
        part = image.resize((int(extent[0]), int(extent[1])), Image.Resampling.BICUBIC, box=inside)
        canvas.paste(part, (int(corner[0]), int(corner[1])))
    return canvas, (joints - (left, top)) * scale


def place_pose(joints: np.ndarray, shape: tuple[int, int] = PHOTO_SIZE) -> np.ndarray:
    """Joints (18, 2) of a photo that is not there, where `crop_person` would put them."""
    left, top, right, bottom = person_box(joints, (sys.maxsize, sys.maxsize), shape)
    return (joints - (left, top)) * (shape[1] / (right - left), shape[0] / (bottom - top))


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (H, W) differ in size alone, so that one is scaled to the other without a crop."""
    return abs(one[1] * other[0] / (one[0] * other[1]) - 1) < _SAME_SHAPE


def picture_size(frame: Frame) -> tuple[int, int]:
    """(H, W) of a dataset's pictures at the height of DeepFashion's, by the frame of its keypoints."""
    if frame[:2] == DEEPFASHION_FRAME[:2]:  # whose pictures are a little narrower
        return PHOTO_SIZE
    return PHOTO_SIZE[0], round(PHOTO_SIZE[0] * frame.width / frame.height)


def add_photo(root: Path, name: str, image: Image.Image, joints: np.ndarray) -> Path:
    """Write a photo with its joints as image `img/{name}.png` of a dataset, with keypoints and an overlay to look at.

    Returns:
        the overlay.
    """
    cropped, moved = crop_person(image, joints)
    key = f"img/{name}.png"
    write_image(root / key, np.array(cropped))
    frame = keypoint_frame(root, DEEPFASHION_FRAME)
    write_frame(root, frame)
    write_keypoints(pose_file(root, key), between_frames(moved, Frame(*PHOTO_SIZE, 0), frame))
    overlay = root / "overlay" / f"{name}.png"
    write_image(overlay, draw_over(np.array(cropped), moved))
    return overlay
