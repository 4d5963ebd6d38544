"""docs/steppose.ipynb runs from top to bottom, on the CPU with small settings."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.runs import save_run, tiny_config

ROOT = Path(__file__).resolve().parent.parent
CELLS = json.loads((ROOT / "docs" / "steppose.ipynb").read_text())["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
SETTINGS = {"MODEL": "tiny", "PEOPLE": 8, "STEPS": 2}


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the notebook displays, in a folder that looks like a checkout; its commands run in this process."""
    found: list[object] = []
    save_run(tmp_path / "result" / "tiny", tiny_config("nted", tmp_path, "trainer.ema_half_life=1"))
    for path in ROOT.iterdir():
        if path.name not in ("dataset", "result") and not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")

    def run(words: list[str], **options: object) -> subprocess.CompletedProcess:
        # what starts processes of its own must be a process of its own
        if words[0] != sys.executable or "scripts.prepare_data" in words:
            return really(words, **options)
        if "pip" in words:
            return subprocess.CompletedProcess(words, 0, "")
        is_module = words[1] == "-m"
        monkeypatch.setattr(sys, "argv", words[2:] if is_module else words[1:])
        with pytest.raises(SystemExit) as ended, contextlib.redirect_stdout(io.StringIO()) as said:
            (runpy.run_module if is_module else runpy.run_path)(sys.argv[0], run_name="__main__")
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), said.getvalue())

    really = subprocess.run
    monkeypatch.setattr(subprocess, "run", run)
    pictures = SimpleNamespace(Image=lambda path: Path(path).read_bytes(), Markdown=str, display=found.append)
    # matplotlib asks for the version
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=pictures, version_info=(9, 0)))
    monkeypatch.setitem(sys.modules, "IPython.display", pictures)
    return found


def test_the_notebook_is_kept_without_results():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in CODE)


@pytest.mark.long
def test_the_notebook_runs_from_top_to_bottom(shown, tmp_path):
    names: dict[str, object] = {}
    for cell in CODE:
        exec("".join(cell["source"]), names)
        if "STEPS" in names:
            names |= SETTINGS
    strip, mixed, table = shown
    assert all(picture.startswith(b"\x89PNG") for picture in (strip, mixed))
    report = json.loads((tmp_path / "result/notebook/images_report/report.json").read_text())
    assert f"{report['counts']['pairs']} pairs, protocol `offline`" in table and "fd_lite0" in table
    assert report["origin"]["trained_steps"] == SETTINGS["STEPS"]
    assert "starts from" in (tmp_path / "result/notebook/start_from.txt").read_text()
