"""What a folder of generated images was made from, written beside them: nothing reads what it does not name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from images.writing import write_text

FILE = "manifest.json"


class Manifest(BaseModel):
    """The origin of the images in a folder. All but `made` decides what they look like or which of them there are."""

    model_config = ConfigDict(frozen=True)

    run: str
    trained_steps: int
    weights: str  # a hash, see `weights_hash`
    config: dict[str, Any]
    seed: int
    steps: list[str]  # folders of the steps' images, coarse to fine; empty where the finished ones alone are kept
    extras: list[str]  # folders of pictures to look at
    names: list[str]
    made: dict[str, Any]  # time, command, versions

    def origin(self) -> dict[str, Any]:
        """All but the names: what a report tells of its images."""
        return self.model_dump(mode="json", exclude={"names", "extras"})


def weights_hash(network: nn.Module) -> str:
    """A hash of a network's weights and buffers: the same for a checkpoint, its export and any device."""
    hashed = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        hashed.update(f"{name} {tuple(tensor.shape)}".encode())
        hashed.update(tensor.detach().cpu().float().contiguous().numpy())
    return hashed.hexdigest()


def check_folder(folder: Path, manifest: Manifest) -> None:
    """Raise ValueError where images with this manifest may not be written: other files are there, or other images."""
    found = read_manifest(folder)
    if found is None:
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise ValueError(f"{folder} holds files, but no {FILE} that says of what; name a fresh folder")
        return
    ours, theirs = (one.model_dump(exclude={"made"}) for one in (manifest, found))
    different = [key for key in ours if ours[key] != theirs[key]]
    if different:
        shown = ", ".join(_difference(key, theirs[key], ours[key]) for key in different)
        raise ValueError(f"{folder} holds other images ({shown}); name a fresh folder, or remove that one")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`; raises ValueError where the disk does not take it."""
    write_text(folder / FILE, json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, None where it has none; raises ValueError for one that is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise ValueError(f"{path} is damaged ({' '.join(reason.split())}); draw the images again") from None


def _difference(key: str, there: Any, here: Any) -> str:
    if key == "names":
        return f"{len(there)} images there, {len(here)} here"
    if key == "config":
        return f"config: {', '.join(part for part in here if here[part] != there.get(part))}"
    return f"{key}: {there} there, {here} here"
