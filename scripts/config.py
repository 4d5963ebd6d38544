"""Found only where a script is started by its path: Python then looks for the project's `config` beside the script."""

import sys
from pathlib import Path

sys.exit(
    f"error: start this as a module, from the folder that holds scripts/: python -m scripts.{Path(sys.argv[0]).stem}"
)
