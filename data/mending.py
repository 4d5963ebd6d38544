"""What can be mended in a dataset's lists without a loss, with copies of what was there."""

from __future__ import annotations

from pathlib import Path

from data.lists import other_names, read_lists, read_splits
from data.pairs import PairLine, write_pairs
from images.writing import write_bytes, write_text

COPY_SUFFIX = ".before_fix"


def mend_lists(root: Path) -> list[str]:
    """Write the files' names into the lists, and take out copies of lines and pairs of an image with itself.

    Each file that changes is kept beside, with `.before_fix`.

    Returns:
        what was done, one text a file.
    """
    done = [_mend_list(root, root / file, names) for file, names in read_lists(root).items()]
    done += [_mend_pairs(root, root / file, lines) for file, lines in read_splits(root).items()]
    return [text for text in done if text]


def _mend_list(root: Path, path: Path, names: list[str]) -> str:
    others = other_names(root, names)
    mended = list(dict.fromkeys(others.get(name, name) for name in names))
    if mended == names:
        return ""
    _keep_copy(path)
    write_text(path, "".join(f"{name}\n" for name in mended))
    return f"{path}: {len(others)} names are those of the files, {len(names) - len(mended)} copies are out"


def _mend_pairs(root: Path, path: Path, lines: list[PairLine]) -> str:
    others = other_names(root, {name for line in lines for name in (line.target, *line.sources)})
    mended = []
    for line in lines:
        target = others.get(line.target, line.target)
        sources = dict.fromkeys(others.get(name, name) for name in line.sources)
        sources.pop(target, None)
        mended += [PairLine(target, tuple(sources))] if sources else []
    mended = list(dict.fromkeys(mended))
    if mended == lines:
        return ""
    if not mended:
        return (
            f"{path}: nothing would be left; build it anew with python -m scripts.make_pairs --root {root} --overwrite"
        )
    _keep_copy(path)
    write_pairs(path, mended)
    return f"{path}: {len(others)} names are those of the files, {len(lines) - len(mended)} lines are out"


def _keep_copy(path: Path) -> None:
    copy = path.with_name(path.name + COPY_SUFFIX)
    if not copy.exists():  # the first copy is what somebody wrote
        write_bytes(copy, path.read_bytes())
