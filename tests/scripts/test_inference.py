"""inference.py as a command: shards, batch sizes, folders, names, bad checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import inference
from data.openpose import pose_file, read_keypoints
from data.pairs import output_name, read_pairs, store_key
from data.pose import to_image_frame
from images.strips import GAP
from images.writing import write_image
from studio.pipeline import StepPose
from tests.runs import NUM_STEPS, TWO_PROCESSES, run_flags, save_run, tiny_config


@pytest.fixture
def infer(command: Callable[..., int], runs: Path) -> Callable[..., int]:
    """Draw the test pairs with the run of a system; returns the exit code."""

    def call(system: str, output: Path, *more: object, folder: Path = runs) -> int:
        return command(inference.main, *run_flags(folder, system), "--output_dir", output, *more)

    return call


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))}


def expected_names(dataset: Path) -> set[str]:
    return {output_name(line.sources[0], line.target) for line in read_pairs(dataset / "test_pairs.txt")}


def assert_same_images(left: Path, right: Path, tolerance: int = 0) -> None:
    first, second = pictures(left), pictures(right)
    assert first.keys() == second.keys()
    assert all(np.abs(first[name].astype(int) - second[name]).max() <= tolerance for name in first)


@pytest.mark.parametrize("system", NUM_STEPS)
def test_every_pair_is_drawn_once_under_its_published_name(system, infer, dataset, tmp_path):
    assert infer(system, tmp_path / "out") == 0
    assert pictures(tmp_path / "out").keys() == expected_names(dataset)
    assert [path for path in (tmp_path / "out").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("system", NUM_STEPS)
def test_images_do_not_depend_on_the_batch_size(system, infer, tmp_path):
    assert infer(system, tmp_path / "one", "--batch_size", 1) == 0
    assert infer(system, tmp_path / "three", "--batch_size", 3) == 0
    # other batch sizes sum in another order: a value on the edge between two grey levels may fall either way
    assert_same_images(tmp_path / "one", tmp_path / "three", tolerance=1)


def test_two_processes_draw_the_images_of_one(infer, runs, tmp_path):
    assert infer("nted", tmp_path / "one", "--batch_size", 1) == 0
    torchrun = [*TWO_PROCESSES, "inference.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    flags = [*run_flags(runs, "nted"), "--output_dir", tmp_path / "two", "--batch_size", 1]
    subprocess.run([*torchrun, *map(str, flags)], check=True, env=environment, capture_output=True)
    assert_same_images(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("system", NUM_STEPS)
def test_a_python_program_draws_the_file_of_a_test_line_byte_for_byte(system, infer, runs, dataset, tmp_path):
    assert infer(system, tmp_path / "out", "--batch_size", 1, "--seed", 5) == 0
    model = StepPose.load(runs / system)
    lines = read_pairs(dataset / "test_pairs.txt")
    for index, line in enumerate(lines):
        source, target = line.sources[0], line.target
        joints = [
            to_image_frame(read_keypoints(pose_file(dataset, store_key(name))), model.image_size)
            for name in (source, target)
        ]
        maps = [model.pose_form.draw(points, model.image_size) for points in joints]
        drawn = model.generate(Image.open(dataset / source), maps[1], source_pose=maps[0], seed=5, first=index)
        write_image(tmp_path / "own.png", np.array(drawn))
        assert (tmp_path / "own.png").read_bytes() == (tmp_path / "out" / output_name(source, target)).read_bytes()
    assert len(lines) == 3


def test_step_folders_hold_every_step_and_end_in_the_final_image(infer, dataset, tmp_path):
    assert infer("nted", tmp_path, "--save_steps") == 0
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == [f"step_{step:02d}" for step in range(NUM_STEPS["nted"])]
    assert all(pictures(tmp_path / folder).keys() == expected_names(dataset) for folder in folders)
    assert_same_images(tmp_path, tmp_path / folders[-1])
    first, last = pictures(tmp_path / folders[0]), pictures(tmp_path)
    assert all((first[name] != last[name]).any() for name in first)


def test_images_of_one_folder_are_of_one_checkpoint_and_one_command(infer, dataset, runs, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    assert infer("nted", tmp_path / "out", "--save_steps", "--seed", 1) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["names"]) == expected_names(dataset) and len(manifest["names"]) == len(expected_names(dataset))
    assert (manifest["run"], manifest["trained_steps"], manifest["seed"]) == ("nted", 7, 1)
    assert manifest["steps"] == [f"step_{step:02d}" for step in range(NUM_STEPS["nted"])]
    assert manifest["config"]["schedule"]["num_steps"] == NUM_STEPS["nted"]
    assert {"time", "command", "torch"} <= manifest["made"].keys()
    for more, said in (
        (["--seed", 1], "steps: "),
        (["--save_steps", "--seed", 2], "seed: 1 there, 2 here"),
        (["--save_steps", "--seed", 1, "--max_pairs", 1], f"{len(manifest['names'])} images there, 1 here"),
        (["--save_steps", "--seed", 1, "--strip"], "extras: "),
    ):
        assert infer("nted", tmp_path / "out", *more) == 2
        assert said in capsys.readouterr().err
    assert infer("dptn", tmp_path / "out", "--save_steps", "--seed", 1) == 2
    assert "weights: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_files_of_others_are_left_alone(infer, tmp_path, capsys):
    (tmp_path / "theirs.png").write_bytes(b"precious")
    assert infer("nted", tmp_path) == 2
    assert "no manifest.json" in capsys.readouterr().err and os.listdir(tmp_path) == ["theirs.png"]


def test_an_interrupted_call_is_finished_by_the_same_call(infer, tmp_path):
    flags = ["--save_steps", "--strip", "--webp", "--batch_size", 1]
    assert infer("nted", tmp_path / "whole", *flags) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    first, second, *others = sorted(path.name for path in (tmp_path / "cut").glob("*.png"))
    (tmp_path / "cut" / first).unlink()
    (tmp_path / "cut" / "step_01" / second).unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut").rglob("*.png") if path.name in others}
    assert infer("nted", tmp_path / "cut", *flags) == 0
    for path in (tmp_path / "whole").rglob("*.*g"):
        assert (tmp_path / "cut" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
    assert times and all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_strip_shows_source_pose_every_step_and_target(infer, dataset, tmp_path):
    assert infer("dptn", tmp_path, "--strip") == 0
    strips, finals = pictures(tmp_path / "strips"), pictures(tmp_path)
    assert strips.keys() == finals.keys()
    height, width = 64, 48
    count = NUM_STEPS["dptn"] + 3
    for line in read_pairs(dataset / "test_pairs.txt"):
        name = output_name(line.sources[0], line.target)
        assert strips[name].shape == (height, count * width + (count - 1) * GAP, 3)
        columns = [strips[name][:, start : start + width] for start in range(0, count * (width + GAP), width + GAP)]
        assert (columns[-2] == finals[name]).all()
        for column, key in ((columns[0], line.sources[0]), (columns[-1], line.target)):
            # the file is a JPEG of the very size, so that the store holds it as it is
            assert (column == cv2.imread(str(dataset / key))).all()


def test_an_animation_plays_every_step_and_loses_nothing(infer, tmp_path):
    assert infer("nted", tmp_path, "--webp", "--max_pairs", 1) == 0
    (path,) = (tmp_path / "animations").iterdir()
    (final,) = pictures(tmp_path).values()
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (NUM_STEPS["nted"], 0)
        animation.seek(NUM_STEPS["nted"] - 1)
        assert (np.array(animation.convert("RGB"))[..., ::-1] == final).all()


class Code:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize("damage", ["missing", "truncated", "code", "noise", "foreign", "config", "step"])
def test_a_bad_checkpoint_is_one_line_and_exit_code_2(damage, infer, dataset, tmp_path, capsys):
    save_run(tmp_path / "nted", tiny_config("nted", dataset))
    (path,) = (tmp_path / "nted" / "checkpoints").glob("*.pt")
    more = {"config": ["generator.num_textures=[3,5,0]"], "step": ["--which_iter", "8"]}.get(damage, [])
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == "code":
        torch.save({"format": 1, "step": Code()}, path)
    elif damage == "noise":
        path.write_bytes(b"hello world" * 100)
    elif damage == "foreign":
        torch.save({"net_G": {}}, path)
    assert infer("nted", tmp_path / "out", *more, folder=tmp_path) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    words = {
        "missing": "no checkpoint in",
        "truncated": "damaged or cut short",
        "code": "holds code instead of tensors",
        "noise": "damaged or cut short",
        "foreign": "not a StepPose checkpoint",
        "config": "generator.num_textures: [3, 4, 0] there, [3, 5, 0] here); "
        f"use --config {tmp_path / 'nted' / 'config.yaml'} or another --name",
        "step": "steps there: 7",
    }
    assert line.startswith("error: ") and words[damage] in line
    assert not (tmp_path / "out").exists()
