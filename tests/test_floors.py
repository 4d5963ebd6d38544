"""The floors of docs/architecture.md: an import may only point down, and entry points are imported by nobody."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FLOORS = [
    {"config.section", "features", "images"},
    {"data", "models", "losses", "metrics"},
    {"config"},
    {"trainers"},
    {"evaluation", "studio"},
    {"studies"},
    {"scripts", "benchmarks", "train", "inference", "eval_step", "serve"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
ENTRY_POINTS = FLOORS[-1]
FILES = sorted(path for folder in FLOOR if Path(folder).is_dir() for path in Path(folder).rglob("*.py"))


def room(module: str) -> str:
    """The room of a module: a file that has a floor of its own, or its top-level folder."""
    return next((name for name in (".".join(module.split(".")[:2]), module.split(".")[0]) if name in FLOOR), "")


def room_of(path: Path) -> str:
    return room(".".join(path.with_suffix("").parts))


def imported(path: Path) -> set[str]:
    """The rooms of the modules that a file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {room(module) for module in modules} - {""}


def wrong_imports(path: Path) -> list[str]:
    """Imports that do not point down; scripts and benchmarks may share what they are made of."""
    mine = room_of(path)
    others = imported(path) - {mine}
    return [name for name in sorted(others) if FLOOR[name] >= FLOOR[mine]]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    assert not wrong_imports(path)


def test_a_wrong_import_would_be_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, line in (("models/a.py", "from trainers.engine import Engine"), ("data/b.py", "import models.nted")):
        Path(name).parent.mkdir()
        Path(name).write_text(line)
    assert wrong_imports(Path("models/a.py")) == ["trainers"]
    assert wrong_imports(Path("data/b.py")) == ["models"]


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


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=str)
def test_packages_do_nothing_at_import(path):
    body = ast.parse(path.read_text()).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
