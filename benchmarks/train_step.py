"""How fast a training step is, alone or against the same step of another revision.

python -m benchmarks.train_step --config config/nted_256.yaml [--against REV] [--batch_size B] [--steps N] [key=value]

Each revision runs in a process of its own. They take steps by turns and wait for each other, so that what else the
machine does reaches both alike; it reaches their seconds on the clock more than their seconds of processor time. Steps
are whole ones on a synthetic batch, R1 counted by its share of them. `--processes P` compares P processes with one, at
one thread each. A table and one line of JSON are printed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from config.cli import Parser, run

ROOT, WORKER = Path(__file__).parents[1], Path(__file__).with_name("worker.py")
UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
CLOCKS = ("seconds", "cpu_seconds")


class Side:
    """One of those compared: its processes, which take a step when asked.

    Args:
        name: in the report. root: folder of the code. arguments: the command's. num_processes: how many take a step.
    """

    def __init__(self, name: str, root: Path, arguments: argparse.Namespace, num_processes: int = 1) -> None:
        self.name = name
        self.usual: list[dict[str, float]] = []
        self.r1: list[dict[str, float]] = []
        options = (arguments.config, str(arguments.batch_size or 0), str(arguments.threads or 0), *arguments.overrides)
        # -P: the folder of the worker's file stays out of the way of the revision's own packages
        command = [sys.executable, "-P", str(WORKER), *options]
        path = ":".join(filter(None, (str(root), str(ROOT), os.environ.get("PYTHONPATH"))))
        shared = {**os.environ, "PYTHONPATH": path, **_meeting_point(num_processes)}
        self.processes = [
            subprocess.Popen(
                command,
                cwd=root,
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(num_processes)
        ]
        self.about = self._answers()[0]

    def ask(self, command: str) -> dict[str, Any]:
        """Tell all processes to do something; of each number they answer with, the largest."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(command + "\n")
            process.stdin.flush()
        answers = self._answers()
        return {name: max(answer[name] for answer in answers) for name in answers[0]}

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()

    def _answers(self) -> list[dict[str, Any]]:
        lines = [process.stdout.readline() for process in self.processes if process.stdout is not None]
        if not all(lines):
            raise ValueError(f"{self.name} could not take a step with these options; its own message is above")
        return [json.loads(line) for line in lines]

    def summary(self) -> dict[str, Any]:
        """The median step, R1 by its share; spreads are from the least to the most of all turns."""
        times = {clock: self.times(clock) for clock in CLOCKS}
        seconds, rows = median(times["seconds"]), self.usual + self.r1
        return self.about | {
            **{clock: median(values) for clock, values in times.items()},
            **{f"{clock}_spread": [min(values), max(values)] for clock, values in times.items()},
            "pairs_per_second": self.about["batch"] / seconds,
            "tflop": self.flops / 1e12,
            "tflops": self.flops / seconds / 1e12,
            "page_faults": median(row["page_faults"] for row in self.usual),
            "peak_gib": max(row["peak_gib"] for row in rows),
        }

    def times(self, clock: str) -> list[float]:
        """Of each turn, with R1's share."""
        usual = [row[clock] for row in self.usual]
        extra = median(row[clock] for row in self.r1) - median(usual) if self.r1 else 0.0
        return [value + extra / (self.about["r1_interval"] or 1) for value in usual]

    def warm_up(self) -> None:
        """Both kinds of step, counted."""
        usual, interval = self.ask("count usual")["flops"], self.about["r1_interval"]
        self.flops = usual + ((self.ask("count r1")["flops"] - usual) / interval if interval else 0)


def main() -> None:
    arguments = parse()
    with ExitStack() as stack:
        sides = {"this": Side("this", ROOT, arguments)}
        if arguments.processes > 1:
            name = f"{arguments.processes} processes"
            sides[name] = Side(name, ROOT, arguments, arguments.processes)
        if arguments.against:
            root = stack.enter_context(checked_out(arguments.against))
            sides[arguments.against] = Side(arguments.against, root, arguments)
        for side in sides.values():
            stack.callback(side.close)
        alternate(list(sides.values()), arguments.steps)
        report = {"config": arguments.config, "overrides": arguments.overrides, "processor": processor(sides["this"])}
        report |= {name: side.summary() for name, side in sides.items()}
        others = [name for name in sides if name != "this"]
        report |= {"ratios": {name: ratios(sides[name], sides["this"]) for name in others}}
    sys.stdout.write(table(report, list(sides)) + "\n" + json.dumps(report) + "\n")


def parse() -> argparse.Namespace:
    parser = Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", required=True, help="YAML file, e.g. config/nted_256.yaml")
    parser.add_argument("--against", metavar="REV", help="another revision to take steps with by turns")
    parser.add_argument("--batch_size", type=int, help="pairs a process a step; default: what one takes at once")
    parser.add_argument("--steps", type=int, default=5, help="turns, after a step of each kind that warms up")
    parser.add_argument("--threads", type=int, help="CPU threads of a process; default: PyTorch's")
    parser.add_argument("--processes", type=int, default=1, help="compare so many processes with one")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    arguments = parser.parse_intermixed_args()
    if arguments.processes > 1:
        arguments.threads = arguments.threads or 1
    return arguments


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """A folder with the files of a revision, for as long as it is needed."""
    done = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"--against {revision}: {done.stderr.decode().splitlines()[0]}; give a commit, tag or branch")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def alternate(sides: list[Side], num_steps: int) -> None:
    """Steps by turns, every second turn with one for R1; who comes first changes."""
    for side in sides:
        side.warm_up()
    for turn in range(num_steps):
        for side in sides[:: 1 if turn % 2 else -1]:
            side.usual.append(side.ask("time usual"))
            if side.about["r1_interval"] and turn % 2 == 0:
                side.r1.append(side.ask("time r1"))


def ratios(other: Side, this: Side) -> dict[str, list[float]]:
    """How many times as fast as the other this is, in pairs a second: median, least and most of all turns."""
    found, work = {}, this.about["batch"] / other.about["batch"]
    for clock in CLOCKS:
        each = [work * a / b for a, b in zip(other.times(clock), this.times(clock), strict=True)]
        found[clock] = [median(each), min(each), max(each)]
    return found


def processor(side: Side) -> str:
    """The GPU's name, or the CPU's with the units that matter."""
    if side.about["processor"] != "cpu":
        return side.about["processor"]
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = [unit for unit in UNITS if flags and unit in flags[1].split()]
    return f"{name[1] if name else platform.machine()} ({os.cpu_count()} cores; {', '.join(found)})"


def table(report: dict[str, Any], names: list[str]) -> str:
    """The report for a person, as Markdown."""
    this = report["this"]
    height, width = this["image_size"]
    about = f"{height}x{width}, torch {this['torch']}, {this['threads']} threads a process"
    lines = [f"{' '.join([report['config'], *report['overrides']])}, {about}", report["processor"], ""]
    lines += ["| | format | pairs | s a step | from to | CPU s | pairs/s | TFLOP | TFLOP/s | page faults | GiB |"]
    lines += ["|" + "---|" * 11]
    for name in names:
        row = report[name]
        spread = "{:.3f} {:.3f}".format(*row["seconds_spread"])
        lines.append(
            f"| {name} | {row['precision']} | {row['batch']} | {row['seconds']:.3f} | {spread} | "
            f"{row['cpu_seconds']:.2f} | {row['pairs_per_second']:.3f} | {row['tflop']:.3f} | {row['tflops']:.3f} | "
            f"{row['page_faults']:.0f} | {row['peak_gib']:.2f} |"
        )
    for name, found in report["ratios"].items():
        spreads = {clock: "{:.2f} ({:.2f} to {:.2f})".format(*values) for clock, values in found.items()}
        lines += ["", f"this over {name}: {spreads['seconds']} on the clock, {spreads['cpu_seconds']} in CPU seconds"]
    return "\n".join(lines)


def _meeting_point(num_processes: int) -> dict[str, str]:
    """What torchrun would say to processes that are to find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


if __name__ == "__main__":
    sys.exit(run(main))
