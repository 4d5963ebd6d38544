"""Plants wrong changes, one at a time, in a copy of the project, and tells which ones the tests named for them miss.

python -m tests.planted
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
import yaml

from config.cli import run

CHANGES = Path(__file__).with_name("changes.yaml")
PROJECT = ("config", "data", "evaluation", "images", "losses", "metrics", "models", "scripts", "studio", "trainers")
PROJECT += ("benchmarks", "studies", "tests")
PASSED, FAILED, BROKEN = 0, 1, 3  # of pytest's exit codes
NUM_PROCESSES = os.cpu_count() or 1


class Change(NamedTuple):
    """In `file`, `old` becomes `new`; then one of `tests` must fail."""

    file: str
    old: str
    new: str
    tests: str  # separated by spaces

    def planted(self) -> str:
        """The changed text of the file; raises ValueError unless the old text is in it once."""
        text = Path(self.file).read_text()
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.file} holds {self.old!r} {count} times, not once: mend {CHANGES}")
        return text.replace(self.old, self.new)


def read_changes() -> list[Change]:
    return [Change(**values) for values in yaml.safe_load(CHANGES.read_text())]


def main() -> int:
    changes = read_changes()
    files = [{change.file: change.planted()} for change in changes]
    every_test = " ".join(sorted({name for change in changes for name in change.tests.split()}))
    import_everything()
    unchanged, *codes = outcomes([every_test, *(change.tests for change in changes)], [{}, *files])
    complaints = [f"the tests do not pass without a change: {every_test}"] if unchanged != PASSED else []
    for change, code in zip(changes, codes, strict=True):
        if code != FAILED:
            how = "survived" if code == PASSED else f"ended pytest with code {code}"
            complaints.append(f"{change.file}: {change.old!r} -> {change.new!r} {how}: {change.tests}")
    caught = sum(code == FAILED for code in codes)
    sys.stdout.write("\n".join([*complaints, f"{caught} of {len(changes)} planted changes were caught"]) + "\n")
    return 1 if complaints else 0


def import_everything() -> None:
    """What the processes then need not import: they forget the project alone."""
    for name in ("torch._dynamo", "scipy.stats", "scripts.prepare_data", "studio.pipeline", "trainers.trainer"):
        importlib.import_module(name)
    importlib.import_module("tests.conftest")
    gc.freeze()


def outcomes(tests: list[str], files: list[dict[str, str]]) -> list[int]:
    """Pytest's exit codes of some tests with some files changed, each in a copy of the project and a forked process."""
    codes: dict[int, int] = {}
    running: dict[int, int] = {}
    with contextlib.ExitStack() as copies:
        for number, changed in enumerate(files):
            if len(running) == NUM_PROCESSES:
                collect(running, codes)
            root = copies.enter_context(copy_of_project())
            for name, text in changed.items():
                (root / name).write_text(text)
            if not (child := os.fork()):
                end_with_tests(root, tests[number].split())
            running[child] = number
        while running:
            collect(running, codes)
    return [codes[number] for number in range(len(tests))]


def collect(running: dict[int, int], codes: dict[int, int]) -> None:
    """Wait for a process."""
    child, status = os.wait()
    codes[running.pop(child)] = os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def copy_of_project() -> Iterator[Path]:
    """With the files' times, so that their bytecode is taken as it is."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in PROJECT:
            shutil.copytree(name, root / name, ignore=shutil.ignore_patterns("fixtures", "results"))
        for path in Path().glob("*.*"):
            if path.suffix in (".py", ".toml"):
                shutil.copy2(path, root)
        yield root


def end_with_tests(root: Path, tests: list[str]) -> NoReturn:
    """The whole life of a forked process: forget the project that was imported, import its copy, run tests, end."""
    code = BROKEN
    try:
        for name in [name for name in sys.modules if name.split(".")[0] in PROJECT]:
            del sys.modules[name]
        os.chdir(root)
        sys.path.insert(0, str(root))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = pytest.main(["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(run(main))
