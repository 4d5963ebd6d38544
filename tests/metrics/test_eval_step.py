"""eval_step.py from the command line: runs of the project, folders of anyone, and bad input."""

import csv
import errno
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from config.cli import run
from config.load import load_config
from data.pairs import output_name
from metrics.report import rows_path

MISSING_FILES = ("alexnet-owt-7be5be79.pth", "inception_v3_google-0cc3c7bd.pth")


def load(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture
def folders(tmp_path, make_picture):
    """Four generated images and their ground truth under equal names."""
    random = np.random.default_rng(0)
    for index in range(4):
        truth = make_picture(index, (64, 48))
        fake = np.clip(truth + random.normal(0, 10 + index, truth.shape), 0, 255).astype(np.uint8)
        for name, image in (("truth", truth), ("fake", fake)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    return tmp_path


@pytest.fixture
def score(eval_step, folders):
    """Score the two folders; returns exit code, stdout, stderr."""
    return lambda *more: eval_step("--generated", folders / "fake", "--ground_truth", folders / "truth", *more)


def test_a_run_is_scored_step_by_step_with_the_baseline(evaluation, eval_step, tmp_path):
    code, out, _ = eval_step("--generated", evaluation.generated, "--output", tmp_path / "report", *evaluation.options)
    report = load(tmp_path / "report")
    assert code == 0 and "step_02" in out
    assert [step["step"] for step in report["steps"]] == [0, 1, 2]
    assert all(step["at_level"]["psnr"] > 25 > report["copy_source"]["psnr"] for step in report["steps"][:2])
    assert report["steps"][2]["at_level"] is None and report["steps"][2]["psnr"] > 25
    # the images of each step are those of its level: only the last is close to the clean ground truth
    clean = [step["psnr"] for step in report["steps"]]
    assert clean == sorted(clean) and clean[0] < clean[2] - 0.1
    assert (report["steps"][2]["fid"], report["steps"][2]["lpips"]) == (None, None)
    assert report["counts"] == {"pairs": 12, "persons": 3, "generated_only": 0, "ground_truth_only": 0}
    assert set(report["slices"]) == {"visible_joints", "view", "sex"}
    assert report["steps"][2]["face_ssim"] > 0.9
    low, high = report["steps"][2]["intervals"]["ssim"]
    assert low < report["steps"][2]["ssim"] < high
    rows = list(csv.DictReader((tmp_path / "report" / "per_image.csv").open()))
    tracks = Counter((row["track"], row["target"]) for row in rows)
    assert tracks == {
        (track, target): 12
        for track in ("step_00", "step_01", "step_02", "copy_source")
        for target in ("clean", "level")[: 2 if track in ("step_00", "step_01") else 1]
    }
    people = {f"WOMENTeesTanks/id_{0:08d}", f"MENDenim/id_{1:08d}", f"WOMENTeesTanks/id_{2:08d}"}
    assert {row["cluster"] for row in rows} == people
    check_missing(report["missing"], out)
    page = (tmp_path / "report" / "report.html").read_text()
    assert (
        "Worst SSIM" in page
        and "against its own level" not in page
        and not re.search(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)
    )


def check_missing(missing, out):
    """Missing weights are named with the way to get them."""
    assert [item["metrics"] for item in missing] == [["lpips"], ["fid", "kid"]]
    for item, file in zip(missing, MISSING_FILES, strict=True):
        assert all(part in item["reason"] for part in (file, "https://", "put it at")) and item["reason"] in out


def test_the_same_pixels_in_a_store_give_the_same_scores(evaluation, eval_step, tmp_path):
    from data.store import ImageStore, StoreMeta, StoreWriter, encode_image, store_path

    root = tmp_path / "packed"
    shutil.copytree(evaluation.root, root, ignore=shutil.ignore_patterns("img"))
    writer = StoreWriter(store_path(root, (64, 48)), StoreMeta((64, 48)))
    for path in (evaluation.root / "img").rglob("*.jpg"):
        with Image.open(path) as image:
            small = np.asarray(image.resize((48, 64), Image.Resampling.BICUBIC))
        writer.put({path.relative_to(evaluation.root).with_suffix(".png").as_posix(): encode_image(small, "png")})
    writer.finish()
    assert len(ImageStore(store_path(root, (64, 48)))) == 12
    options = [option for option in evaluation.options if not option.startswith("data.root")]
    for name, data in (("raw", evaluation.root), ("store", root)):
        code, _, error = eval_step(
            "--generated", evaluation.generated, "--output", tmp_path / name, *options, f"data.root={data}"
        )
        assert code == 0, error
    assert load(tmp_path / "raw")["steps"] == load(tmp_path / "store")["steps"]


def test_final_images_alone_are_one_step(evaluation, eval_step, tmp_path):
    for path in evaluation.generated.glob("*.png"):
        (tmp_path / "final").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "final")
    code, _, _ = eval_step("--generated", tmp_path / "final", "--output", tmp_path / "report", *evaluation.options)
    assert code == 0 and [step["label"] for step in load(tmp_path / "report")["steps"]] == ["final"]


def test_folders_need_no_config_and_find_the_numbers_of_the_run(evaluation, eval_step, tmp_path):
    arguments = ["--generated", evaluation.generated, "--ground_truth", evaluation.root / "img"]
    assert eval_step(*arguments, "--output", tmp_path / "plain")[0] == 0
    assert eval_step(*arguments, "--output", tmp_path / "steps", *evaluation.options)[0] == 0
    assert eval_step(*arguments[:2], "--output", tmp_path / "run", *evaluation.options)[0] == 0
    plain, steps, own = (load(tmp_path / name) for name in ("plain", "steps", "run"))
    assert plain["steps"][0]["ssim"] == steps["steps"][2]["ssim"] == own["steps"][2]["ssim"]
    assert plain["reals"]["count"] == 12  # every view of every person, though their files share four names
    assert plain["copy_source"]["l1"] == own["copy_source"]["l1"]
    assert any("step folders are left out" in text for text in plain["decisions"])
    assert [step["psnr"] for step in steps["steps"]] == [step["psnr"] for step in own["steps"]]


def test_two_forms_of_file_names_give_the_same_report(evaluation, eval_step, tmp_path):
    for source, target in evaluation.pairs:
        name = output_name(source, target)
        other = name.replace("_2_fashion", "_to_fashion").replace("_vis.png", ".png")
        for folder, new in (("a", name), ("b", other)):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(evaluation.generated / name, tmp_path / folder / new)
    for name in "ab":
        arguments = ["--generated", tmp_path / name, "--ground_truth", evaluation.root / "img"]
        code, _, error = eval_step(*arguments, "--output", tmp_path / f"report {name}")
        assert code == 0, error
    assert load(tmp_path / "report a")["steps"] == load(tmp_path / "report b")["steps"]


def test_every_metric_of_the_standard_protocol_on_generated_weights(folders, entry_point, monkeypatch, tmp_path):
    """The whole path with small stand-ins for the networks' weights: FID, KID and LPIPS of a set with itself."""
    from metrics import networks

    class Colours(torch.nn.Module):
        def forward(self, images):
            return images.float().mean(dim=(2, 3))

    class Distance(torch.nn.Module):
        def forward(self, images, targets):
            return (images.float() - targets.float()).abs().mean(dim=(1, 2, 3))

    monkeypatch.setattr(networks, "InceptionTensorFlow", Colours)
    monkeypatch.setattr(networks, "Lpips", lambda *_: Distance())
    monkeypatch.setattr(networks, "weights_hash", lambda name: "generated")
    assert networks.WEIGHTS_URLS["inception_tensorflow"]
    truth = str(folders / "truth")
    command = ["eval_step.py", "--generated", truth, "--ground_truth", truth, "--protocol", "standard"]
    command += ["--output", str(tmp_path / "report"), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", command)
    assert run(entry_point.main) == 0
    report = load(tmp_path / "report")
    final = report["steps"][0]
    assert (final["fid"], final["lpips"], final["ssim"], final["psnr"], final["identical"]) == (
        pytest.approx(0, abs=1e-6), 0, pytest.approx(1), None, 4,
    )  # fmt: skip
    assert final["kid"] is not None and report["reals"]["hash"] and report["missing"] == []
    assert any("infinite PSNR" in text for text in report["decisions"])
    assert any("no real set" in text for text in report["decisions"])


def test_a_protocol_that_expects_other_reals_stops(score, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"base: offline\nreal_hash: {'a' * 32}\n")
    code, _, error = score("--protocol", file)
    assert code == 2 and "protocol mine expects aaaa" in error


def test_the_self_check_passes(eval_step):
    code, out, _ = eval_step("--self_check")
    assert code == 0 and "FAILED" not in out
    assert len(re.findall(r"^ok ", out, re.MULTILINE)) >= 14 and len(re.findall(r"^skipped", out, re.MULTILINE)) == 2


def test_what_does_not_match_is_listed_and_counted_and_strict_stops(score, folders):
    (folders / "truth" / "3.png").rename(folders / "truth" / "other.png")
    code, out, _ = score("--output", folders / "report")
    report = load(folders / "report")
    assert code == 0 and "1 images are generated only and left out, the first: 3.png" in out
    assert report["unmatched"] == {"generated_only": ["3.png"], "ground_truth_only": ["other.png"]}
    assert report["counts"] == {"pairs": 3, "targets": 3, "generated_only": 1, "ground_truth_only": 1}
    code, _, error = score("--strict")
    assert code == 2 and error.count("\n") == 1 and "--strict" in error


def test_unusual_images_are_decided_on_aloud(score, folders):
    shutil.copy(folders / "fake" / "0.png", folders / "fake" / "1.png")
    shutil.copy(folders / "truth" / "2.png", folders / "fake" / "2.png")
    with Image.open(folders / "fake" / "3.png") as image:
        image.save(folders / "fake" / "3.jpg")
    (folders / "fake" / "3.png").unlink()
    code, out, _ = score("--output", folders / "report")
    assert code == 0
    for text in ("are copies of another", "equal their ground truth", "are not PNG"):
        assert f"1 generated images {text}" in out
    assert np.isfinite(load(folders / "report")["steps"][0]["psnr"])


def test_one_image_has_scores_but_no_interval(score, folders):
    for index in (1, 2, 3):
        (folders / "fake" / f"{index}.png").unlink()
    assert score("--output", folders / "report")[0] == 0
    final = load(folders / "report")["steps"][0]
    assert final["ssim"] is not None and final["intervals"] == {}


def bad_size(folders):
    Image.new("RGB", (48, 60)).save(folders / "fake" / "2.png")


def other_shape(folders):
    Image.new("RGB", (256, 256)).save(folders / "truth" / "2.png")


def damaged(folders):
    path = folders / "fake" / "2.png"
    path.write_bytes(path.read_bytes()[:100])


def damaged_truth(folders):
    (folders / "truth" / "2.png").write_bytes(b"not an image")


def empty(folders):
    for path in (folders / "fake").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (bad_size, "2.png is 60x48"),
        (other_shape, "--protocol dptn"),
        (damaged, "fake/2.png is damaged"),
        (damaged_truth, "truth/2.png is damaged"),
        (empty, "holds no images"),
    ],
)
def test_bad_images_are_one_line_and_exit_code_2(score, folders, spoil, said):
    spoil(folders)
    code, _, error = score("--output", folders / "report")
    lines = [line for line in error.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and said in lines[0] and "Traceback" not in error
    assert not (folders / "report").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--generated is missing"),
        (["--generated", "x"], "--ground_truth"),
        (["--generated", "nowhere", "--ground_truth", "nowhere"], "does not exist"),
        (["--generated", "x", "--ground_truth", "x", "--protocol", "nope"], "nted, dptn, standard"),
        (["--generated", "x", "--config", "config/nted_256.yaml", "schedule.steps=3"], "schedule.steps"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(eval_step, arguments, said):
    code, _, error = eval_step(*arguments)
    assert code == 2 and said in error and "Traceback" not in error


def test_steps_of_another_schedule_are_refused(evaluation, eval_step):
    code, _, error = eval_step("--generated", evaluation.generated, *evaluation.options, "schedule.num_steps=5")
    assert code == 2 and "has 3 step folders, schedule.num_steps is 5" in error


@pytest.mark.parametrize("steps", [False, True])
def test_jpeg_folders_of_published_names_are_read_as_they_are(steps, evaluation, eval_step, tmp_path):
    folder = tmp_path / "results"
    for path in evaluation.generated.rglob("*.png"):
        place = folder / path.relative_to(evaluation.generated).with_suffix(".jpg")
        if steps or place.parent == folder:
            place.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(path) as image:
                image.save(place, quality=95)
    code, out, error = eval_step("--generated", folder, "--output", tmp_path / "report", *evaluation.options)
    assert code == 0, error
    report = load(tmp_path / "report")
    assert report["counts"] == {"pairs": 12, "persons": 3, "generated_only": 0, "ground_truth_only": 0}
    assert len(report["steps"]) == (3 if steps else 1)
    assert "12 generated images are not PNG" in out


def test_one_pair_in_two_formats_is_refused(evaluation, eval_step, tmp_path):
    [first, *_] = sorted(evaluation.generated.glob("*.png"))
    folder = tmp_path / "results"
    shutil.copytree(evaluation.generated, folder)
    shutil.copy(first, folder / f"{first.stem}.jpg")
    code, _, error = eval_step("--generated", folder, *evaluation.options)
    assert code == 2 and "answer to one name" in error


def framed(picture):
    """A 256x176 picture in its white 256x256 frame."""
    return np.pad(picture, ((0, 0), (40, 40), (0, 0)), constant_values=255)


def stretched(picture):
    """A 256x176 picture scaled to 256x256."""
    return np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC))


@pytest.fixture
def low_resolution(tmp_path, make_picture):
    """Two darkened pictures as 256x176, in a frame and stretched, and their ground truth in a frame."""
    for index in range(2):
        truth = make_picture(index, (256, 176))
        fake = (truth * 0.9).astype(np.uint8)
        images = {"truth": framed(truth), "plain": fake, "frame": framed(fake), "square": stretched(fake)}
        for name, image in images.items():
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / name / f"{index}.png")
    return tmp_path


def low_resolution_scores(eval_step, folder, name, protocol):
    arguments = ["--generated", folder / name, "--ground_truth", folder / "truth", "--protocol", protocol]
    code, out, error = eval_step(*arguments, "--output", folder / "report")
    assert code == 0, error
    return load(folder / "report"), out


def test_square_frames_have_the_scores_of_their_columns_40_to_215(low_resolution, eval_step):
    plain, _ = low_resolution_scores(eval_step, low_resolution, "plain", "dptn")
    frame, out = low_resolution_scores(eval_step, low_resolution, "frame", "dptn")
    assert frame["image_size"] == [256, 176]
    assert frame["steps"] == plain["steps"]
    assert "scored at 256x176: columns (40, 215) of the generated 256x256" in out


def test_stretched_squares_are_scaled_back_where_the_protocol_says_so(low_resolution, eval_step):
    plain, _ = low_resolution_scores(eval_step, low_resolution, "plain", "dptn")
    square, out = low_resolution_scores(eval_step, low_resolution, "square", "dptn_stretched")
    wrong, _ = low_resolution_scores(eval_step, low_resolution, "square", "dptn")
    assert square["steps"][0]["psnr"] == pytest.approx(plain["steps"][0]["psnr"], abs=0.1)
    assert wrong["steps"][0]["psnr"] < square["steps"][0]["psnr"] - 5
    assert "scored at 256x176: scaled from the generated 256x256" in out


def copy_of(evaluation, folder, **manifest):
    """The generated images in a folder of their own, with a manifest as inference.py writes it."""
    shutil.copytree(evaluation.generated, folder)
    names = sorted(path.name for path in folder.glob("*.png"))
    config = load_config(evaluation.options[1], evaluation.options[4:])
    about = {
        "run": "x", "trained_steps": 7, "weights": "w", "config": config.model_dump(mode="json"), "seed": 0,
        "steps": ["step_00", "step_01", "step_02"], "extras": [], "names": names, "made": {"command": ["inference.py"]},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(about | manifest))
    return folder


def test_where_images_come_from_is_in_the_report(evaluation, eval_step, tmp_path):
    folder = copy_of(evaluation, tmp_path / "images")
    code, out, error = eval_step("--generated", folder, *evaluation.options)
    assert code == 0, error
    report = load(tmp_path / "images_report")
    origin = report["origin"]
    assert (origin["run"], origin["trained_steps"], origin["weights"]) == ("x", 7, "w")
    assert origin["config"]["schedule"]["num_steps"] == 3 and origin["made"]["command"] == ["inference.py"]
    assert {"time", "command"} == report["made"].keys() and "no manifest" not in out
    assert "trained_steps: 7" in (tmp_path / "images_report" / "report.md").read_text()
    code, out, _ = eval_step("--generated", evaluation.generated, "--output", tmp_path / "r", *evaluation.options)
    assert load(tmp_path / "r")["origin"] is None and "note: no manifest lies beside the images" in out


def grey_finals(folder):
    for path in folder.glob("*.png"):
        Image.new("RGB", (48, 64), "grey").save(path)


def lose(*names):
    def spoil(folder):
        for path in [path for name in names for path in folder.glob(name)][:1]:
            path.unlink()

    return spoil


def add_step(folder):
    shutil.copytree(folder / "step_02", folder / "step_03")


def add_image(folder):
    shutil.copy(next(folder.glob("*.png")), folder / "stranger.png")


@pytest.mark.parametrize(
    ("manifest", "spoil", "options", "said"),
    [
        ({}, grey_finals, (), "is not the image of the last step"),
        ({}, lose("*.png"), (), "lacks 1 of the 12 images"),
        ({}, lose("step_01/*.png"), (), "step_01 lacks 1 of the 12 images"),
        ({}, add_step, (), "step_03 is not in manifest.json"),
        ({}, add_image, (), "stranger.png is not in manifest.json"),
        ({"steps": []}, None, (), "step_00 is not in manifest.json"),
        ({"run": "other"}, None, (), "are of run other, --name is x"),
        ({}, None, ("schedule.num_steps=4",), "schedule.num_steps: 3 there, 4 here"),
        ({"names": 5}, None, (), "manifest.json is damaged (names"),
    ],
)
def test_images_that_do_not_agree_with_their_manifest_are_refused(
    evaluation, eval_step, tmp_path, manifest, spoil, options, said
):
    folder = copy_of(evaluation, tmp_path / "images", **manifest)
    if spoil:
        spoil(folder)
    code, _, error = eval_step("--generated", folder, *evaluation.options, *options)
    assert code == 2 and said in error and not (tmp_path / "images_report").exists()


def test_steps_of_another_run_are_seen_without_a_manifest_too(evaluation, eval_step, tmp_path):
    shutil.copytree(evaluation.generated, tmp_path / "images")
    grey_finals(tmp_path / "images")
    code, _, error = eval_step("--generated", tmp_path / "images", *evaluation.options)
    assert code == 2 and "two runs are mixed" in error


def test_keypoints_of_a_part_of_the_images_are_enough(evaluation, eval_step, tmp_path):
    shutil.copytree(evaluation.root, tmp_path / "data")
    for path in sorted((tmp_path / "data" / "pose").rglob("*.txt"))[::2]:
        path.unlink()
    options = [option for option in evaluation.options if not option.startswith("data.root")]
    data = f"data.root={tmp_path / 'data'}"
    code, _, error = eval_step("--generated", evaluation.generated, "--output", tmp_path / "r", *options, data)
    assert code == 0, error
    assert load(tmp_path / "r")["steps"][2]["face_ssim"] > 0.9
    rows = list(csv.DictReader((tmp_path / "r" / "per_image.csv").open()))
    assert {bool(row["face_ssim"]) for row in rows if row["track"] == "step_02"} == {True, False}


def test_a_full_disk_keeps_the_old_report_and_shows_the_numbers(score, folders, monkeypatch):
    assert score("--output", folders / "report")[0] == 0
    before = {path: path.read_bytes() for path in (folders / "report").iterdir()}

    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, out, error = score("--output", folders / "report")
    assert code == 2 and "report.json cannot be written (No space left on device)" in error and "0.9" in out
    assert {path: path.read_bytes() for path in (folders / "report").iterdir()} == before


def test_two_methods_side_by_side_have_a_report_each(folders, eval_step):
    shutil.copytree(folders / "fake", folders / "other")
    for name in ("fake", "other"):
        assert eval_step("--generated", folders / name, "--ground_truth", folders / "truth")[0] == 0
        assert load(folders / f"{name}_report")["name"] == name


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_bytes(b"PK\x03\x04\xff"), "stats.npz is no list of images"),
        (lambda path: None, "stats.npz does not exist"),
        (lambda path: path.mkdir(), "stats.npz holds no images"),
    ],
)
def test_reals_that_are_none_are_named(score, folders, make, said):
    make(folders / "stats.npz")
    code, _, error = score("--real", folders / "stats.npz")
    assert code == 2 and said in error


def test_names_without_partner_are_cut_in_the_report_and_whole_in_a_file(score, folders):
    for index in range(50):
        shutil.copy(folders / "fake" / "0.png", folders / "fake" / f"extra_{index:02d}.png")
    assert score("--output", folders / "report")[0] == 0
    text = (folders / "report" / "report.md").read_text()
    assert "Generated only (50)" in text and "extra_19" in text and "extra_20" not in text
    assert (folders / "report" / "unmatched.txt").read_text().count("generated_only\textra_") == 50


def test_the_share_of_canvas_is_said(low_resolution, eval_step):
    report, out = low_resolution_scores(eval_step, low_resolution, "plain", "dptn")
    assert report["canvas_share"] == pytest.approx(80 / 256) and "31 % of the pixels behind SSIM" in out
    small = low_resolution / "small"
    for name in ("truth", "plain"):
        (small / name).mkdir(parents=True)
        for path in (low_resolution / "plain").iterdir():
            with Image.open(path) as image:
                image.resize((44, 64)).save(small / name / path.name)
    report, out = low_resolution_scores(eval_step, small, "plain", "dptn")
    assert report["canvas_share"] == pytest.approx(1 - 44 * 64 / 256**2) and "96 % of the pixels" in out


def test_the_offline_protocol_scores_sets_and_persons_without_a_download(evaluation, eval_step, tmp_path):
    arguments = ["--generated", evaluation.generated, "--protocol", "offline", *evaluation.options]
    code, out, error = eval_step(*arguments, "--output", tmp_path / "report")
    assert code == 0, error
    report = load(tmp_path / "report")
    assert report["missing"] == [] and "fid" not in report["steps"][2] and "fd_lite0" in out
    distances = [step["fd_lite0"] for step in report["steps"]]
    assert distances[0] > distances[2] > 0 and report["steps"][0]["at_level"]["fd_lite0"] < distances[0]
    # each view of these persons is another picture: the source alone is found, in the gallery itself
    assert 0 <= report["steps"][2]["recall_1"] < report["copy_source"]["recall_1"] == 1
    assert report["reals"]["gallery"] == "12 images of 3 persons" and report["ceiling"]["recall_5"] == 1
    assert "ground truth" in out and "the ground truth itself" in (tmp_path / "report" / "report.md").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    assert all(text in page for text in ("fd_lite0", "own person nearest", "spectral distance"))


def test_several_methods_are_scored_into_one_table(folders, eval_step):
    shutil.copytree(folders / "truth", folders / "perfect")
    methods = ["--methods", folders / "fake", folders / "perfect", "--ground_truth", folders / "truth"]
    code, out, error = eval_step(*methods, "--output", folders / "reports")
    assert code == 0, error
    for name in ("fake", "perfect"):
        assert load(folders / "reports" / name)["name"] == name
    first, second = csv.DictReader((folders / "reports" / "methods.csv").open())
    assert (first["method"], second["method"], first["pairs"]) == ("perfect", "fake", "4")
    assert float(second["ssim_low"]) < float(second["ssim"]) < float(second["ssim_high"]) < float(first["ssim"])
    page = (folders / "reports" / "methods.html").read_text()
    assert (
        not re.search(r'(?:src|href)="(?!data:)|url\(|@import', page)
        and "perfect" in page
        and "| perfect | 4 |" in (folders / "reports" / "methods.md").read_text()
    )
    assert str(folders / "reports" / "methods.html") in out


def test_methods_of_one_folder_name_are_told_apart_and_other_pairs_are_said(folders, eval_step):
    for name in ("a", "b"):
        shutil.copytree(folders / "fake", folders / name / "images")
    (folders / "b" / "images" / "3.png").unlink()
    methods = [folders / name / "images" for name in ("a", "b")]
    code, _, error = eval_step("--methods", *methods, "--ground_truth", folders / "truth", "--output", folders / "r")
    assert code == 0, error
    assert "The numbers of pairs differ" in (folders / "r" / "methods.html").read_text()
    assert len(list((folders / "r").glob("*/report.json"))) == 2


def test_two_reports_in_one_folder_keep_their_own_images(folders, eval_step):
    shutil.copytree(folders / "truth", folders / "perfect")
    for name in ("fake", "perfect"):
        arguments = ["--generated", folders / name, "--ground_truth", folders / "truth"]
        assert eval_step(*arguments, "--output", folders / "reports" / f"{name}.json")[0] == 0
    for name, is_one in (("fake", False), ("perfect", True)):
        rows = list(csv.DictReader(rows_path(folders / "reports" / f"{name}.json").open()))
        assert len(rows) == 4 and all((float(row["ssim"]) == 1) == is_one for row in rows)
    assert len(list((folders / "reports").glob("*unmatched.txt"))) == 2


def test_a_place_that_takes_no_report_is_named_before_anything_is_scored(score, folders):
    (folders / "file").touch()
    code, out, error = score("--output", folders / "file")
    assert code == 2 and "file/report.json cannot be written (" in error and "ssim" not in out


def test_methods_are_all_looked_at_before_one_is_scored(folders, eval_step):
    methods = ["--methods", folders / "fake", folders / "nowhere", "--ground_truth", folders / "truth"]
    code, out, error = eval_step(*methods, "--output", folders / "reports")
    assert code == 2 and "nowhere does not exist" in error and "ssim" not in out


def test_images_of_one_person_alone_have_no_intervals_and_it_is_said(score, folders):
    for name in ("fake", "truth"):
        for index, view in enumerate(("1_front", "2_side", "3_back", "4_full")):
            (folders / name / f"{index}.png").rename(folders / name / f"WOMEN-Dresses-id_00000002-02_{view}.png")
    code, out, _ = score("--output", folders / "report")
    assert code == 0 and "all images are of one person: there are no intervals" in out
    assert load(folders / "report")["steps"][0]["intervals"] == {}
