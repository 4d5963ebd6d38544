"""Whether a store is what would be built now: its settings, and the files that it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from data.frames import frame_text
from data.maps import maps_file
from data.meta import StoreMeta
from data.openpose import pose_file
from data.pairs import store_key
from data.records import FileState, Record, file_state, is_unchanged
from data.store import ImageStore


def input_states(root: Path, name: str, with_keypoints: bool, with_maps: bool) -> list[FileState]:
    """The files that an image's values are made from, as they are now."""
    files = [Path(name)] + [pose_file(Path(), name)] * with_keypoints + [maps_file(root, name)] * with_maps
    return [file_state(root, file.as_posix()) for file in files]


def is_current(root: Path, name: str, record: Record | None, by_contents: bool = False) -> bool:
    """Whether the files of an image are those that its values were made from.

    What lies in a folder that is gone, since training needs only the store, cannot be told and counts as current.
    """
    if record is None or record.files[0].name != name:
        return False
    there = [file for file in record.files if (root / file.name.split("/")[0]).exists()]
    return all(is_unchanged(root, file, by_contents) for file in there)


def differences(
    store: ImageStore, root: Path, names: Iterable[str], asked: StoreMeta, by_contents: bool = False
) -> list[str]:
    """In which ways a store is another than `asked` for, or than the files of `root` are now; one text a way."""
    meta = store.meta
    if meta is None:
        return []
    found = []
    if meta.layout and meta.layout != asked.layout:
        found.append(f"it was built with --layout {meta.layout}, not {asked.layout}")
    if meta.format != asked.format:
        found.append(f"it holds {meta.format}, not {asked.format}")
    if meta.frame and asked.frame and meta.frame != asked.frame:
        found.append(f"its keypoints are in the frame {frame_text(meta.frame)}, not {frame_text(asked.frame)}")
    if meta.map_channels != asked.map_channels:
        found.append(f"it holds {meta.map_channels} channels of maps, not {asked.map_channels}")
    if not store.has_records:
        return found
    if asked.frame and not meta.frame:
        found.append("it holds no keypoints, and now there are some")
    held = [(name, store.record(store_key(name))) for name in names if store_key(name) in store]
    changed = [name for name, record in held if not is_current(root, name, record, by_contents)]
    if changed:
        found.append(f"{len(changed)} of its images or keypoints have other files now, the first {changed[0]}")
    return found


def check_seal(store: ImageStore) -> None:
    """Raises ValueError if what a store says of itself and of its files is not what was written."""
    meta = store.meta
    if meta and meta.inputs:
        records = map(store.record, store.keys())
        if meta.of(file for record in records if record for file in record.files) != meta:
            raise ValueError(f"store {store.path} is damaged: what it says of itself is not what was written")
