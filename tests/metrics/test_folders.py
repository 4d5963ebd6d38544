"""Names of the field, matched."""

import unicodedata
from pathlib import Path

import pytest

from metrics.folders import list_images, match_folders, read_image_list, step_folders
from metrics.names import deepfashion_images, sex, view_change

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
        ("a.jpg___b.jpg_vis.jpg", "b.jpg"),
        ("a.jpg_b.jpg_vis.png", "b.webp"),
        ("a.jpg___b.jpg.png", "b.png"),
        ("0002_c1s1_01.jpg___0002_c2s1_02.jpg_vis.png", "0002_c2s1_02.jpg"),
        (
            f"{FLAT.format('1front')}.jpg___{FLAT.format('6flat')}.jpg_vis.jpg",
            "WOMEN/Tees_Tanks/id_00000002/02_6_flat.jpg",
        ),
        ("WOMEN-Tees_Tanks-id_00000002-02_7_additional.jpg", "WOMEN/Tees_Tanks/id_00000002/02_7_additional.jpg"),
        ("img-a-b_2_img-a-c_vis.png", "img/a/c.jpg"),
        ("img-a-b_2_img-a-c_vis.png", "a/c.jpg"),
        ("女/一.png", "女/一.jpg"),
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


def test_other_names_are_compared_as_they_are(tmp_path):
    names = ["11_1.png", "1_11.png", "女.png", "男.png", "a-b.png", "a_b.png", "a b.png", "é.png", "e.png"]
    found = match_folders(touch(tmp_path / "g", *names[1:]), touch(tmp_path / "t", *names))
    assert {name: truth.name for name, (_, truth) in found.pairs.items()} == {name: name for name in names[1:]}
    assert found.ground_truth_only == ["11_1.png"]
    with pytest.raises(ValueError, match=r"no image of .*first: 1_11\.png"):
        match_folders(touch(tmp_path / "one", "1_11.png"), touch(tmp_path / "other", "11_1.png"))


def test_the_source_of_a_pair_is_found_by_its_name_and_not_left_out(tmp_path):
    names = [f"WOMEN/Tees_Tanks/id_00000002/02_{view}.jpg" for view in ("1_front", "3_back")]
    folder = touch(tmp_path / "t", *names, "other.jpg")
    found = match_folders(touch(tmp_path / "g", f"{PAIR}.png"), folder)
    assert found.sources == {f"{PAIR}.png": folder / names[0]}
    assert found.ground_truth_only == ["other.jpg"]


def test_a_path_and_its_flattened_name_are_one_image():
    path, flat = "img/MEN/Denim/id_00000080/01_1_front.jpg", "fashionMENDenimid0000008001_1front.png"
    assert deepfashion_images(path) == deepfashion_images(flat) != []


def test_step_folders_come_in_order_and_are_no_final_images(tmp_path):
    beside = ["strips/a.png", "animations/a.webp", ".ipynb_checkpoints/a.png", "@eaDir/a.png", "._a.png"]
    folder = touch(tmp_path, "a.png", *beside, *(f"step_{index:02d}/a.png" for index in range(11)))
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
    listed.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(ValueError, match=r"train\.lst is no list"):
        read_image_list(listed, [tmp_path])
    with pytest.raises(ValueError, match=r"nowhere\.lst does not exist"):
        read_image_list(tmp_path / "nowhere.lst", [tmp_path])


def test_slices_are_read_from_names():
    assert (view_change(f"{PAIR}.png"), sex(f"{PAIR}.png")) == ("front -> back", "women")
    assert (sex("fashionMENDenimid0000000101_1front.png"), view_change("a.png"), sex("a.png")) == ("men", None, None)
    assert view_change("backpack_2_front_door.png") is None


def test_accents_stored_as_one_letter_or_two_are_one_name(tmp_path):
    for folder, form in (("fake", "NFD"), ("truth", "NFC")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / unicodedata.normalize(form, "\u00dcn\u00ef.png")).touch()
    matches = match_folders(tmp_path / "fake", tmp_path / "truth")
    assert len(matches.pairs) == 1 and not matches.generated_only + matches.ground_truth_only
