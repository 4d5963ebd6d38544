"""Export a trained generator: weights and config in one folder, or a program that needs none of this project's code.

python -m scripts.export --model RUN --format safetensors --output exported
python -m scripts.export --model RUN --format torch_export --output exported
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from config.cli import Parser, add_which_iter, run
from config.load import dump_config
from models.rollout import Pair
from studio.pipeline import StepPose
from trainers.checkpoints import FORMAT
from trainers.stored import CONFIG_FILE, WEIGHTS_FILE

LOG = logging.getLogger(__name__)
PROGRAM_FILE = "model.pt2"
TOLERANCE = 1e-4


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a run: its name or folder, or a checkpoint")
    add_which_iter(parser)
    parser.add_argument("--format", choices=("safetensors", "torch_export"), required=True, help="what to write")
    parser.add_argument(
        "--num_sources", type=int, default=1, help="photographs of a person that the program takes (weights take any)"
    )
    parser.add_argument("--output", required=True, help="folder to write")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    model = StepPose.load(arguments.model, which=arguments.which_iter)
    folder = Path(arguments.output)
    if arguments.num_sources < 1 or (arguments.num_sources > 1 and not model.generator.takes_several):
        most = "one or more photographs" if model.generator.takes_several else "one photograph"
        raise ValueError(f"--num_sources is {arguments.num_sources}: this model takes {most}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(dump_config(model.config))
    if arguments.format == "safetensors":
        file = save_weights(model, folder)
    else:
        file, difference = save_program(model, folder, arguments.num_sources)
        LOG.info("the program's images differ from the model's by at most %.1e", difference)
    LOG.info("wrote %s (%.1f MB) and %s", file, file.stat().st_size / 1e6, CONFIG_FILE)


def save_weights(model: StepPose, folder: Path) -> Path:
    """Write the EMA generator's weights as safetensors; `StepPose.load(folder)` reads them."""
    from safetensors.torch import save_file

    path = folder / WEIGHTS_FILE
    state = {name: value.contiguous() for name, value in model.generator.state_dict().items()}
    save_file(state, path, metadata={"step": str(model.trained_steps), "format": str(FORMAT)})
    return path


class AllSteps(nn.Module):
    """The whole rollout as one function of tensors."""

    def __init__(self, model: StepPose) -> None:
        super().__init__()
        self.model = model
        self.generator, self.schedule = model.generator, model.schedule  # registered, so that they are exported

    def forward(self, source: Tensor, source_pose: Tensor, pose: Tensor, noise: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], two (B, P, H, W) in [0, 1] and (B, 3, H, W) normal noise to (S, B, 3, H, W).

        Of several sources images and poses, the first two, have one more dimension after B.
        """
        return torch.stack(list(self.model.stream(Pair(source, source_pose, pose), noise)))


def save_program(model: StepPose, folder: Path, num_sources: int = 1) -> tuple[Path, float]:
    """Write all S steps as one program for any batch size, read it back and compare it with the model.

    Its number of sources is fixed.

    Returns:
        its file, and the largest difference of an image from the model's.

    Raises:
        ValueError: the difference exceeds `TOLERANCE`.
    """
    everything = AllSteps(model).eval()
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    with torch.no_grad():
        program = torch.export.export(everything, _example(model, 2, num_sources), dynamic_shapes=(batch,) * 4)
        path = folder / PROGRAM_FILE
        torch.export.save(program, path)
        loaded, inputs = torch.export.load(path).module(), _example(model, 3, num_sources)
        difference = float((loaded(*inputs) - everything(*inputs)).abs().max())
    if not difference <= TOLERANCE:
        raise ValueError(f"the exported program's images differ by {difference:.1e}, over {TOLERANCE}; not usable")
    return path, difference


def _example(model: StepPose, count: int, num_sources: int) -> tuple[Tensor, ...]:
    height, width = model.image_size
    generator = torch.Generator().manual_seed(count)
    several = (count, num_sources) if num_sources > 1 else (count,)
    channels = model.config.data.pose_channels
    own, pose = (torch.rand(*lead, channels, height, width, generator=generator) for lead in (several, (count,)))
    source = torch.rand(*several, 3, height, width, generator=generator) * 2 - 1
    return source, own, pose, model.noise(count)


if __name__ == "__main__":
    sys.exit(run(main))
