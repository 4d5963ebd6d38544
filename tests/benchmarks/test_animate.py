"""What the benchmark of motion compares."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.animate import drawn_together, frame_by_frame, photographs, table, true_frames
from benchmarks.several import Album
from tests.runs import tiny_model


@pytest.mark.parametrize("system", ["nted", "dptn"])
def test_both_ways_draw_the_same_frames_of_the_same_person(system):
    model = tiny_model(system)
    truth, joints = true_frames(model, "walk", 0, 3)
    assert len(truth) == 3 and truth[0].shape == (*model.image_size, 3) and joints.shape == (3, 18, 2)
    people = photographs(model, Album.drawn(0), [0, 2])
    assert len(people) == 2 and np.nanmax(people[0].joints) <= max(model.image_size)
    pairs = zip(drawn_together(model, people, joints, 2), frame_by_frame(model, people, joints), strict=True)
    assert max(np.abs(a.astype(int) - b).max() for a, b in pairs) <= 1


def test_the_table_has_the_truth_beside_every_treatment():
    lines = table(tiny_model("nted", Path("."), 2), argparse.Namespace(people=2, frames=3, batch_size=4)).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in rows[:2]] == [["walk", "truth"], ["walk", "noise held still"]] and len(rows) == 8
    assert all(float(row[2].split()[0]) < 1 for row in rows if row[1] == "truth")
