"""The floors of docs/architecture.md: an import may only point down, and entry points are imported by nobody."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FLOOR = {
    "config": 0,
    "images": 0,
    "data": 1,
    "models": 1,
    "losses": 1,
    "metrics": 1,
    "trainers": 2,
    "evaluation": 2,
    "studio": 3,
    "scripts": 4,
    "benchmarks": 4,
}
ENTRY_POINTS = {"train", "inference", "eval_step", "demo", "scripts", "benchmarks"}
FILES = sorted(path for folder in FLOOR for path in Path(folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    mine = path.parts[0]
    for name in imported(path):
        if mine not in ("scripts", "benchmarks"):
            assert name not in ENTRY_POINTS, f"{path} imports the entry point {name}"
        if name in FLOOR and name != mine:
            assert FLOOR[name] < FLOOR[mine], f"{path} ({mine}) imports {name}"


@pytest.mark.parametrize("path", [*FILES, *Path().glob("*.py")], ids=str)
def test_only_the_image_room_opens_and_writes_images(path):
    if path.parts[0] not in ("images", "benchmarks") and path != Path("data/store.py"):  # a store's values are no files
        calls = {
            f"{node.func.value.id}.{node.func.attr}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        }
        assert not calls & {"Image.open", "cv2.imread", "cv2.imwrite", "cv2.imencode", "cv2.imdecode"}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_packages_do_nothing_at_import(path):
    if path.name == "__init__.py":
        body = ast.parse(path.read_text()).body
        assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
