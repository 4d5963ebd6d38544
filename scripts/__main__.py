"""Say what commands there are: `python -m scripts`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from config.cli import run

ROOT = Path(__file__).resolve().parent.parent
_IS_COMMAND = 'if __name__ == "__main__":'


def main() -> None:
    files = [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("scripts/[!_]*.py"))]
    sentences = {words_of(path): sentence_of(path) for path in files if _IS_COMMAND in path.read_text()}
    width = max(map(len, sentences))
    lines = [f"{words:{width}}  {sentence}" for words, sentence in sentences.items()]
    sys.stdout.write("\n".join([*lines, "", "Each says more with --help."]) + "\n")


def words_of(path: Path) -> str:
    """How a command is called."""
    return f"python {path.name}" if path.parent == ROOT else f"python -m scripts.{path.stem}"


def sentence_of(path: Path) -> str:
    """The first paragraph of a command's docstring, in one line."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())


if __name__ == "__main__":
    sys.exit(run(main))
