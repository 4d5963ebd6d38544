"""Other tools' keypoints, own photos, and hostile files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.detectors import find_pose, load_network
from data.importers import (
    read_annotation_csv,
    read_coco_json,
    read_mediapipe_json,
    read_openpose_json,
    read_pairs_csv,
    reorder,
)
from data.openpose import pose_file, read_keypoints
from data.photos import PHOTO_SIZE, crop_person
from data.pose import to_image_frame
from images.joints import JOINTS
from images.skeleton import draw_over
from scripts import extract_pose, import_poses, make_pairs
from tests.data.conftest import run_script, standing

# the orders as their makers list them
COCO = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]
BODY_25 = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "mid_hip",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
]
MEDIAPIPE = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
]


def points(names: list[str], scale: tuple[float, float] = (1, 1)) -> np.ndarray:
    """(n, 3) in that order: joint i of OpenPose-18 at (10 i + 5, 7 i + 3), others far off."""
    rows = [(10 * JOINTS.index(n) + 5, 7 * JOINTS.index(n) + 3, 0.9) if n in JOINTS else (999, 999, 0.9) for n in names]
    return np.array(rows) / (*scale, 1)


def expected(has_neck: bool) -> np.ndarray:
    joints = np.stack([10 * np.arange(18.0) + 5, 7 * np.arange(18.0) + 3], axis=1)
    if not has_neck:
        joints[1] = (joints[2] + joints[5]) / 2
    return joints


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_openpose_body_25_and_18_are_read_and_the_surest_person_wins(tmp_path: Path) -> None:
    for names, order in ((BODY_25, "25"), (list(JOINTS), "18")):
        sure, unsure = points(names), points(names)[::-1] * (1, 1, 0.1)
        people = [{"pose_keypoints_2d": person.ravel().tolist()} for person in (unsure, sure)]
        joints = read_openpose_json(write(tmp_path / f"{order}.json", {"people": people}))
        np.testing.assert_allclose(joints, expected(True))


def test_coco_results_and_annotations_are_read(tmp_path: Path) -> None:
    annotation = {"image_id": 7, "keypoints": points(COCO).ravel().tolist()}
    results = read_coco_json(write(tmp_path / "results.json", [annotation]))
    np.testing.assert_allclose(results["7"], expected(False))
    whole = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [annotation]}
    assert list(read_coco_json(write(tmp_path / "whole.json", whole))) == ["a.jpg"]


def test_mediapipe_landmarks_are_read(tmp_path: Path) -> None:
    marks = [{"x": x, "y": y, "visibility": v} for x, y, v in points(MEDIAPIPE, (640, 480))]
    for content in (marks, {"pose_landmarks": [marks]}, {"landmarks": marks}):
        joints = read_mediapipe_json(write(tmp_path / "a.json", content), (480, 640))
        np.testing.assert_allclose(joints, expected(False))


def test_annotation_csv_of_the_field_is_read(tmp_path: Path) -> None:
    y, x = list(range(18)), [*range(20, 37), -1]
    text = f"name:keypoints_y:keypoints_x\n0002_c1s1.jpg: {y}: {x}\n"
    joints = read_annotation_csv(write(tmp_path / "a.csv", text))["0002_c1s1.jpg"]
    assert joints[3].tolist() == [23, 3] and np.isnan(joints[17]).all()


def test_joints_below_the_threshold_are_missing_and_so_is_their_neck() -> None:
    unsure = points(COCO)
    unsure[COCO.index("left_shoulder"), 2] = 0.2
    joints = reorder(unsure, [None if n == "neck" else COCO.index(n) for n in JOINTS], threshold=0.3)
    assert np.isnan(joints[[1, 5]]).all() and np.isfinite(np.delete(joints, [1, 5], axis=0)).all()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "3", '{"people": 3}', '{"people": [{}]}', "[" * 10_000,
                                  '{"people": [{"pose_keypoints_2d": [1, 2]}]}', '[{"image_id": [], "keypoints": []}]',
                                  '{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}', "a:b:c", "a.jpg:[1]:[2]",
                                  "../a.jpg:[" + ",".join("1" * 18) + "]:[" + ",".join("1" * 18) + "]"])  # fmt: skip
@pytest.mark.parametrize("read", [
    read_openpose_json, read_coco_json, lambda path: read_mediapipe_json(path, (4, 4)), read_annotation_csv,
    read_pairs_csv])  # fmt: skip
def test_malformed_files_are_one_line_that_names_them(tmp_path: Path, read: Callable, text: str) -> None:
    path = write(tmp_path / "bad.json", text)
    try:
        read(path)
    except ValueError as error:
        assert "bad.json" in str(error) and "\n" not in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["people", "pose_keypoints_2d", "annotations", "images", "id", "image_id", "keypoints", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON)
def test_any_json_is_read_or_refused(tmp_path: Path, content: object) -> None:
    path = write(tmp_path / "fuzz.json", content)
    for read in (read_openpose_json, read_coco_json, lambda path: read_mediapipe_json(path, (4, 4))):
        try:
            read(path)
        except ValueError as error:
            assert "fuzz.json" in str(error)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200) | st.text("0123456789.-+einfa \n,:[]jpg/", max_size=200).map(str.encode))
def test_any_bytes_as_keypoints_or_csv_are_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "fuzz.txt"
    path.write_bytes(raw)
    for read in (read_keypoints, read_annotation_csv, read_pairs_csv):
        try:
            read(path)
        except ValueError as error:
            assert "fuzz.txt" in str(error) and "\n" not in str(error)


def photo_with_marks(size: tuple[int, int], joints: np.ndarray) -> Image.Image:
    """A grey photo with a 9-pixel black square on every joint."""
    image = np.full((*size, 3), 128, np.uint8)
    for x, y in joints.astype(int):
        image[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5] = 0
    return Image.fromarray(image)


@pytest.mark.parametrize("size", [(900, 1400), (1600, 700), (500, 500)])
def test_joints_move_along_when_a_person_is_cropped(size: tuple[int, int]) -> None:
    joints = (standing() - (40, 0)) * (size[1] / 400, size[0] / 300) + (size[1] / 4, 0)
    cropped, moved = crop_person(photo_with_marks(size, joints), joints)
    pixels = np.array(cropped)[..., 0]
    assert pixels.shape == PHOTO_SIZE
    assert all(pixels[int(y), int(x)] < 40 for x, y in moved)


def test_what_lies_beyond_the_photo_is_white() -> None:
    cropped, _ = crop_person(Image.new("RGB", (100, 400)), np.full((18, 2), np.nan))
    pixels = np.array(cropped)
    assert (pixels[:, :5] == 255).all() and (pixels[:, -5:] == 255).all() and (pixels[:, 375] == 0).all()


def test_overlay_draws_on_a_copy() -> None:
    image = np.zeros((256, 176, 3), np.uint8)
    joints = standing() - (40, 0)
    joints[3] = np.nan
    joints[4] = (1e9, 5)
    assert draw_over(image.copy(), joints).any() and not image.any()


def test_photos_and_poses_of_openpose_become_a_dataset(tmp_path: Path) -> None:
    joints = (standing() - (40, 0)) * 3
    (tmp_path / "photos").mkdir()
    for name in ("ann", "bob"):
        photo_with_marks((768, 528), joints).save(tmp_path / "photos" / f"{name}.jpg")
        rows = np.concatenate([joints, np.ones((18, 1))], axis=1).ravel().tolist()
        write(tmp_path / f"{name}_keypoints.json", {"people": [{"pose_keypoints_2d": rows}]})
    files = sorted(tmp_path.glob("*.json"))
    out = tmp_path / "out"
    arguments = ["--format", "openpose", *files, "--images", tmp_path / "photos", "--output", out]
    assert run_script(import_poses.main, *arguments) == 0
    assert (out / "overlay" / "ann.png").is_file()
    read = to_image_frame(read_keypoints(pose_file(out, "img/ann.png")), PHOTO_SIZE)
    pixels = np.array(Image.open(out / "img" / "ann.png"))[..., 0]
    assert all(pixels[int(y), int(x)] < 40 for x, y in read)
    assert run_script(make_pairs.main, "--root", out, "--every") == 0
    assert (out / "test_pairs.txt").read_text() == "img/bob.png,img/ann.png\nimg/ann.png,img/bob.png\n"


def test_market_files_become_poses_and_pairs(tmp_path: Path) -> None:
    row = f"{list(range(18))}"
    write(tmp_path / "a.csv", f"name:keypoints_y:keypoints_x\n0002_c1.jpg:{row}:{row}\n0002_c2.jpg:{row}:{row}\n")
    write(tmp_path / "p.csv", "from,to\n0002_c1.jpg,0002_c2.jpg\n")
    assert run_script(import_poses.main, "--format", "csv", tmp_path / "a.csv", "--output", tmp_path) == 0
    assert read_keypoints(pose_file(tmp_path, "img/0002_c1.jpg"))[7].tolist() == [7, 7]
    assert run_script(make_pairs.main, "--root", tmp_path, "--csv", tmp_path / "p.csv") == 0
    assert (tmp_path / "train_pairs.txt").read_text() == "img/0002_c2.jpg,img/0002_c1.jpg\n"


def test_pairs_of_any_dataset_keep_people_apart(tree: Path) -> None:
    for name in ("train_pairs.txt", "test_pairs.txt"):
        (tree / name).unlink()
    assert run_script(make_pairs.main, "--root", tree, "--test_every", 3) == 0
    train, test = ((tree / f"{split}_pairs.txt").read_text().splitlines() for split in ("train", "test"))
    assert len(train) == 6 and all(line.count(",") == 2 for line in train)
    assert len(test) == 6 and all(line.count(",") == 1 and "id_00000001" in line for line in test)
    with pytest.raises(ValueError, match="exists; give --overwrite"):
        run_script(make_pairs.main, "--root", tree)


def test_without_weights_extract_pose_says_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(
        "torch.hub.download_url_to_file", lambda *args, **options: (_ for _ in ()).throw(OSError("offline"))
    )
    with pytest.raises(ValueError, match=r"download https://\S+keypointrcnn\S+ and put it at .*checkpoints"):
        load_network("cpu")


def test_the_surest_person_is_found_in_full_size_pixels() -> None:
    import torch

    def network(images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert max(images[0].shape) == 1600
        found = torch.tensor(points(COCO)).float()
        return [{"scores": torch.tensor([0.9]), "keypoints": found[None], "keypoints_scores": torch.full((1, 17), 5.0)}]

    joints = find_pose(network, Image.new("RGB", (3200, 1600)), 2.0, 0.7, "cpu")
    assert joints is not None
    np.testing.assert_allclose(joints, 2 * expected(False))


def test_photos_of_one_name_or_of_none_are_refused_before_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_pose, "load_network", lambda device: pytest.fail("weights were asked for"))
    photos = [tmp_path / "a" / "me.jpg", tmp_path / "b" / "me.png"]
    for photo in photos:
        photo.parent.mkdir()
        photo.touch()
    with pytest.raises(ValueError, match="rename one"):
        run_script(extract_pose.main, *photos, "--output", tmp_path / "out")
    with pytest.raises(ValueError, match=r"none\.jpg does not exist"):
        run_script(extract_pose.main, photos[0], tmp_path / "none.jpg", "--output", tmp_path / "out")


def openpose(joints: np.ndarray) -> dict[str, object]:
    return {"people": [{"pose_keypoints_2d": np.c_[joints, np.ones(18)].ravel().tolist()}]}


NOBODY = [{"people": []}, {"people": None}, [{"people": [None]}], {"people": [{"pose_keypoints_2d": None}]},
          {"people": [{"pose_keypoints_2d": []}]}, {"people": [{"pose_keypoints_2d": [5, 5, 0] * 18}]},
          {"people": [{"pose_keypoints_2d": [None] * 54}]}]  # fmt: skip


@pytest.mark.parametrize("content", NOBODY)
def test_an_openpose_file_without_a_person_is_no_pose(tmp_path: Path, content: object) -> None:
    write(tmp_path / "b.json", openpose(standing()))
    write(tmp_path / "a.json", content)
    arguments = ["--format", "openpose", tmp_path / "b.json", tmp_path / "a.json", "--output", tmp_path / "out"]
    with pytest.raises(ValueError, match=r"a\.json has no person"):
        run_script(import_poses.main, *arguments, "--frame", "256-256")
    assert not (tmp_path / "out").exists()
    for nobody in ([], None, {"pose_landmarks": []}, {"pose_landmarks": None}):
        with pytest.raises(ValueError, match=r"a\.json has no person"):
            read_mediapipe_json(write(tmp_path / "a.json", nobody), (4, 4))


@pytest.mark.parametrize("shares", [False, True])
def test_a_pose_editors_file_is_read_with_its_canvas(tmp_path: Path, shares: bool) -> None:
    """A list at the top, null for what is missing, and pixels or shares of a canvas of twice the size."""
    joints = (standing() - (40, 0)) * 2
    rows = np.c_[joints / (352, 512) if shares else joints, np.ones(18)].tolist()
    rows[17] = [None, None, None]
    person = {"pose_keypoints_2d": [value for row in rows for value in row], "face_keypoints_2d": None}
    file = write(tmp_path / "a.json", [{"canvas_width": 352, "canvas_height": 512, "people": [None, person]}])
    assert run_script(import_poses.main, "--format", "openpose", file, "--output", tmp_path) == 0
    read = read_keypoints(pose_file(tmp_path, "img/a.jpg"))
    np.testing.assert_allclose(read[:17], standing()[:17], atol=1e-3)
    assert np.isnan(read[17]).all()


@pytest.mark.parametrize("number", [7, 7.0, "7", "000000000007"])
def test_coco_ids_are_one_however_they_are_written(tmp_path: Path, number: object) -> None:
    annotation = {"image_id": number, "keypoints": points(COCO).ravel().tolist()}
    whole = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [annotation, {"image_id": 8, "bbox": [1]}]}
    assert list(read_coco_json(write(tmp_path / "whole.json", whole))) == ["a.jpg"]
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (400, 400)).save(tmp_path / "photos" / "000000000007.JPG")
    results = write(tmp_path / "results.json", [annotation])
    arguments = ["--format", "coco", results, "--images", tmp_path / "photos", "--output", tmp_path / "out"]
    assert run_script(import_poses.main, *arguments) == 0
    assert (tmp_path / "out" / "img" / "000000000007.png").is_file()


def test_sizes_that_a_coco_file_names_are_the_frame(tmp_path: Path) -> None:
    order = [JOINTS.index(name) for name in COCO]
    keypoints = np.c_[((standing() - (40, 0)) * 3)[order], np.full(17, 2)].ravel().tolist()
    whole = {"images": [{"id": 1, "file_name": "a.jpg", "height": 768, "width": 528}],
             "annotations": [{"image_id": 1, "keypoints": keypoints}]}  # fmt: skip
    assert (
        run_script(import_poses.main, "--format", "coco", write(tmp_path / "a.json", whole), "--output", tmp_path) == 0
    )
    read = read_keypoints(pose_file(tmp_path, "img/a.jpg"))
    np.testing.assert_allclose(np.delete(read, 1, axis=0), np.delete(standing(), 1, axis=0), atol=1e-3)


@pytest.mark.parametrize("text", ["from,to\n{0},{1}\n", "\ufefffrom, to\r\n{0}, {1}\r\n", "{0};{1}\n",
                                  ",from,to\n0,{0},{1}\n", "to,from\n{1},{0}\n", '"from","to"\n"{0}","{1}"\n',
                                  "From\tTo\r{0}\t{1}\r"])  # fmt: skip
def test_pair_files_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(text.format("a.jpg", "b.jpg").encode())
    assert read_pairs_csv(path) == [("a.jpg", "b.jpg")]


def test_a_photo_that_is_missing_or_damaged_leaves_nothing_half_written(tmp_path: Path) -> None:
    photos, row = tmp_path / "photos", [*range(20, 38)]
    photos.mkdir()
    Image.new("RGB", (60, 60)).save(photos / "a.jpg")
    write(tmp_path / "a.csv", "".join(f"{name}.jpg:{row}:{row}\n" for name in "ab"))
    arguments = ["--format", "csv", tmp_path / "a.csv", "--images", photos, "--output", tmp_path / "out"]
    with pytest.raises(ValueError, match=r"has no image b\.jpg; add it, or leave"):
        run_script(import_poses.main, *arguments)
    # a head that tells the size, and half of the pixels
    Image.effect_noise((60, 60), 90).save(photos / "b.jpg", quality=95)
    (photos / "b.jpg").write_bytes((photos / "b.jpg").read_bytes()[:-1500])
    assert Image.open(photos / "b.jpg").size == (60, 60)
    with pytest.raises(ValueError, match=r"b\.jpg is damaged"):
        run_script(import_poses.main, *arguments)
    assert not (tmp_path / "out").exists()


def test_two_files_of_one_photo_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.json", openpose(standing()))
    write(tmp_path / "a_keypoints.json", openpose(standing() + 3))
    files = [tmp_path / "a.json", tmp_path / "a_keypoints.json"]
    with pytest.raises(ValueError, match=r"a second pose of image a\.jpg"):
        run_script(
            import_poses.main, "--format", "openpose", *files, "--output", tmp_path / "out", "--frame", "256-256"
        )


def test_joints_that_are_no_pixels_of_the_photo_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (176, 256)).save(tmp_path / "a.png")
    for joints, complaint in ((standing() * 9, "lie outside"), (standing() / 300, "between 0 and 1")):
        write(tmp_path / "a.json", openpose(joints))
        arguments = ["--format", "openpose", tmp_path / "a.json", "--images", tmp_path, "--output", tmp_path / "out"]
        with pytest.raises(ValueError, match=rf"a\.png: .*{complaint}"):
            run_script(import_poses.main, *arguments)
    assert run_script(import_poses.main, *arguments, "--frame", "1-1") == 0


def test_a_list_without_a_line_is_no_success(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "name:keypoints_y:keypoints_x\n")
    with pytest.raises(ValueError, match=r"a\.csv holds no keypoints"):
        run_script(import_poses.main, "--format", "csv", file, "--output", tmp_path / "out")
