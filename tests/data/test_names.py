"""Names of every form, through the commands: people are kept apart, and nothing is found out too late."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.lists import other_names
from data.openpose import pose_file, write_keypoints
from data.pairs import (
    PairLine,
    across_people,
    build_pairs,
    check_distinct,
    check_name,
    output_name,
    read_list,
    read_pairs,
    store_key,
    write_pairs,
)  # fmt: skip
from data.store import ImageStore
from scripts import check_data, make_pairs, prepare_data
from tests.data.conftest import run_script, standing
from tests.tiny import pair_dataset

JACKETS = "img/fashionMENJackets_Vestsid"
# two people whose flat names agree up to the first underscore, and one image of a second outfit of the first
FLAT = [f"{JACKETS}0000000101_1front.jpg", f"{JACKETS}0000000101_3back.jpg",
        f"{JACKETS}0000000201_1front.jpg", f"{JACKETS}0000000201_3back.jpg",
        f"{JACKETS}0000000102_1front.jpg"]  # fmt: skip
NESTED = [
    f"img/MEN/Jackets_Vests/id_0000000{person}/01_{view}.jpg" for person in (1, 2) for view in ("1_front", "3_back")
]


def write_images(root: Path, names: Iterable[str]) -> Path:
    """Small images that differ, with standing people."""
    for index, name in enumerate(names):
        for path in (root / name, pose_file(root, name)):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((22, 15, 3), index, np.uint8)).save(root / name)
        write_keypoints(pose_file(root, name), standing())
    return root


def pairs_of(lines: Iterable[PairLine]) -> set[tuple[str, str]]:
    return {(line.target, source) for line in lines for source in line.sources}


def prepare(root: Path, *options: object) -> int:
    arguments = ["--root", root, "--output", root, "--size", "16-12", "--workers", 1, *options]
    return run_script(prepare_data.main, *arguments)


def test_flat_names_pair_one_person_in_one_outfit(tmp_path: Path) -> None:
    root = write_images(tmp_path, FLAT)
    assert run_script(make_pairs.main, "--root", root) == 0
    pairs = pairs_of(read_pairs(root / "train_pairs.txt")) | pairs_of(read_pairs(root / "test_pairs.txt"))
    assert pairs == {(FLAT[0], FLAT[1]), (FLAT[1], FLAT[0]), (FLAT[2], FLAT[3]), (FLAT[3], FLAT[2])}
    joints = dict.fromkeys(FLAT + NESTED, standing())
    assert not across_people(build_pairs(joints))


def test_pairs_of_two_people_stop_every_command_unless_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(tmp_path, FLAT)
    write_pairs(root / "train_pairs.txt", [PairLine(FLAT[0], (FLAT[1], FLAT[2]))])
    sheet = ["--output", tmp_path / "sheet.png"]
    assert run_script(check_data.main, "--root", root, *sheet) == 1
    assert f"1 train pairs join two people: {FLAT[0]} with {FLAT[2]}" in capsys.readouterr().out
    assert run_script(check_data.main, "--root", root, "--across_people", *sheet) == 0
    with pytest.raises(ValueError, match=r"1 pairs join two people.*--across_people"):
        prepare(root)
    assert prepare(root, "--across_people") == 0
    (tmp_path / "train.csv").write_text(f"from,to\n{Path(FLAT[2]).name},{Path(FLAT[0]).name}\n")
    csv = ["--root", root, "--overwrite", "--csv", tmp_path / "train.csv"]
    with pytest.raises(ValueError, match=r"1 train pairs join two people.*--across_people"):
        run_script(make_pairs.main, *csv)
    assert run_script(make_pairs.main, *csv, "--across_people") == 0


def test_a_flat_list_beside_nested_images_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_images(tmp_path, NESTED)
    assert run_script(make_pairs.main, "--root", root) == 0
    flat = f"fashion{NESTED[0].removeprefix('img/').replace('/', '').replace('id_', 'id').replace('1_1_', '1_1')}"
    (root / "train.lst").write_text(f"{flat}\n")
    assert run_script(check_data.main, "--root", root, "--output", tmp_path / "sheet.png") == 1
    assert f"{flat} (there as {NESTED[0]})" in capsys.readouterr().out
    for command in (lambda: prepare(root), lambda: run_script(make_pairs.main, "--root", root, "--overwrite")):
        with pytest.raises(ValueError, match=r"1 images of the lists lie there under other names.*check_data .*--fix"):
            command()
    assert not list(root.glob("16-12*"))


@pytest.mark.parametrize(
    "names", [("img/a.jpg", "img/a.png"), ("img/a-b.jpg", "img/a/b.jpg"), ("img/a.JPG", "img/a.jpg")]
)
def test_two_images_of_one_key_or_one_output_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    root = write_images(tmp_path, names)
    with pytest.raises(ValueError, match="would have one name"):
        prepare(root)
    write_pairs(root / "train_pairs.txt", [PairLine(names[0], (names[1],))])
    with pytest.raises(ValueError, match="would have one name"):
        prepare(root)
    with pytest.raises(ValueError, match="would have one name"):
        run_script(make_pairs.main, "--root", root, "--overwrite")
    assert run_script(check_data.main, "--root", root, "--across_people", "--output", tmp_path / "s.png") == 1


def test_an_image_beside_one_in_img_does_not_share_its_keypoints() -> None:
    with pytest.raises(ValueError, match=r"a\.jpg .*would have one name in a store and in pose/"):
        check_distinct(["a.jpg", "img/a.jpg"], "here")


def test_forms_of_one_path_are_one_name(tmp_path: Path) -> None:
    (tmp_path / "train.lst").write_text("./img//a.jpg\nimg/./a.jpg\rimg/a.jpg\r\n")
    assert read_list(tmp_path / "train.lst") == ["img/a.jpg"] * 3


UNUSABLE = ["img/a,b.jpg", "img/a\u00a0b.jpg", "img/\u200ba.jpg", f"img/{'ö' * 126}.jpg",
            "img/" + f"{'d' * 60}/" * 5 + f"{'é' * 99}.jpg"]  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_images_whose_names_a_later_command_cannot_use_are_refused_by_the_first(tmp_path: Path, name: str) -> None:
    try:
        root = write_images(tmp_path, [name])
    except OSError:
        with pytest.raises(ValueError, match="too long"):
            check_name(name, "here")
        return
    for command in (lambda: prepare(root), lambda: run_script(make_pairs.main, "--root", root, "--every")):
        with pytest.raises(ValueError, match=r"rename it|shorter name"):
            command()
    assert not list(root.glob("16-12*"))


def test_the_longest_name_that_is_taken_is_a_key_and_an_output_file(tmp_path: Path) -> None:
    names = [f"img/{'p' * 200}/{letter * 180}_{view}.jpg" for letter in "ab" for view in (1, 2)]
    root = write_images(tmp_path, names)
    assert run_script(make_pairs.main, "--root", root) == 0 and prepare(root) == 0
    assert len(ImageStore(root / "16-12")) == 4
    outputs = {output_name(a, b) for a in names for b in names}
    assert len(outputs) == 16
    for output in outputs:
        (tmp_path / output).touch()


def test_pairs_that_name_two_files_of_one_key_are_refused_at_the_start(tree: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "64-48").symlink_to(root / "64-48")
    (name, *_), (other, *_) = ([line.target, *line.sources] for line in read_pairs(root / "train_pairs.txt")[:2])
    png = store_key(name)
    write_pairs(tmp_path / "train_pairs.txt", [PairLine(name, (other,)), PairLine(png, (other,))])
    with pytest.raises(ValueError, match=f"{name} and {png} would have one name"):
        pair_dataset(tmp_path, "train", (64, 48), "joints")


@pytest.mark.parametrize("read", [read_list, read_pairs])
def test_utf16_lists_are_one_line(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "train.lst").write_text("img/a.jpg,img/b.jpg\n", encoding="utf-16")
    with pytest.raises(ValueError, match="not UTF-8 text; save it as UTF-8"):
        read(tmp_path / "train.lst")


def test_a_name_that_two_files_might_be_is_not_guessed(tmp_path: Path) -> None:
    root = write_images(tmp_path, ["img/a.jpg", "img/a.png", "img/b.jpg"])
    assert other_names(root, ["img/a.webp", "img/b.png", "b.jpg", "img/c.jpg"]) == {
        "img/b.png": "img/b.jpg",
        "b.jpg": "img/b.jpg",
    }


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=5))
def test_any_accepted_name_fits_a_store_a_file_and_a_list(parts: list[str]) -> None:
    try:
        name = check_name(f"img/{'/'.join(parts)}.jpg", "here")
    except ValueError as error:
        assert str(error).startswith("here: ") and len(str(error).splitlines()) == 1
        return
    assert len(store_key(name).encode()) <= 511 and check_name(name, "here") == name
    assert len(output_name(name, name).encode()) <= 255 and "/" not in output_name(name, name)
    assert "," not in name and name == name.strip() and "\n" not in name
