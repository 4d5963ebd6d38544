"""Published-size files in every container form: the command, its memory, and inference from the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from config.load import load_config
from models.build import build_networks
from models.originals import State, to_published
from models.originals_files import pack

CONFIGS = {"nted": "nted_256_onestep", "nted-step": "nted_256", "dptn": "dptn_256_onestep", "dptn-step": "dptn_256"}
COMMAND = """
import re, sys
from config.cli import run
from scripts import import_checkpoint
code = run(import_checkpoint.main)
print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


def module(state: State) -> State:
    return {f"module.{name.replace('PTM.', 'transformer.')}": value for name, value in state.items()}


def adam(network: torch.nn.Module) -> dict[str, Any]:
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer.step()
    return optimizer.state_dict()


def containers(system: str, size: list[str]) -> dict[str, dict[str, Any]]:
    """Files of a system as they are found: file name -> content."""
    config = load_config(f"config/{CONFIGS[system]}.yaml", size)
    g, d = build_networks(config)
    optimizers = {"optG": adam(g), "optD": adam(d)} if system == "dptn-step" else {}
    states = {"generator": g.state_dict(), "discriminator": d.state_dict()}
    files = pack(system, states | {"generator_ema": {name: value.clone() for name, value in g.state_dict().items()}})
    if system == "nted":
        nets = files["nted.pt"]
        return {"n.pt": nets | {n: module(nets[n]) for n in ("net_G", "net_D")} | {"iteration": 495400}}
    if system == "nted-step":
        return {"n.pt": {"net_G_ema": files["nted-step.pt"]["net_G_ema"], "net_D": files["nted-step.pt"]["net_D"]}}
    if system == "dptn":
        return {name: module(state) for name, state in files.items()}
    nets = files["dptn-step.pth"]
    nets["netG"] = to_published(system, "generator", g.state_dict()) | {
        "positional_encoding.pe": torch.zeros(1, 200, 65536)
    }
    return {"latest.pth": {**nets, **optimizers}}


def import_peak(folder: Path, system: str, size: list[str], name: str) -> tuple[int, int]:
    """Import by the command; bytes of the files and of the command's peak memory."""
    files = containers(system, size)
    for file, content in files.items():
        torch.save(content, folder / file)
    inputs = [str(folder / file) for file in files]
    num_bytes = sum((folder / file).stat().st_size for file in files)
    flags = ["--system", system, "--config", f"config/{CONFIGS[system]}.yaml", "--checkpoints_dir", str(folder)]
    command = [sys.executable, "-c", COMMAND, *flags, "--name", name, "--input", *inputs, "--seed", "0", *size]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return num_bytes, int(done.stdout.split()[-1]) * 1024


SCRATCH = 64 << 20  # what building a network touches, whatever the file; counts for DPTN's 42 MB only
TINY = {
    "nted": ["generator={channels: [8, 8, 8, 8, 8]}", "discriminator={channels: [8, 8, 8]}"],
    "dptn": ["generator={ngf: 4}", "discriminator={ndf: 4, num_levels: 4}", "data.image_size=[64,48]"],
}


@pytest.mark.slow
@pytest.mark.parametrize("system", CONFIGS)
def test_a_published_size_file_imports_and_draws(system, dataset, raw_dataset, tmp_path):
    sizes = ["-m", "scripts.prepare_data", "--root", raw_dataset, "--out", raw_dataset, "--sizes", "256-176"]
    subprocess.run([sys.executable, *map(str, sizes)], check=True, capture_output=True)
    _, libraries = import_peak(tmp_path, system, TINY[system.removesuffix("-step")], "tiny")
    num_bytes, peak = import_peak(tmp_path, system, [], "full")
    sys.stdout.write(f"{system}: {num_bytes} bytes, {peak - libraries} more than with a tiny file\n")
    assert peak - libraries < 1.5 * num_bytes + SCRATCH
    flags = ["--config", f"config/{CONFIGS[system]}.yaml", "--name", "full", "--checkpoints_dir", tmp_path]
    flags += ["--output_dir", tmp_path / "images", "--max_pairs", 1, f"data.root={dataset}", "data.num_workers=0"]
    subprocess.run([sys.executable, "inference.py", *map(str, flags)], check=True, capture_output=True)
    [image] = (tmp_path / "images").glob("*.png")
    with Image.open(image) as picture:
        assert picture.size == (176, 256)
        assert np.asarray(picture).std() > 0
