"""`python -m scripts` lists every command."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_command_is_listed_with_the_first_sentence_of_its_docstring():
    done = subprocess.run([sys.executable, "-m", "scripts"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in ("train.py", "inference.py", "eval_step.py"):
        assert f"python {name} " in done.stdout
    commands = [path for path in (ROOT / "scripts").glob("*.py") if "sys.exit(run(main))" in path.read_text()]
    assert len(commands) > 15
    for path in commands:
        if path.stem == "__main__":
            continue
        (line,) = [line for line in done.stdout.splitlines() if f"-m scripts.{path.stem} " in line]
        words = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split()
        assert line.endswith(" ".join(words)) and len(words) > 4, "a sentence, not a usage"
        assert "python -m" not in " ".join(words)
