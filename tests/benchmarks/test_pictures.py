"""benchmarks.pictures: which commands it runs, and that what they draw is shown crisp."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import pictures
from data.pairs import PairLine, write_pairs
from trainers.stored import shipped_models


def test_every_shipped_model_has_its_pictures_of_three_people(tmp_path, monkeypatch):
    lines = [PairLine(f"img/{person}/{view}.jpg", (f"img/{person}/0.jpg",)) for person in range(9) for view in (1, 2)]
    lines.append(PairLine("img/8/01_1_front.jpg", ("img/8/01_3_back.jpg",)))
    write_pairs(tmp_path / "test_pairs.txt", lines)
    commands = []

    def drawn(*words):
        commands.append([str(word) for word in words])
        if words[0] == "inference.py":
            places = [words[words.index("--output_dir") + 1] / "strips" / f"{n:02d}.png" for n in range(pictures.PAIRS)]
        else:
            place = words[words.index("--output") + 1]
            beside = {
                "scripts.inspect_attention": place / "pixels.png",
                "scripts.animate": place.with_stem("turn_strip"),
            }
            places = [beside[words[1]].with_suffix(".png") if words[1] in beside else place]
        for number, place in enumerate(places):
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((10, 90, 3), number, np.uint8)).save(place)

    monkeypatch.setattr(pictures, "run_command", drawn)
    monkeypatch.setattr(sys, "argv", ["pictures", "--root", str(tmp_path), "--output", str(tmp_path / "new")])
    pictures.main()
    for system in shipped_models():
        sizes = {
            name: Image.open(tmp_path / "new" / f"{name}_{system}.jpg").size for name in ("steps", "mixing", "blending")
        }
        # eight times, with gaps of 4 between and below rows
        assert sizes == {"steps": (720, 8 * (4 * 10 + 3 * 4)), "mixing": (720, 80), "blending": (720, 8 * 28)}
        steps = np.array(Image.open(tmp_path / "new" / f"steps_{system}.jpg").convert("L")).astype(int)
        assert [round(steps[row * 8 * 14 + 40, 300]) for row in range(4)] == [0, 10, 20, 30]
        (mixing,) = [words for words in commands if words[:4] == ["-m", "scripts.style_mix", "--model", system]]
        assert [word for word in mixing if word.endswith(".jpg")] == [f"img/{person}/1.jpg" for person in (6, 0, 3)]
        assert all((tmp_path / "new" / f"{name}_{system}.jpg").is_file() for name in ("inside", "motion"))
        turns = [words for words in commands if words[:4] == ["-m", "scripts.animate", "--model", system]]
        photographs = [[word for word in words if word.endswith(".jpg")] for words in turns]
        assert photographs == [["img/8/01_1_front.jpg"], ["img/8/01_1_front.jpg", "img/8/01_3_back.jpg"]]


def test_a_dataset_without_a_back_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    lines = [PairLine(f"img/{person}/1.jpg", (f"img/{person}/0.jpg",)) for person in range(9)]
    write_pairs(tmp_path / "test_pairs.txt", lines)
    monkeypatch.setattr(pictures, "run_command", lambda *words: pytest.fail("drawn"))
    monkeypatch.setattr(sys, "argv", ["pictures", "--root", str(tmp_path), "--output", str(tmp_path / "new")])
    with pytest.raises(ValueError, match="nobody from front and back"):
        pictures.main()
