"""Own data of a few photographs: pairs where the names give some, and a true reason where they give none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.openpose import pose_file, write_keypoints
from data.pairs import read_pairs
from scripts import check_data, make_pairs
from tests.data.conftest import run_script, standing
from tests.data.test_names import pairs_of, prepare, write_images
from tests.tiny import pair_dataset


def make(root: Path, *options: object) -> int:
    return run_script(make_pairs.main, "--root", root, "--overwrite", *options)


def test_three_photographs_of_one_person_are_all_for_training_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    root = write_images(tmp_path, [f"img/ann_{view}.jpg" for view in (1, 2, 3)])
    assert make(root) == 0
    assert len(pairs_of(read_pairs(root / "train_pairs.txt"))) == 6
    assert f"{root / 'train_pairs.txt'}: 3 lines, 6 pairs of 1 people" in caplog.text
    assert f"{root / 'test_pairs.txt'} is not written: there are no pairs for it" in caplog.text
    assert not (root / "test_pairs.txt").exists()
    assert prepare(root) == 0 and run_script(check_data.main, "--root", root, "--output", tmp_path / "s.png") == 0
    assert len(pair_dataset(root, "train", (16, 12), "joints")) == 3


def test_of_two_people_one_trains_and_one_tests(tmp_path: Path) -> None:
    root = write_images(tmp_path, [f"img/{person}/{view}.jpg" for person in ("ann", "bob") for view in ("a", "b")])
    assert make(root) == 0
    train, test = (pairs_of(read_pairs(root / f"{split}_pairs.txt")) for split in ("train", "test"))
    assert len(train) == len(test) == 2 and not train & test


def test_people_without_a_pair_do_not_use_up_the_test_set(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["img/ann_1.jpg", "img/bob_1.jpg", "img/bob_2.jpg", "img/eve_1.jpg", "img/eve_2.jpg"])
    assert make(root) == 0
    assert {target for target, _ in pairs_of(read_pairs(root / "test_pairs.txt"))} == {"img/bob_1.jpg", "img/bob_2.jpg"}
    assert {target for target, _ in pairs_of(read_pairs(root / "train_pairs.txt"))} == {
        "img/eve_1.jpg",
        "img/eve_2.jpg",
    }


@pytest.mark.parametrize(
    "names", [["img/ann.jpg"], ["img/ann.jpg", "img/bob.jpg", "img/eve.jpg"], ["img/IMG_1.jpg", "img/IMG_2.jpg"]]
)
def test_no_pair_has_a_true_reason_and_leaves_no_file(tmp_path: Path, names: list[str]) -> None:
    root = write_images(tmp_path, names)
    reason = (
        f"no pairs: of {len(names)} images {len(names)} have keypoints and {len(names)} of these show both shoulders"
    )
    with pytest.raises(ValueError, match=f"{reason}.*no two of one person and outfit.*--every"):
        make(root)
    assert not list(root.glob("*_pairs.txt"))
    if len(names) > 1:
        assert make(root, "--every") == 0
        assert prepare(root) == 0
    else:
        with pytest.raises(ValueError, match=r"holds one image, img/ann\.jpg: a pair needs two"):
            make(root, "--every")


def test_torsos_and_keypoints_that_are_missing_are_the_reason(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["img/ann_1.jpg", "img/ann_2.jpg"])
    joints = standing()
    joints[8] = np.nan
    write_keypoints(pose_file(root, "img/ann_1.jpg"), joints)
    with pytest.raises(ValueError, match=r"of 2 images 2 have keypoints and 1 of these show both shoulders and hips"):
        make(root)
    for name in ("ann_1", "ann_2"):
        (root / "pose" / f"{name}.txt").unlink()
    with pytest.raises(ValueError, match=r"none of the 2 images has a keypoint file in .*pose; make them with"):
        make(root)


@pytest.mark.parametrize(
    ("files", "written"),
    [
        (["market-pairs-test.csv"], ["test"]),
        (["market-pairs-train.csv"], ["train"]),
        (["market-pairs-test.csv", "market-pairs-train.csv"], ["test", "train"]),
        (["a.csv", "b.csv"], ["train", "test"]),
        (["a.csv"], ["train"]),
    ],
)
def test_a_pair_file_is_for_the_split_of_its_name(tmp_path: Path, files: list[str], written: list[str]) -> None:
    for number, file in enumerate(files, 1):
        (tmp_path / file).write_text(f"from,to\n000{number}_c1.jpg,000{number}_c2.jpg\n")
    assert make(tmp_path, "--csv", *(tmp_path / file for file in files)) == 0
    assert {path.name for path in tmp_path.glob("*_pairs.txt")} == {f"{split}_pairs.txt" for split in written}
    for number, split in enumerate(written, 1):
        assert pairs_of(read_pairs(tmp_path / f"{split}_pairs.txt")) == {
            (f"img/000{number}_c2.jpg", f"img/000{number}_c1.jpg")
        }


@pytest.mark.parametrize("files", [["test_a.csv", "test_b.csv"], ["a.csv", "b.csv", "c.csv"]])
def test_two_pair_files_of_one_split_are_refused(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).write_text("from,to\n0001_c1.jpg,0001_c2.jpg\n")
    with pytest.raises(ValueError, match=r"--csv: .* would both be for"):
        make(tmp_path, "--csv", *(tmp_path / file for file in files))
    assert not list(tmp_path.glob("*_pairs.txt"))


def test_lists_decide_the_split_and_an_empty_one_is_told(tmp_path: Path) -> None:
    names = [f"img/ann_{view}.jpg" for view in (1, 2)]
    root = write_images(tmp_path, [*names, "img/bob_1.jpg"])
    (root / "train.lst").write_text("".join(f"{name}\n" for name in names))
    (root / "test.lst").write_text("img/bob_1.jpg\n")
    assert make(root) == 0
    assert (root / "train_pairs.txt").exists() and not (root / "test_pairs.txt").exists()


def test_lists_decide_who_is_paired_with_whom(tmp_path: Path) -> None:
    root = write_images(tmp_path, [f"img/{person}_{view}.jpg" for person in ("ann", "bob") for view in (1, 2)])
    (root / "train.lst").write_text("img/ann_1.jpg\nimg/ann_2.jpg\n")
    (root / "test.lst").write_text("img/bob_1.jpg\nimg/bob_2.jpg\n")
    assert make(root) == 0
    for split, person in (("train", "ann"), ("test", "bob")):
        targets = {target for target, _ in pairs_of(read_pairs(root / f"{split}_pairs.txt"))}
        assert targets == {f"img/{person}_{view}.jpg" for view in (1, 2)}


def test_empty_files_of_an_earlier_command_do_not_stop_the_next(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["img/ann_1.jpg", "img/ann_2.jpg"])
    assert make(root) == 0
    (root / "test_pairs.txt").write_text("")
    (root / "test.lst").write_text("\n")
    assert prepare(root) == 0 and run_script(check_data.main, "--root", root, "--output", tmp_path / "s.png") == 0
    assert make(root) == 0
