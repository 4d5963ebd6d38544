"""What a run was made with."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from trainers.distributed import World


def record_environment(folder: Path, world: World, step: int) -> None:
    """Append one line for this start of the run to environment.jsonl."""
    with (folder / "environment.jsonl").open("a") as file:
        file.write(json.dumps(environment(world) | {"from_step": step}) + "\n")


def environment(world: World) -> dict[str, Any]:
    """Versions, commit, device, command and processes, as plain values."""
    name = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else platform.processor() or "CPU"
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": name,
        "processes": world.size,
    }


def _commit() -> str | None:
    """The commit of the code, with a + where it was changed; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit, status = (
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if status else "")
