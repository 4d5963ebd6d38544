"""What goes wrong outside of our code is a sentence too."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.cli import EXIT_BAD_INPUT, run

SCRIPTS = sorted(path.stem for path in Path("scripts").glob("*.py") if path.stem not in ("__init__", "config"))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOENT, "check the name"), (errno.EMFILE, "ulimit -n"), (errno.ENOSPC, "free some disk")],
)
def test_errors_of_the_system_are_sentences(capsys: pytest.CaptureFixture[str], number: int, remedy: str) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "some/file")

    assert run(fail) == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("error: some/file: ") and remedy in said and "[Errno" not in said


def test_a_script_that_is_started_by_its_path_says_how_to_start_it() -> None:
    said = subprocess.run([sys.executable, "scripts/make_pairs.py"], capture_output=True, text=True, check=False)
    assert said.returncode == 1 and said.stderr.startswith("error: start this as a module")
    assert said.stderr.strip().endswith("python -m scripts.make_pairs") and "\n" not in said.stderr.strip()


def test_every_script_imports_the_projects_config_before_other_rooms() -> None:
    """So that the sentence above is what every one of them says."""
    for name in SCRIPTS:
        lines = Path("scripts", f"{name}.py").read_text().splitlines()
        rooms = [line.split()[1].split(".")[0] for line in lines if line.startswith("from ") and "." in line.split()[1]]
        ours = [
            room
            for room in rooms
            if room in ("benchmarks", "config", "data", "images", "metrics", "models", "studies", "studio", "trainers")
        ]
        assert not ours or ours[0] in ("benchmarks", "config"), name


@pytest.mark.parametrize("name", ["prepare_data", "check_data", "make_pairs", "import_poses"])
def test_commands_on_files_alone_start_without_pytorch(name: str) -> None:
    """Each of the many processes of prepare_data would import it again, for two seconds and 200 MB."""
    code = f"import scripts.{name}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
