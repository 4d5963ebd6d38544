"""Write a run's report.html anew, also while it trains: learning curves, the newest strip, what it was made with.

python -m scripts.run_report --model my_run
"""

from __future__ import annotations

import sys

from config.cli import Parser, run
from trainers.report import write_run_report
from trainers.stored import find_model


def main() -> None:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="a run: its name or folder")
    folder = find_model(parser.parse_args().model)
    write_run_report(folder)
    sys.stdout.write(f"wrote {folder / 'report.html'}\n")


if __name__ == "__main__":
    sys.exit(run(main))
