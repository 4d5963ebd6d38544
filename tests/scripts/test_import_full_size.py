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
from models.originals import State, to_published
from models.originals_files import pack
from trainers.build import build_networks

CONFIGS = {"nted": "nted_256_onestep", "nted-step": "nted_256", "dptn": "dptn_256_onestep", "dptn-step": "dptn_256"}
COMMAND = """
import re, sys
from config.cli import run
from scripts import import_checkpoint

def memory(kind):
    return int(re.search(kind + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

imported = memory("VmRSS")
code = run(import_checkpoint.main)
print("extra", memory("VmHWM") - imported)
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


def containers(system: str) -> dict[str, dict[str, Any]]:
    """Files of a system as they are found: file name -> content."""
    config = load_config(f"config/{CONFIGS[system]}.yaml")
    g, d = build_networks(config).values()
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


def generator_of(content: dict[str, Any]) -> State:
    """The generator of a container, or of a file that is one."""
    return next((content[name] for name in ("net_G_ema", "netG") if name in content), content)


def imported(folder: Path, system: str, files: list[Path], name: str) -> tuple[int, int]:
    """Import by the command; bytes of the files, and bytes by which its peak is above its imports."""
    flags = ["--system", system, "--config", f"config/{CONFIGS[system]}.yaml", "--checkpoints_dir", folder]
    command = [sys.executable, "-c", COMMAND, *flags, "--name", name, "--input", *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sum(file.stat().st_size for file in files), int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("system", CONFIGS)
def test_a_published_size_file_imports_within_its_size_and_draws(system, dataset, raw_dataset, tmp_path):
    sizes = ["-m", "scripts.prepare_data", "--root", raw_dataset, "--output", raw_dataset, "--size", "256-176"]
    subprocess.run([sys.executable, *map(str, sizes)], check=True, capture_output=True)
    contents = containers(system)
    whole, alone, old = [tmp_path / name for name in contents], tmp_path / "generator.pt", tmp_path / "old.pt"
    for path, content in zip(whole, contents.values(), strict=True):
        torch.save(content, path)
    generator = generator_of(contents[whole[0].name])
    torch.save(generator, alone)
    torch.save(generator, old, _use_new_zipfile_serialization=False)
    for name, files in {"whole": whole, "alone": [alone], "old": [old]}.items():
        num_bytes, extra = imported(tmp_path, system, files, name)
        sys.stdout.write(f"{system}, {name}: {num_bytes} bytes, {extra} at the peak, {extra / num_bytes:.2f} times\n")
        assert extra < 1.5 * num_bytes
    flags = ["--config", f"config/{CONFIGS[system]}.yaml", "--name", "whole", "--checkpoints_dir", tmp_path]
    flags += ["--output_dir", tmp_path / "images", "--max_pairs", 1, f"data.root={dataset}", "data.num_workers=0"]
    done = subprocess.run(
        [sys.executable, "inference.py", *map(str, flags)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [image] = (tmp_path / "images").glob("*.png")
    with Image.open(image) as picture:
        assert picture.size == (176, 256)
        assert np.asarray(picture).std() > 0
