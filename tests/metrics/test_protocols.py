"""Named protocols and those from files."""

import pytest

from metrics.protocols import PROTOCOLS, load_protocol


def test_the_named_protocols_are_those_of_the_field():
    assert sorted(PROTOCOLS) == ["dptn", "dptn_stretched", "nted", "offline", "standard"]
    nted, dptn, standard = (PROTOCOLS[name] for name in ("nted", "dptn", "standard"))
    assert (nted.ssim["ssim"].window, nted.ssim["ssim"].size, nted.real_count) == ("uniform", 51, 48_674)
    assert (dptn.crop_columns, dptn.canvas) == ((40, 215), (256, 256))
    assert (standard.inception, standard.ssim["ssim"].sigma) == ("inception_tensorflow", 1.5)


def test_every_choice_is_printed():
    assert len(PROTOCOLS["nted"].lines()) == len(type(PROTOCOLS["nted"]).model_fields)


def test_a_file_changes_the_protocol_that_it_builds_on(tmp_path):
    file = tmp_path / "pidm.yaml"
    file.write_text(
        "base: nted\nssim: {ssim: {window: gaussian, sigma: 1.2, data_range: prediction}}\ndrop_last: true\n"
    )
    protocol = load_protocol(str(file))
    assert (protocol.name, protocol.drop_last, protocol.ssim["ssim"].sigma) == ("pidm", True, 1.2)
    assert protocol.inception == "inception_imagenet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bases: nted", "bases"),
        ("base: nope", "nope"),
        ("resize_filter: cubic", "bicubic"),
        ("ssim: {other: {window: gaussian}}", "called `ssim`"),
        ("ssim: {ssim: {window: uniform, size: 50}}", "odd"),
        ("inception: inception_tensorflow", "tensorflow"),
        ("just words", "key: value"),
        ("a: [", "not YAML"),
        ("base: [nted]", "is no protocol"),
        ("base: {a: b}", "is no protocol"),
        ("1: 2", "mine.yaml: 1: "),
        ("ssim: 5", "mine.yaml: ssim: "),
        ("canvas: wide", "mine.yaml: canvas: "),
        ("- base", "key: value"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path, text, said):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        load_protocol(str(file))


def test_an_unknown_name_and_a_missing_file_are_said():
    with pytest.raises(ValueError, match="nted, dptn, standard"):
        load_protocol("ntde")
    with pytest.raises(ValueError, match="does not exist"):
        load_protocol("nowhere.yaml")
