"""Evaluation protocols as data: every choice that moves a number, under a name.

Published numbers differ because these choices do. A protocol is printed before it runs and stored with its numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metrics.paired import SsimWindow

FRAME = (256, 256)  # H, W of DeepFashion's low-resolution images, which have a flat light border


class Part(BaseModel):
    """Frozen and strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ssim(Part):
    """One variant of SSIM."""

    window: Literal["uniform", "gaussian"] = Field(description="equal weights, or a Gaussian")
    size: int = Field(11, ge=3, le=255, description="side of a uniform window in pixels, odd")
    sigma: float = Field(1.5, gt=0, le=50, description="standard deviation of a Gaussian window in pixels")
    sample_covariance: bool = Field(False, description="divide local covariances by N - 1 instead of N")
    data_range: float | Literal["prediction"] = Field(1.0, description="a number, or the prediction's max - min")

    def settings(self) -> SsimWindow:
        """The same as plain values for `metrics.paired.ssim`."""
        sigma = self.sigma if self.window == "gaussian" else None
        data_range = None if self.data_range == "prediction" else self.data_range
        return SsimWindow(self.size, sigma, self.sample_covariance, data_range)


class OwnEmbedding(Part):
    """A network of one's own for `embedding: own`: normalised images (1, 3, h, w) to features (1, D)."""

    file: str = Field(description="torch.export program (.pt2) or ONNX file (.onnx), relative to the protocol's file")
    size: tuple[int, int] = Field(description="h, w of its images, to which the crop is scaled (bilinear, antialiased)")
    crop: tuple[float, float, float, float] = Field(
        (0, 0, 1, 1), description="top, left, bottom and right of what it sees, as shares of the image's sides"
    )
    mean: tuple[float, float, float] = Field((0, 0, 0), description="taken from pixels in 0..1, by channel (RGB)")
    deviation: tuple[float, float, float] = Field((1, 1, 1), description="what they are then divided by (RGB)")
    channels: Literal["rgb", "bgr"] = Field("rgb", description="their order after that")

    @model_validator(mode="after")
    def _can_be(self) -> OwnEmbedding:
        top, left, bottom, right = self.crop
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise ValueError(f"crop is {self.crop}; it must be top < bottom and left < right within 0..1")
        if not self.file.endswith((".pt2", ".onnx")):
            raise ValueError(f"file is {self.file}; give a .pt2 of torch.export or a .onnx, which say how to compute")
        if min(self.size) < 1 or min(self.deviation) <= 0:
            raise ValueError("size and deviation must be positive")
        return self


class Protocol(Part):
    """Everything that a score depends on besides the images."""

    name: str = Field(description="what the numbers are called")
    description: str = Field("", description="whose numbers these are comparable with")
    resize_filter: Literal["bicubic", "bilinear", "lanczos", "box"] = Field(
        "bicubic", description="PIL filter that brings ground truth and reals to the size of the generated images"
    )
    crop_columns: tuple[int, int] | None = Field(
        None, description="first and last column kept of 256x256 ground truth; null: ground truth is resized whole"
    )
    squares: Literal["frame", "stretched"] = Field(
        "frame",
        description="what generated 256x256 images are, where crop_columns is set: frames of which the same columns "
        "are kept, or the picture scaled to a square, which is scaled back",
    )
    canvas: tuple[int, int] | None = Field(
        None, description="H, W of a white canvas that both images are pasted on for SSIM, PSNR, L1 and MAE"
    )
    ssim: dict[str, Ssim] = Field(description="variants of SSIM; one is called `ssim`")
    lpips_network: Literal["alex", "vgg"] | None = Field(
        "alex", description="backbone of LPIPS v0.1; null: it is not computed"
    )
    lpips_range: Literal["signed", "unit"] = Field("signed", description="LPIPS inputs in [-1, 1], or in [0, 1]")
    inception: Literal["inception_imagenet", "inception_tensorflow"] | None = Field(
        None, description="weights of the InceptionV3 behind FID and KID: torchvision's, or TensorFlow's as ported"
    )
    inception_resize: Literal["bilinear", "antialiased", "tensorflow"] = Field(
        "bilinear", description="resizing to 299x299"
    )
    embedding: Literal["lite0", "inception_imagenet", "inception_tensorflow", "alexnet", "own"] | None = Field(
        None, description="network of the distances fd_*, kd_* and of recall_1, recall_5 of persons"
    )
    own: OwnEmbedding | None = Field(None, description="the network of `embedding: own`")
    real_set: str = Field("train", description="what the images given as reals are expected to be")
    real_count: int | None = Field(None, ge=2, description="how many reals the published numbers use; others are noted")
    real_hash: str | None = Field(None, description="expected hash of the reals' contents; another is an error")
    file_format: Literal["png", "any"] = Field("png", description="expected format of generated images")
    batch_size: int = Field(50, ge=1, le=10_000, description="images a batch of the feature network")
    drop_last: bool = Field(False, description="leave the last incomplete batch out of FID and KID")
    kid_subsets: int = Field(100, ge=1, le=10_000, description="random subsets that KID averages over")
    kid_subset_size: int = Field(1000, ge=2, le=50_000, description="images in each subset, at most")
    kid_sample: int = Field(5000, ge=2, le=100_000, description="images of each set that subsets are drawn from")

    @model_validator(mode="after")
    def _parts_fit(self) -> Protocol:
        if "ssim" not in self.ssim:
            raise ValueError("ssim needs a variant called `ssim`")
        if self.crop_columns and not 0 <= self.crop_columns[0] <= self.crop_columns[1] < FRAME[1]:
            raise ValueError(f"crop_columns is {self.crop_columns}; it must be first <= last within 0..{FRAME[1] - 1}")
        if (self.inception == "inception_tensorflow") != (self.inception_resize == "tensorflow"):
            raise ValueError("inception_resize: tensorflow goes with inception: inception_tensorflow, and only with it")
        if (self.embedding == "own") != (self.own is not None):
            raise ValueError("embedding: own goes with a section `own` that names its file, and only with it")
        if any(variant.window == "uniform" and variant.size % 2 == 0 for variant in self.ssim.values()):
            raise ValueError("ssim: the size of a uniform window must be odd")
        return self

    def scored_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) at which generated images of `size` are scored: that of the picture, for 256x256 ones with a frame."""
        if self.crop_columns is None or size != FRAME:
            return size
        first, last = self.crop_columns
        return FRAME[0], last - first + 1

    def lines(self) -> list[str]:
        """Every choice as `key: value`."""
        values = self.model_dump(mode="json")
        return [f"{key}: {value}" for key, value in values.items()]


_WINDOW_51 = Ssim(window="uniform", size=51, sample_covariance=True)
_GAUSSIAN = Ssim(window="gaussian", sigma=1.5, data_range="prediction")
_NTED = Protocol(
    name="nted",
    description="NTED (CVPR 2022) and those who follow it: high-resolution ground truth, ImageNet Inception",
    ssim={"ssim": _WINDOW_51, "ssim_256": _GAUSSIAN},
    inception="inception_imagenet",
    inception_resize="bilinear",
    real_set="the images of train.lst",
    real_count=48_674,
)
_DPTN = _NTED.model_copy(
    update={
        "name": "dptn",
        "description": "DPTN (CVPR 2022) and GFLA: low-resolution ground truth, scored on a white 256x256 canvas",
        "crop_columns": (40, 215),
        "canvas": FRAME,
        "real_set": "the whole training folder",
        "real_count": None,
    }
)

PROTOCOLS: dict[str, Protocol] = {
    "nted": _NTED,
    "dptn": _DPTN,
    "standard": Protocol(
        name="standard",
        description="what the wider field reports: TensorFlow's Inception as ported by torch-fidelity, Gaussian SSIM",
        ssim={"ssim": Ssim(window="gaussian", sigma=1.5, data_range=1.0)},
        inception="inception_tensorflow",
        inception_resize="tensorflow",
        real_set="the images of train.lst",
        real_count=48_674,
    ),
    "offline": Protocol(
        name="offline",
        description="scores that need no download: pixels, and EfficientNet-Lite0 for sets and identities",
        ssim={"ssim": _WINDOW_51},
        lpips_network=None,
        embedding="lite0",
        real_set="the images of train.lst",
    ),
    "dptn_stretched": _DPTN.model_copy(
        update={
            "name": "dptn_stretched",
            "description": "as dptn, for generated pictures that were scaled from 256x176 to 256x256",
            "squares": "stretched",
        }
    ),
}


def load_protocol(name_or_path: str) -> Protocol:
    """A named protocol, or a YAML file of options over the protocol that its key `base` names (default nted).

    Raises ValueError with one line for an unknown name, a file that is not there, or a wrong option.
    """
    if name_or_path in PROTOCOLS:
        return PROTOCOLS[name_or_path]
    if not name_or_path.endswith((".yaml", ".yml")):
        raise ValueError(f"unknown protocol {name_or_path!r}; use {', '.join(PROTOCOLS)} or a YAML file")
    values = _read_yaml(Path(name_or_path))
    base, own = values.pop("base", "nted"), values.get("own")
    if isinstance(own, dict) and isinstance(own.get("file"), str):
        own["file"] = str(Path(name_or_path).parent / own["file"])
    if not isinstance(base, str) or base not in PROTOCOLS:
        raise ValueError(f"{name_or_path}: base {base!r} is no protocol; use {', '.join(PROTOCOLS)}")
    merged = PROTOCOLS[base].model_dump() | {"name": Path(name_or_path).stem} | {str(k): v for k, v in values.items()}
    try:
        return Protocol.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{name_or_path}: {key}: {first['msg'].removeprefix('Value error, ')}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"protocol file {path} does not exist; use {', '.join(PROTOCOLS)} or a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no options; write `key: value` lines, e.g. `base: nted`")
    return values
