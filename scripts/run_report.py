"""Write a run's report.html anew, also while it trains: learning curves, the newest strip, what it was made with.

python -m scripts.run_report --name my_run
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from config.cli import run
from trainers.report import write_run_report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", required=True, help="name of the run: its folder is CHECKPOINTS_DIR/NAME")
    parser.add_argument("--checkpoints_dir", type=Path, default=Path("result"), help="folder of all runs")
    arguments = parser.parse_args()
    folder = arguments.checkpoints_dir / arguments.name
    write_run_report(folder)
    sys.stdout.write(f"wrote {folder / 'report.html'}\n")


if __name__ == "__main__":
    sys.exit(run(main))
