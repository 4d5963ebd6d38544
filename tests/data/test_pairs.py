"""Pairs files, the pair rule and output names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.pairs import PairLine, build_pairs, output_name, read_list, read_pairs, store_key, write_pairs

RECORDED = np.load(Path(__file__).parents[1] / "fixtures" / "pose_recorded.npz")["names"]


@pytest.mark.parametrize(("source", "target", "expected"), RECORDED.tolist())
def test_output_names_are_the_published_ones(source: str, target: str, expected: str) -> None:
    assert output_name(source, target) == expected


def test_output_name_of_other_layouts_keeps_folders_apart() -> None:
    assert output_name("a/b.jpg", "c.jpg") == "a-b_2_c_vis.png"


def test_pair_rule_joins_all_views_of_an_outfit_with_a_whole_torso() -> None:
    whole, no_hip = np.zeros((18, 2)), np.zeros((18, 2))
    no_hip[8] = np.nan
    joints = {"a/01_1.jpg": whole, "a/01_2.jpg": whole, "a/01_3.jpg": whole, "a/01_4.jpg": no_hip,
              "a/02_1.jpg": whole, "b/01_1.jpg": whole}  # fmt: skip
    assert build_pairs(joints) == [
        PairLine("a/01_1.jpg", ("a/01_2.jpg", "a/01_3.jpg")),
        PairLine("a/01_2.jpg", ("a/01_1.jpg", "a/01_3.jpg")),
        PairLine("a/01_3.jpg", ("a/01_1.jpg", "a/01_2.jpg")),
    ]


def test_written_pairs_are_read_back(tmp_path: Path) -> None:
    lines = [PairLine("a/b.jpg", ("c.jpg", "d.jpg")), PairLine("c.jpg", ("a/b.jpg",))]
    write_pairs(tmp_path / "pairs.txt", lines)
    assert read_pairs(tmp_path / "pairs.txt") == lines


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("b.jpg", "has no source"),
        ("b.jpg,", "empty image name"),
        ("../b.jpg,c.jpg", "leaves the dataset folder"),
        ("a.jpg,x/../../b.jpg", "leaves the dataset folder"),
        ("/etc/b.jpg,c.jpg", "leaves the dataset folder"),
        ("C:/b.jpg,c.jpg", "leaves the dataset folder"),
        ("a\\..\\b.jpg,c.jpg", "no image name"),
        ("b.jpg,c.txt", "does not end in"),
        ("b.jpg," + "c" * 5000 + ".jpg", "no image name"),
        ("b.jpg,c\x00.jpg", "no image name"),
    ],
)
def test_malformed_lines_are_named_by_number(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(f"a.jpg,b.jpg\n{line}\n")
    with pytest.raises(ValueError, match=r"pairs\.txt:2: ") as error:
        read_pairs(path)
    assert complaint in str(error.value) and len(str(error.value)) < 400


def test_a_hundred_megabyte_line_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    with path.open("wb") as file:
        file.truncate(100_000_000)  # sparse: a line of zeros
    with pytest.raises(ValueError, match=r"pairs\.txt:1: longer than"):
        read_pairs(path)


def test_missing_empty_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        read_pairs(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="holds no pairs"):
        read_pairs(tmp_path / "empty.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"binary\.txt:1: not UTF-8"):
        read_pairs(tmp_path / "binary.txt")


@given(st.binary(max_size=300))
def test_any_bytes_give_names_inside_the_folder_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes(raw)
    try:
        names = [name for line in read_pairs(path) for name in (line.target, *line.sources)]
    except ValueError as error:
        assert "fuzz.txt" in str(error) and "\n" not in str(error)
    else:
        assert all((Path("/root") / name).resolve().is_relative_to("/root") for name in names)


def test_lists_and_keys(tmp_path: Path) -> None:
    (tmp_path / "train.lst").write_text("a/b.jpg\r\n\nc.jpg\n")
    assert read_list(tmp_path / "train.lst") == ["a/b.jpg", "c.jpg"]
    assert store_key("img/a.b/c.jpg") == "img/a.b/c.png"
    assert store_key("./img//c.d.JPEG") == "img/c.d.png"


def test_a_name_is_held_once_however_often_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("img/a.jpg,img/b.jpg\nimg/b.jpg,img/a.jpg\n")
    first, second = read_pairs(tmp_path / "pairs.txt")
    assert first.target is second.sources[0] and first.sources[0] is second.target


@pytest.mark.parametrize("read", [read_list, read_pairs])
@pytest.mark.parametrize("put", [Path.mkdir, lambda path: path.symlink_to(path), os.mkfifo])
def test_what_is_no_file_is_no_list_and_is_not_waited_for(
    tmp_path: Path, put: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    put(tmp_path / "a")
    with pytest.raises(ValueError, match="a is no plain file; remove it or put the list there"):
        read(tmp_path / "a")
