"""Two trainings with one name."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.runs import TWO_PROCESSES, start_training
from trainers.lock import locked

HOLDER = """
import os, sys, time
from pathlib import Path
from trainers.lock import locked
with locked(Path(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


def train_too(folder, *more, launcher=(sys.executable,)):
    """A second training with the name `run`; it is refused before it looks at its data."""
    command = [*launcher, "train.py", "--config=config/dptn_256.yaml", "--name=run", f"--checkpoints_dir={folder}"]
    return subprocess.run([*command, *more], capture_output=True, text=True, timeout=120)


@pytest.mark.long
def test_a_second_training_with_one_name_is_refused_in_one_line(dataset, tmp_path):
    first = start_training(dataset, tmp_path, "data.num_workers=1")
    afresh, among_two = train_too(tmp_path, "--no_resume"), train_too(tmp_path, launcher=TWO_PROCESSES)
    (line,) = afresh.stderr.strip().splitlines()
    assert line == (
        f"error: {tmp_path / 'run'} is in use by process {first.pid} on {socket.gethostname()}; "
        "wait for its end, stop it, or use another --name"
    )
    assert afresh.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"], "nothing is set aside"
    assert (
        among_two.stderr.count(line) == among_two.stderr.count("error: ") == 1 and "exitcode  : 2" in among_two.stderr
    )
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)  # reads on: a full pipe would hold the training at its progress bar
    assert first.returncode == 75, "it never noticed the others"


def test_a_killed_training_lets_go_at_once(tmp_path):
    """Also with children alive, as loader processes are for some seconds."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    with pytest.raises(ValueError, match=f"in use by process {holder.pid}"), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        os.kill(child, signal.SIGKILL)
    holder.stdout.close()


def test_a_start_afresh_sets_the_old_folder_aside(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mark").touch()
    done = train_too(tmp_path, "--no_resume", f"data.root={tmp_path}")
    assert done.returncode == 2 and "train_pairs.txt" in done.stderr
    assert (tmp_path / "run_old_1" / "mark").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]
