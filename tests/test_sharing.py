"""CITATION.cff and the Dockerfiles, as far as a machine without Docker can tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = ["Dockerfile", "Dockerfile.cuda"]


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, rest) of a Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line and line[0] != "#"]


def test_the_citation_has_what_the_format_asks_for_and_the_projects_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["authors"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    papers = {paper["title"] for paper in citation["references"]}
    assert all(title in (ROOT / "README.md").read_text().replace("\n", " ") for title in papers)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_a_dockerfile_copies_and_installs_is_there(name):
    steps = instructions(name)
    assert steps[0][0] == "FROM" and steps[0][1].startswith("python:3.11")
    copied: set[str] = set()
    for instruction, rest in steps:
        if instruction == "COPY" and rest != ". .":
            copied |= set(rest.split()[:-1])
        if instruction == "RUN":
            assert subprocess.run(["bash", "-n", "-c", rest], capture_output=True).returncode == 0, rest
            for file in re.findall(r"-r (\S+)", rest):
                needed = {file, *re.findall(r"^-r (\S+)", (ROOT / file).read_text(), re.MULTILINE)}
                assert needed <= copied, f"{needed - copied} are installed before they are copied"
    assert all((ROOT / file).is_file() for file in copied)
    assert {"requirements-page.txt", "requirements-video.txt"} <= copied, "the page, or scripts.animate, does not run"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfiles_command_runs_on_what_is_copied(name, tmp_path):
    ignored = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()]
    shutil.copytree(ROOT, tmp_path / "image", ignore=shutil.ignore_patterns(*ignored), symlinks=True)
    ((_, words),) = [step for step in instructions(name) if step[0] == "CMD"]
    command = [sys.executable, *json.loads(words)[1:]]
    done = subprocess.run(command, cwd=tmp_path / "image", capture_output=True, text=True)
    assert done.returncode == 0 and "train.py" in done.stdout, done.stderr
    assert "nted_256" in str(list((tmp_path / "image" / "config").iterdir()))
