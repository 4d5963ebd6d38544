"""Names of the field, matched."""

from pathlib import Path

import pytest

from metrics.folders import (
    find_sources,
    list_images,
    match_folders,
    plain_key,
    read_image_list,
    sex,
    step_folders,
    view_change,
)

FLAT = "fashionWOMENTees_Tanksid0000000202_{}"
PAIR = "fashionWOMENTeesTanksid0000000202_1front_2_fashionWOMENTeesTanksid0000000202_3back_vis"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("generated", "truth"),
    [
        ("a.png", "a.png"),
        ("a.jpg", "a.png"),
        (f"{PAIR}.png", f"{PAIR}.png"),
        (f"{PAIR}.jpg", "fashionWOMENTeesTanksid0000000202_3back.png"),
        (f"{PAIR}.png", "WOMEN/Tees_Tanks/id_00000002/02_3_back.jpg"),
        (f"{PAIR}.png", "img/WOMEN/Tees_Tanks/id_00000002/02_3_back.jpg"),
        (f"{PAIR}.png", FLAT.format("3back") + ".jpg"),
        ("0001_to_0002.png", "0002.jpg"),
        ("x_front_to_x_back_vis.png", "x_back.png"),
    ],
)
def test_a_generated_image_finds_its_ground_truth(tmp_path, generated, truth):
    found = match_folders(touch(tmp_path / "g", generated), touch(tmp_path / "t", truth))
    assert found.pairs == {generated: (tmp_path / "g" / generated, tmp_path / "t" / truth)}
    assert (found.generated_only, found.ground_truth_only) == ([], [])


def test_what_does_not_match_is_listed_on_both_sides(tmp_path):
    found = match_folders(touch(tmp_path / "g", "a.png", "b.png"), touch(tmp_path / "t", "a.png", "c.png", "d.png"))
    assert list(found.pairs) == ["a.png"]
    assert (found.generated_only, found.ground_truth_only) == (["b.png"], ["c.png", "d.png"])


def test_no_match_at_all_is_an_error_that_shows_the_forms(tmp_path):
    with pytest.raises(ValueError, match="_to_"):
        match_folders(touch(tmp_path / "g", "a.png"), touch(tmp_path / "t", "b.png"))


def test_two_files_of_one_name_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="keep one"):
        match_folders(touch(tmp_path / "g", "a.png"), touch(tmp_path / "t", "a.png", "a.jpg"))


def test_the_source_of_a_pair_is_found_by_its_name(tmp_path):
    folder = touch(tmp_path, "WOMEN/Tees_Tanks/id_00000002/02_1_front.jpg", "other.jpg")
    assert find_sources([f"{PAIR}.png"], folder) == {
        f"{PAIR}.png": folder / "WOMEN/Tees_Tanks/id_00000002/02_1_front.jpg"
    }


def test_a_path_and_its_flattened_name_have_one_key():
    assert plain_key("img/MEN/Denim/id_00000080/01_1_front.jpg") == plain_key("fashionMENDenimid0000008001_1front.png")


def test_step_folders_come_in_order_and_are_no_final_images(tmp_path):
    folder = touch(tmp_path, "a.png", *(f"step_{index:02d}/a.png" for index in range(11)))
    assert [path.name for path in step_folders(folder)] == [f"step_{index:02d}" for index in range(11)]
    assert list_images(folder) == [folder / "a.png"]


def test_a_missing_step_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="step_01"):
        step_folders(touch(tmp_path, "step_00/a.png", "step_02/a.png"))


def test_an_empty_and_a_missing_folder_are_named(tmp_path):
    with pytest.raises(ValueError, match="no images"):
        list_images(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        list_images(tmp_path / "nowhere")


def test_a_list_of_images_takes_paths_and_flattened_names(tmp_path):
    folder = touch(tmp_path / "img", "MEN/Denim/id_00000080/01_1_front.jpg", "MEN/Denim/id_00000080/01_2_side.jpg")
    listed = tmp_path / "train.lst"
    listed.write_text("img/MEN/Denim/id_00000080/01_1_front.jpg\n\nfashionMENDenimid0000008001_2side.jpg\n")
    found = read_image_list(listed, [tmp_path, folder])
    assert [path.name for path in found] == ["01_1_front.jpg", "01_2_side.jpg"]
    listed.write_text("nothing.jpg\n")
    with pytest.raises(ValueError, match="lst:1: image nothing"):
        read_image_list(listed, [tmp_path, folder])


def test_slices_are_read_from_names():
    assert (view_change(f"{PAIR}.png"), sex(f"{PAIR}.png")) == ("front -> back", "women")
    assert (sex("fashionMENDenimid1_1front.png"), view_change("a.png"), sex("a.png")) == ("men", None, None)
