"""Images and pose maps of any common kind to a batch of tensors, and images back to the kind that was given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from images.pixels import Size, resize, to_signed, to_tensor, to_uint8

OneImage = Image.Image | np.ndarray | Tensor
Images = OneImage | Sequence[OneImage]
Maps = np.ndarray | Tensor | Sequence[np.ndarray | Tensor]


def image_batch(images: Images, size: Size, device: torch.device) -> Tensor:
    """Images to (B, 3, H, W) float32 in [-1, 1] on the device.

    Args:
        images: a PIL image; an (H, W, 3) uint8 array or a batch of them; a (3, H, W) tensor in [-1, 1] or a batch of
            them; or a sequence of these. PIL images and arrays of another size are resized (bicubic, no crop).
        size: (H, W).

    Raises:
        ValueError: something else, a tensor of another size or out of range, not a number, an empty sequence.
    """
    if isinstance(images, Sequence) and not isinstance(images, str):
        if not images:
            raise ValueError("no images: the sequence is empty")
        return torch.cat([image_batch(image, size, device) for image in images])
    if isinstance(images, Image.Image):
        return _from_pil(images, size).to(device)
    if isinstance(images, np.ndarray):
        arrays = images[None] if images.ndim == 3 else images
        if arrays.ndim != 4 or arrays.shape[-1] != 3 or arrays.dtype != np.uint8 or not arrays.size:
            raise ValueError(f"an image array is (H, W, 3) or (B, H, W, 3) uint8, not {_describe(images)}")
        return torch.cat([_from_pil(Image.fromarray(array), size) for array in arrays]).to(device)
    if isinstance(images, Tensor):
        return _check_tensor(images, size).to(device, torch.float32)
    raise ValueError(f"an image is a PIL image, a numpy array or a tensor, not {type(images).__name__}")


def map_batch(maps: Maps, num_channels: int, size: Size, device: torch.device) -> Tensor:
    """Pose maps to (B, P, H, W) float32 in [0, 1] on the device.

    Args:
        maps: (P, H, W) or (B, P, H, W), uint8 in 0..255 or float in 0..1; or a sequence of these.
        num_channels, size: P and (H, W) that the model wants.

    Raises:
        ValueError: another shape or range, an empty sequence.
    """
    if isinstance(maps, Sequence) and not isinstance(maps, str):
        if not maps:
            raise ValueError("no poses: the sequence is empty")
        return torch.cat([map_batch(one, num_channels, size, device) for one in maps])
    if not isinstance(maps, np.ndarray | Tensor):
        raise ValueError(f"pose maps are a numpy array or a tensor, not {type(maps).__name__}; see StepPose.pose_form")
    tensor = torch.as_tensor(maps)
    tensor = tensor[None] if tensor.ndim == 3 else tensor
    if tensor.shape[1:] != (num_channels, *size) or not len(tensor):
        raise ValueError(
            f"pose maps are {_describe(maps)}, the model wants ({num_channels}, {size[0]}, {size[1]}) each; draw "
            "joints with model.pose_form.draw(joints, model.image_size)"
        )
    tensor = tensor.to(device)
    tensor = tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
    if not bool(((tensor >= 0) & (tensor <= 1)).all()):
        raise ValueError("pose maps must lie in 0..1 (float) or 0..255 (uint8), without NaN")
    return tensor


def same_kind(images: Tensor, like: Images) -> list[OneImage]:
    """(B, 3, H, W) in [-1, 1] to a list of what `like` consists of: PIL images, (H, W, 3) uint8 arrays or tensors."""
    first = like[0] if isinstance(like, Sequence) else like
    if isinstance(first, Tensor):
        return list(images)
    arrays = list(to_uint8(images))
    return [Image.fromarray(array) for array in arrays] if isinstance(first, Image.Image) else list(arrays)


def is_single(images: Images) -> bool:
    """Whether one image was given rather than a batch or a sequence."""
    return isinstance(images, Image.Image) or (isinstance(images, np.ndarray | Tensor) and images.ndim == 3)


def _from_pil(image: Image.Image, size: Size) -> Tensor:
    return to_signed(to_tensor([resize(image.convert("RGB"), size)]))


def _check_tensor(images: Tensor, size: Size) -> Tensor:
    batch = images[None] if images.ndim == 3 else images
    if batch.ndim != 4 or batch.shape[1:] != (3, *size) or not len(batch) or not batch.is_floating_point():
        raise ValueError(
            f"an image tensor is float (3, {size[0]}, {size[1]}), or a batch of them, not {_describe(images)}"
        )
    # rounding in bicubic or bf16 steps slightly over the edge; anything more is another range
    if not bool((batch.abs() <= 1.01).all()):
        raise ValueError("an image tensor must lie in [-1, 1], without NaN: x / 127.5 - 1 for 8-bit values x")
    return batch


def _describe(value: np.ndarray | Tensor) -> str:
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
