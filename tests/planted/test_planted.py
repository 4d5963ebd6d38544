"""The list of planted changes fits the code; that tests notice them is what `make planted` proves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.__main__ import Change, read_changes


def test_every_planted_change_is_found_in_its_file_once():
    for change in read_changes():
        assert change.planted() != Path(change.file).read_text()


@pytest.mark.parametrize("old", ["no such text", "import"])
def test_a_planted_change_that_is_not_found_once_fails_loudly(old):
    with pytest.raises(ValueError, match=f"ema.py holds '{old}' .* times, not once: mend .*changes.yaml"):
        Change("trainers/ema.py", old, "", "").planted()
