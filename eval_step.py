"""Score generated images, step by step, against ground truth.

A run of this project:   python eval_step.py --config C --name N --generated D
Anyone's images:         python eval_step.py --generated DIR --ground_truth DIR --protocol nted
Several methods:         python eval_step.py --methods DIR DIR ... --ground_truth DIR --output REPORTS
The metrics themselves:  python eval_step.py --self_check
"""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path

import cv2
import torch

from config.cli import Parser, run
from config.load import load_config
from config.schema import Config
from evaluation.score import score_task, terminal_table
from evaluation.tasks import Request, make_task
from images.writing import check_place
from losses.face import face_crop
from metrics.methods import write_methods
from metrics.pages import write_report_page
from metrics.protocols import PROTOCOLS, Protocol, load_protocol
from metrics.report import Report, write_report
from metrics.scorer import Scorer, load_scorer
from metrics.self_check import CHECK_SIZE, self_check
from metrics.task import Task
from models.families import SCHEDULES, build_schedule
from models.schedules import ScheduleConfig
from trainers.distributed import connect

_LOG = logging.getLogger("eval_step")


def parse_arguments() -> argparse.Namespace:
    """The command line; where there is no --config, --ground_truth stands for it."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="YAML file of the run: its test pairs, image size and schedule are used")
    parser.add_argument("--name", help="name of the run, for the report")
    parser.add_argument("--checkpoints_dir", default="result", help="accepted, not used: scores need images alone")
    parser.add_argument("--seed", type=int, help="overrides `seed` of the config")
    parser.add_argument("--generated", type=Path, help="folder of generated images, perhaps with step_NN folders")
    parser.add_argument("--methods", type=Path, nargs="+", metavar="DIR", help="several such folders, for one table")
    parser.add_argument("--ground_truth", type=Path, help="folder of ground truth, for images of any method")
    parser.add_argument("--real", type=Path, help="folder or list of the real images behind distances of sets")
    parser.add_argument("--protocol", default="nted", help=f"{', '.join(PROTOCOLS)}, or a YAML file (default nted)")
    parser.add_argument("--output", type=Path, help="folder of the report (default: GENERATED_report)")
    parser.add_argument("--cache", type=Path, default=Path("eval_cache"), help="folder of statistics of the reals")
    parser.add_argument("--pckh", action="store_true", help="score poses with a detector too (slow on a CPU)")
    parser.add_argument("--strict", action="store_true", help="stop where a generated or true image has no partner")
    parser.add_argument("--self_check", action="store_true", help="check the metrics themselves and stop")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option, e.g. data.root=DIR")
    arguments = parser.parse_args()
    if not arguments.self_check and (arguments.generated is None) == (arguments.methods is None):
        raise ValueError("--generated is missing; name the folder of generated images, or several with --methods")
    if not arguments.self_check and arguments.config is None and arguments.ground_truth is None:
        raise ValueError("give --config with --name (a run of this project) or --ground_truth (anyone's images)")
    return arguments


def read_config(arguments: argparse.Namespace) -> Config | None:
    """The run's configuration with the overrides of the command line."""
    seed = [] if arguments.seed is None else [f"seed={arguments.seed}"]
    return load_config(arguments.config, [*arguments.overrides, *seed]) if arguments.config else None


def check_metrics(device: torch.device, protocol: Protocol) -> int:
    """`--self_check`: a line for each check; exit code 1 where one fails."""
    schedules: dict[str, ScheduleConfig] = {name: schedule.Config() for name, schedule in SCHEDULES.items()}
    degrades = {
        f"{kind}, level {level}": partial(build_schedule(section, CHECK_SIZE).to(device).degrade, level=level)
        for kind, section in schedules.items()
        for level in (1, section.num_steps // 2, section.num_steps)
    }
    checks = self_check(load_scorer(protocol, device), degrades)
    for check in checks:
        sys.stdout.write(f"{check.outcome:<8}{check.name}: {check.detail}\n")
    return int(any(check.outcome == "FAILED" for check in checks))


def read_task(folder: Path, arguments: argparse.Namespace, protocol: Protocol, device: torch.device) -> Task:
    """What is to be scored of one folder of generated images; raises ValueError like `make_task`."""
    places = {key: getattr(arguments, key) for key in ("ground_truth", "real", "strict", "name")}
    config = read_config(arguments)
    return make_task(Request(generated=folder, protocol=protocol, device=device, config=config, **places))


def score_folder(name: str, task: Task, path: Path, scorer: Scorer, cache: Path) -> Report | None:
    """Score one folder's images and write its report to `path`; the report, on the main process."""
    found = score_task(name, task, scorer, cache)
    if found is None:
        return None
    report, scores = found
    sys.stdout.write(terminal_table(report))
    sys.stdout.flush()  # the numbers are there even where the disk takes no report
    write_report(path, report, task, scores)
    write_report_page(path.with_suffix(".html"), report, task, scores[task.final].clean.columns, scorer.protocol)
    sys.stdout.write(f"{path}\n")
    return report


def report_paths(arguments: argparse.Namespace) -> dict[str, tuple[Path, Path]]:
    """For each name that is scored its folder of images and its report's file."""
    if arguments.methods is None:
        name, generated = arguments.name or arguments.generated.resolve().name, arguments.generated.resolve()
        output = arguments.output or generated.with_name(f"{generated.name}_report")
        return {name: (arguments.generated, output if output.suffix == ".json" else output / "report.json")}
    folders = {folder.name: folder for folder in (path.resolve() for path in arguments.methods)}
    if len(folders) < len(arguments.methods):  # such as A/images and B/images
        folders = {str(path): path.resolve() for path in arguments.methods}
    output = methods_folder(arguments)
    return {name: (folder, output / name.replace("/", "-") / "report.json") for name, folder in folders.items()}


def methods_folder(arguments: argparse.Namespace) -> Path:
    """Where the table of several methods lies."""
    return arguments.output or arguments.methods[0].resolve().parent / "methods_report"


def main() -> int:
    arguments = parse_arguments()
    cv2.setNumThreads(1)  # whole images are shared among threads
    protocol = load_protocol(arguments.protocol)
    with connect() as world:
        if arguments.self_check:
            return check_metrics(world.device, protocol)
        if world.is_main:
            _LOG.info("protocol\n  %s", "\n  ".join(protocol.lines()))
        tasks = []  # all before the first is scored: what is missing is not found out after hours
        for name, (folder, path) in report_paths(arguments).items():
            check_place(path)
            tasks.append((name, read_task(folder, arguments, protocol, world.device), path))
        scorer = load_scorer(protocol, world.device, face_crop, arguments.pckh)
        reports = [score_folder(*task, scorer, arguments.cache) for task in tasks]
        if arguments.methods and world.is_main:
            page, *_ = write_methods(methods_folder(arguments), [report for report in reports if report])
            sys.stdout.write(f"{page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
