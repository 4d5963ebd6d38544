"""Datasets whose files differ in what an image shows and in the frame of its keypoints."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from data.openpose import DEEPFASHION_FRAME, MARKET_FRAME, Frame


@dataclass(frozen=True)
class Layout:
    """How a dataset's image files relate to its keypoint files.

    Args:
        frame: of keypoint files that state none (`data.frames`).
        image_size: (H, W) that every image file must have; None: any.
        border: flat light columns left and right that are cut off.
    """

    frame: Frame
    image_size: tuple[int, int] | None = None
    border: int = 0

    def picture(self, image: Image.Image, name: str) -> Image.Image:
        """The part of an image that training sees; raises ValueError if it is not of this layout."""
        if self.image_size and (image.height, image.width) != self.image_size:
            height, width = self.image_size
            raise ValueError(
                f"image {name} is {image.height}x{image.width}, this layout has {height}x{width}; "
                "give --layout deepfashion for high-resolution images"
            )
        return image.crop((self.border, 0, image.width - self.border, image.height)) if self.border else image


LAYOUTS = {
    # high-resolution in-shop images, about 1101x750, without a border
    "deepfashion": Layout(DEEPFASHION_FRAME),
    # the 256x256 images of the same, which DPTN's published numbers use: columns 40..215 are the picture
    "deepfashion_lowres": Layout(DEEPFASHION_FRAME, (256, 256), 40),
    "market": Layout(MARKET_FRAME, (128, 64)),
}
