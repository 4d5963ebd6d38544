"""Who is seen and in which clothes, from every form in which the field writes an image's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.names import image_key, outfit_of, parse_name, person_of

# one image a row, in the forms of the published folder, of the field's lists and of the multi-modal release
FORMS = [
    (
        "img/MEN/Jackets_Vests/id_00000101/01_1_front.jpg",
        "img/fashionMENJackets_Vestsid0000010101_1front.jpg",
        "MEN-Jackets_Vests-id_00000101-01_1_front.jpg",
        "train/fashionMENJacketsVestsid0000010101_1front.png",
        "fashion/MEN/Jackets_Vests/id00000101/01_1_front.jpg",
    ),
    (
        "img/WOMEN/Dresses/id_00000002/02_4_full.jpg",
        "fashionWOMENDressesid0000000202_4full.jpg",
        "img/WOMEN-Dresses-id_00000002-02_4_full.png",
        "img/test/fashionWOMENDressesid0000000202_4full.jpg",
        "./img/WOMEN/Dresses/id_00000002/02_4_full.jpg",
    ),
]


@pytest.mark.parametrize("forms", FORMS)
def test_all_forms_of_a_name_say_the_same(forms: tuple[str, ...]) -> None:
    assert len({outfit_of(name) for name in forms}) == 1
    assert len({image_key(name) for name in forms}) == 1


def test_flat_names_of_two_people_and_of_two_outfits_differ() -> None:
    category = "fashionMENJackets_Vestsid"
    first, other, changed = (f"{category}{number}_1front.jpg" for number in ("0000000101", "0000000201", "0000000102"))
    assert person_of(first) != person_of(other)
    assert person_of(first) == person_of(changed) and outfit_of(first) != outfit_of(changed)
    # the same number in another category is another person
    assert person_of(first) != person_of("fashionMENDenimid0000000101_1front.jpg")


@pytest.mark.parametrize(
    ("name", "person", "outfit"),
    [
        ("img/0002_c1s1_000451_03.jpg", "0002", ""),
        ("img/bounding_box_test/0002_c3s1_000551_00.jpg.jpg", "0002", ""),
        ("img/-1_c1s1_000401_03.jpg", "img/-1_c1s1_000401_03", ""),  # nobody: paired with nothing
        ("img/0000_c1s1_000151_01.jpg", "img/0000_c1s1_000151_01", ""),
        ("img/ann/1_front.jpg", "ann", "1"),
        ("img/ann/front.jpg", "ann", ""),
        ("img/ann_front.jpg", "ann", ""),
        ("img/train/ann_2.jpg", "ann", ""),
        ("img/IMG_2034.jpg", "IMG_2034", ""),
        ("img/person_007_back.jpg", "person_007", ""),
        ("img/id_00000003_2.jpg", "id_00000003", ""),
        ("id_00000002/02_1_front.jpg", "id_00000002", "02"),
    ],
)
def test_other_names_are_read_by_one_rule(name: str, person: str, outfit: str) -> None:
    assert outfit_of(name) == (person, outfit)


def test_names_typed_on_two_systems_are_one() -> None:
    composed, decomposed = "img/Ren\u00e9/1.jpg", "img/Rene\u0301/1.jpg"
    assert outfit_of(composed) == outfit_of(decomposed) and image_key(composed) == image_key(decomposed)


@given(st.text(max_size=60))
def test_any_text_has_a_person(name: str) -> None:
    parsed = parse_name(f"img/{name}.jpg")
    assert isinstance(parsed.person, str) and "/" not in parsed.flat


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("img/0002_c1s1_000451_03.jpg", "img/0002_c1s1_00045_103.jpg"),
        ("img/a-b.jpg", "img/ab.jpg"),
        ("img/a/b.jpg", "img/ab.jpg"),
        ("img/MEN/Denim/id_00000001/01_1_front.jpg", "img/MEN/Denim/id_00000001/01_1_side.jpg"),
        ("img/MEN/Denim/id_00000001/01_1_front.jpg", "img/WOMEN/Denim/id_00000001/01_1_front.jpg"),
    ],
)
def test_names_of_two_images_are_not_one(first: str, second: str) -> None:
    assert image_key(first) != image_key(second)
