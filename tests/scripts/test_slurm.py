"""The Slurm script, with stand-ins for Slurm's commands: requeued after a stop, and only then."""

from __future__ import annotations

import os
import subprocess

import pytest

SRUN = """#!/usr/bin/env bash
shift  # --kill-on-bad-exit=0
export SLURM_PROCID=3 SLURM_LOCALID=1 SLURM_NTASKS=4
exec "$@"
"""
PYTHON = """#!/usr/bin/env bash
echo "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR:$MASTER_PORT $*" >> calls
exit $CODE
"""
SCONTROL = """#!/usr/bin/env bash
if [ "$1" = show ]; then echo first; echo second; else echo "scontrol $*" >> calls; fi
"""


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (75, True), (3, False)])
def test_the_job_is_requeued_after_a_stop_and_only_then(code, requeued, tmp_path):
    for name, text in {"srun": SRUN, "python": PYTHON, "scontrol": SCONTROL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "42"}
    script = os.path.abspath("scripts/slurm_train.sh")
    words = ["bash", script, "--config", "config/nted_256.yaml", "--name", "my run"]
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, **variables, "CODE": str(code)}, check=False)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == code
    assert calls[0] == "3 1 4 first:29500 train.py --config config/nted_256.yaml --name my run"
    assert calls[1:] == (["scontrol requeue 42"] if requeued else [])
