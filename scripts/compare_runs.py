"""Where two runs' logs first differ: step and term.

python -m scripts.compare_runs result/A result/B [--tolerance 1e-5]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from config.cli import Parser, run
from trainers.log import Line, read_log


def main() -> int:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs=2, type=Path, help="run folders, or log.jsonl files")
    parser.add_argument("--tolerance", type=float, default=0.0, help="relative difference that counts as equal")
    arguments = parser.parse_args()
    first, second = (read_log(path) for path in arguments.runs)
    common = sorted(first.keys() & second.keys())
    if not common:
        raise ValueError(f"{arguments.runs[0]} and {arguments.runs[1]} have no logged step in common")
    for step in common:
        difference = first_difference(first[step], second[step], arguments.tolerance)
        if difference:
            sys.stdout.write(f"step {step}: {difference}\n")
            return 1
    only = len(first.keys() ^ second.keys())
    sys.stdout.write(f"equal in all {len(common)} common log steps; {only} steps are in one log only\n")
    return 0


def first_difference(left: Line, right: Line, tolerance: float) -> str | None:
    """The first term, in the order of the log, that two lines disagree on, with both values; None if they agree."""
    for name in [*left, *(name for name in right if name not in left)]:
        if name not in left or name not in right:
            return f"{name} is in the {'second' if name in right else 'first'} run only"
        if not close(left[name], right[name], tolerance):
            return f"{name} {left[name]} and {right[name]}"
    return None


def close(left: float | None, right: float | None, tolerance: float) -> bool:
    """Equality up to a relative tolerance; null equals null alone."""
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance * 1e-3)


if __name__ == "__main__":
    sys.exit(run(main))
