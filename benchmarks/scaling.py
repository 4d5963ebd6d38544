"""Throughput of two processes on the CPU against one, at the same work a process.

python -m benchmarks.scaling [--config config/demo_nted.yaml] [--processes 2] [key=value ...]

One thread a process; prints a table and one line of JSON with the key `ratio`: throughput of all processes over the
number of processes times that of one alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import torch

from benchmarks.train_step import synthetic_batch, time_of
from config.cli import run
from config.load import load_config
from config.schema import Config
from trainers.distributed import World, connect
from trainers.engine import Engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="config/demo_nted.yaml", help="YAML file")
    parser.add_argument("--processes", type=int, default=2, help="processes to compare with one")
    parser.add_argument("--steps", type=int, default=10, help="timed steps")
    parser.add_argument("--batch", type=int, default=4, help="pairs a process a step")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override of an option")
    arguments = parser.parse_args()
    if "RANK" in os.environ:
        measure(arguments)
        return
    # alone, together, alone: what else the machine does shows as a difference between the two runs alone
    alone, together, again = (launch(count) for count in (1, arguments.processes, 1))
    single = (alone + again) / 2
    report = {"config": arguments.config, "pairs_per_second": {"1": [alone, again], str(arguments.processes): together}}
    report["ratio"] = together / (arguments.processes * single)
    rows = [f"| 1 | {alone:.2f}, {again:.2f} |", f"| {arguments.processes} | {together:.2f} |"]
    lines = ["| processes | pairs/s |", "|---|---|", *rows, "", f"{report['ratio']:.0%} of one process a core"]
    sys.stdout.write("\n".join([*lines, json.dumps(report)]) + "\n")


def launch(count: int) -> float:
    """Pairs a second of `count` processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}", "-m", "benchmarks.scaling"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ValueError(f"{count} processes failed: {done.stderr[-500:]}")
    return float(done.stdout.splitlines()[-1])


def measure(arguments: argparse.Namespace) -> None:
    """One process of a launch; the first writes the pairs a second of all."""
    torch.set_num_threads(1)
    with connect() as world:
        config = config_for(world, arguments)
        engine = Engine(config, world)
        share = config_for(World(0, 1, world.device), arguments)
        batch = synthetic_batch(share, world.device)

        def step() -> None:
            engine.step = 1
            engine.train_step([batch], epoch=0)

        world.barrier()
        seconds = time_of(step, arguments.steps, world.device)
        if world.is_main:
            sys.stdout.write(f"{config.trainer.batch_size / seconds}\n")


def config_for(world: World, arguments: argparse.Namespace) -> Config:
    """The config with `--batch` pairs for each process of a world."""
    size = f"trainer.batch_size={arguments.batch * world.size}"
    return load_config(arguments.config, ["objective.vgg.weights=random", *arguments.overrides, size])


if __name__ == "__main__":
    sys.exit(run(main))
