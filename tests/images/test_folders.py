"""Which files of a folder are images."""

import os
from pathlib import Path

from PIL import Image

from images.folders import image_files


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name, "PNG")


def found(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in image_files(folder)]


def test_images_of_any_suffix_in_any_case_sorted(tmp_path):
    names = ["a.BMP", "a.JPG", "b/a.jpeg", "b/c.Tif", "d.png", "d.tiff", "e.WebP"]
    make(tmp_path, *names, "notes.txt", "png", "a.gif")
    assert found(tmp_path) == names
    assert found(tmp_path / "nowhere") == found(tmp_path / "a.JPG") == []


def test_what_machines_leave_beside_images_is_none(tmp_path):
    make(tmp_path, "a.png", ".hidden.png", "._a.png", ".ipynb_checkpoints/a.png", "@eaDir/a.png", "b/__MACOSX/a.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    assert found(tmp_path) == ["a.png", "link.png"]


def test_linked_folders_are_followed_out_of_the_folder_alone_and_once(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    make(inside, "a.png", "b/b.png")
    make(outside, "c.png", "deep/d.png")
    for link, place in (
        ("a_circle", inside), ("above", tmp_path), ("b_again", inside / "b"),
        ("first", outside / "deep"), ("second", outside), ("third", outside),
    ):  # fmt: skip
        (inside / link).symlink_to(place)
    (outside / "back").symlink_to(inside)
    assert found(inside) == ["a.png", "b/b.png", "first/d.png", "second/c.png"]
    (tmp_path / "link").symlink_to(inside)
    assert len(found(tmp_path / "link")) == 4
