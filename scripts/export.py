"""Export a trained generator: weights and config in one folder, or a program that needs none of this project's code.

python -m scripts.export --model RUN --format safetensors --output exported
python -m scripts.export --model RUN --format torch_export --output exported
python -m scripts.export --model RUN --format onnx --output exported --report RUN/images_report --licence cc-by-4.0
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
from config.schema import Config
from evaluation.manifest import weights_hash
from images.writing import write_text
from metrics.report import Report, read_json
from models.rollout import Pair
from studio.card import model_card
from studio.pipeline import StepPose
from trainers.checkpoints import FORMAT, list_checkpoints
from trainers.stored import CONFIG_FILE, WEIGHTS_FILE, find_model

LOG = logging.getLogger(__name__)
PROGRAM_FILE, ONNX_FILE, CARD_FILE = "model.pt2", "model.onnx", "README.md"
INPUTS = ("source", "source_pose", "pose", "noise")
FORMATS = ("safetensors", "torch_export", "onnx")
TOLERANCE = 1e-4


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a run: its name or folder, or a checkpoint")
    add_which_iter(parser)
    parser.add_argument("--format", choices=FORMATS, required=True, help="what to write")
    parser.add_argument("--output", required=True, help="folder to write, with a model card in its README.md")
    parser.add_argument("--report", type=Path, help="report of eval_step.py on this model's images, for the card")
    parser.add_argument("--licence", help="licence of the weights, for the card")
    parser.add_argument(
        "--half", action="store_true", help="safetensors in 16 bits: half the size, nearly the same images"
    )
    parser.add_argument(
        "--num_sources", type=int, default=1, help="photographs of a person that the program takes (weights take any)"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    is_program = arguments.format != "safetensors"
    if is_program and arguments.half:
        raise ValueError(f"--half is for weights; leave it out, or take --format safetensors, not {arguments.format}")
    if not is_program and arguments.num_sources != 1:
        raise ValueError(f"--num_sources is {arguments.num_sources}: weights take any number; leave it out")
    folder = Path(arguments.output)
    if list_checkpoints(folder / "checkpoints"):  # whose place the export would take
        raise ValueError(f"{folder} is a run; name another --output")
    if find_model(arguments.model).resolve() in (folder.resolve(), folder.resolve() / WEIGHTS_FILE):
        raise ValueError(f"{folder} is the model itself; name another --output")
    model = StepPose.load(arguments.model, which=arguments.which_iter)
    report = read_report(arguments.report, model) if arguments.report else None
    if arguments.num_sources < 1 or (arguments.num_sources > 1 and not model.generator.takes_several):
        most = "one or more photographs" if model.generator.takes_several else "one photograph"
        raise ValueError(f"--num_sources is {arguments.num_sources}: this model takes {most}")
    write_text(folder / CONFIG_FILE, dump_config(shared(model.config)))
    if is_program:
        save = {"torch_export": save_program, "onnx": save_onnx}[arguments.format]
        file, difference = save(model, folder, arguments.num_sources)
        LOG.info("the program's images differ from the model's by at most %.1e", difference)
    else:
        file = save_weights(model, folder, arguments.half)
    write_text(folder / CARD_FILE, model_card(model, folder, arguments.licence, report, arguments.num_sources))
    LOG.info("wrote %s (%.1f MB), %s and %s", file, file.stat().st_size / 1e6, CONFIG_FILE, CARD_FILE)


def shared(config: Config) -> Config:
    """A run's config without what its machine alone has: folders, and the networks that it began with."""
    trainer, protocol = config.trainer, config.trainer.eval_protocol
    places = {"start_from": None, "eval_protocol": protocol and Path(protocol).name}
    data = config.data.model_copy(update={"root": f"dataset/{Path(config.data.root).name}"})
    return config.model_copy(update={"data": data, "trainer": trainer.model_copy(update=places)})


def read_report(path: Path, model: StepPose) -> Report:
    """The report of a model's own images; raises ValueError for one of others."""
    report = read_json(path)
    if (report.get("origin") or {}).get("weights") != weights_hash(model.generator):
        raise ValueError(f"{path} is of images of other weights; draw with this model and score them, or leave it out")
    return report


def save_weights(model: StepPose, folder: Path, half: bool = False) -> Path:
    """Write the EMA generator's weights as safetensors, in 16 bits where asked; `StepPose.load(folder)` reads them."""
    from safetensors.torch import save_file

    path = folder / WEIGHTS_FILE
    state = {name: value.contiguous() for name, value in model.generator.state_dict().items()}
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    metadata = {"step": str(model.trained_steps), "format": str(FORMAT), "config": dump_config(shared(model.config))}
    save_file(state, path, metadata=metadata)
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
    path = folder / PROGRAM_FILE
    torch.export.save(_program(model, num_sources), path)
    loaded, inputs = torch.export.load(path).module(), _example(model, 3, num_sources)
    with torch.no_grad():
        difference = float((loaded(*inputs) - AllSteps(model)(*inputs)).abs().max())
    return path, _accepted(difference)


def save_onnx(model: StepPose, folder: Path, num_sources: int = 1) -> tuple[Path, float]:
    """Write all S steps as an ONNX file for any batch size, run it and compare it with the model for several.

    Returns and raises as `save_program`; ValueError also where the packages of requirements-onnx.txt are missing.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (what torch.onnx is made with)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed; pip install -r requirements-onnx.txt") from None
    path = folder / ONNX_FILE
    torch.onnx.export(
        _program(model, num_sources),
        f=path,
        input_names=INPUTS,
        output_names=["images"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    session, differences = onnxruntime.InferenceSession(path), []
    for count in (1, 2, 5):
        inputs = _example(model, count, num_sources)
        (images,) = session.run(None, {name: x.numpy() for name, x in zip(INPUTS, inputs, strict=True)})
        with torch.no_grad():
            differences.append(float((torch.from_numpy(images) - AllSteps(model)(*inputs)).abs().max()))
    return path, _accepted(max(differences))


def _program(model: StepPose, num_sources: int) -> torch.export.ExportedProgram:
    """All S steps for any batch size, without the lines of code that they come from, whose paths name folders here."""
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    with torch.no_grad():
        example = _example(model, 2, num_sources)
        program = torch.export.export(AllSteps(model).eval(), example, dynamic_shapes=(batch,) * 4)
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)
    return program


def _accepted(difference: float) -> float:
    if not difference <= TOLERANCE:
        raise ValueError(f"the exported program's images differ by {difference:.1e}, over {TOLERANCE}; not usable")
    return difference


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
