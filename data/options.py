"""The options of data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from config.section import Section, Size
from data.pose import PoseForm, StrokeConfig, pose_form


class DataConfig(Section):
    """Which images, at which size, with which pose maps."""

    root: str = Field("dataset/deepfashion", description="folder with the LMDBs, the pairs files and pose/")
    image_size: Size = Field((256, 176), description="height and width of the network's images, in pixels")
    pose: Literal["skeleton", "joints", "joints_limbs", "maps"] = Field(
        "skeleton",
        description="pose maps: NTED's drawing (20 channels), heatmaps of joints (18), of joints and limbs (41), "
        "or maps of your own alone",
    )
    pose_strokes: StrokeConfig = StrokeConfig()
    map_channels: int = Field(
        0, ge=0, le=256, description="channels of your own maps in the store, beside those of `pose`; 0: none"
    )
    augment_scale: float = Field(
        1.1, ge=1, le=2, description="training images are scaled by 1 to this, then cropped back"
    )
    num_sources: int = Field(
        1,
        ge=1,
        le=16,
        description="photographs of a person that are looked at together, fewer where a pairs line has fewer: drawn "
        "without repetition in training, the first ones in testing",
    )
    num_workers: int = Field(4, ge=0, le=128, description="loader worker processes of each training process")
    on_error: Literal["stop", "skip"] = Field(
        "stop", description="a pair that cannot be read: save and stop, or go on with another pair in its place"
    )
    max_bad_lines: int = Field(
        100, ge=1, description="lines of the pairs file that a process may skip, each counted once, before it stops"
    )

    @property
    def pose_channels(self) -> int:
        """Channels of the pose maps."""
        return self.pose_form.num_channels + self.map_channels

    @property
    def pose_form(self) -> PoseForm:
        """What draws them."""
        return pose_form(self.pose, self.pose_strokes)

    @model_validator(mode="after")
    def _maps_have_channels(self) -> DataConfig:
        if not self.pose_channels:
            raise ValueError("pose: maps needs map_channels, the number of channels of your maps (docs/data.md)")
        return self
