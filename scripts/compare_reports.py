"""Compare two evaluations, score by score, and say which differences are more than chance.

python -m scripts.compare_reports REPORT_A REPORT_B --output compare.html
"""

from __future__ import annotations

import sys
from pathlib import Path

from config.cli import Parser, run
from images.writing import write_text
from metrics.compare import compare, notes
from metrics.html import number
from metrics.pages import comparison_page
from metrics.report import read_final


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("a", type=Path, help="a report.json, or the folder that holds it")
    parser.add_argument("b", type=Path, help="another, of the same test images")
    parser.add_argument("--output", type=Path, help="write the comparison as a page to this file")
    arguments = parser.parse_args()
    (a, rows_a), (b, rows_b) = read_final(arguments.a), read_final(arguments.b)
    warnings, comparisons = notes(a, b, rows_a, rows_b), compare(a, b, rows_a, rows_b)
    for warning in warnings:
        sys.stdout.write(f"note: {warning}\n")
    sys.stdout.write(f"{'metric':<14}{'A':>10}{'B':>10}{'B - A':>12}  95 % interval of B - A\n")
    for c in comparisons:
        span = f"{number(c.interval[0])} to {number(c.interval[1])}" if c.interval else "-"
        sys.stdout.write(
            f"{c.metric:<14}{number(c.a):>10}{number(c.b):>10}{number(c.difference):>12}  {span:<26}{c.verdict}\n"
        )
    if arguments.output:
        write_text(arguments.output, comparison_page(a, b, comparisons, warnings))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
