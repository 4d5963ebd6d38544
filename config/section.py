"""What every part of a configuration is made of; parts stand beside what they configure."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=2, max_length=10)]
Weight = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(Section):
    """A part with several kinds: `kind` names one in the family's table (`config.schema.FAMILIES`)."""

    kind: str = ""

    def check_image_size(self, height: int, width: int) -> None:
        """Raise ValueError where images of so many pixels do not suit this part."""
