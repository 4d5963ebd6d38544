"""The commands of README, docs/using.md and docs/training.md name things that exist; the marked ones run, tiny."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from string import Template

import numpy as np
import pytest
from PIL import Image

from config.load import load_config
from data.openpose import write_keypoints
from metrics import networks
from scripts import demo
from tests import tiny
from tests.scripts.test_own_data import PERSON, write_photo
from tests.studio.test_photographs import write_openpose

ROOT = Path(__file__).resolve().parent.parent
README, USING, TRAINING = ((ROOT / name).read_text() for name in ("README.md", "docs/using.md", "docs/training.md"))
ALL = "\n".join((README, USING, TRAINING))
BLOCK = re.compile(r"(<!-- run -->\n)?```bash\n(.*?)```", re.DOTALL)
ASSIGNMENT = re.compile(r"[A-Z]+=.*")
ENTRY_POINTS = ("train.py", "inference.py", "eval_step.py", "serve.py")


def commands(page: str, run_only: bool = False) -> list[list[str]]:
    """The words of each command in the fenced bash blocks, with the values of the variables set before it."""
    blocks = [text for marked, text in BLOCK.findall(page) if marked or not run_only]
    variables: dict[str, str] = {}
    found = []
    for line in "".join(blocks).splitlines():
        words = [Template(word).substitute(variables) for word in shlex.split(line, comments=True)]
        if all(ASSIGNMENT.fullmatch(word) for word in words):
            variables |= dict(word.split("=", 1) for word in words)
        else:
            found.append(words)
    return found


def python_words(words: list[str]) -> list[str] | None:
    """`train.py ...` or `-m scripts.x ...` of a python or torchrun command; None for others."""
    if words[0] == "torchrun":
        return [word for word in words[1:] if not word.startswith("--nproc_per_node")]
    return words[1:] if words[0] == "python" else None


def option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def own_overrides(words: list[str]) -> list[str]:
    return [word for word in words if re.fullmatch(r"[a-z_0-9.]+=.*", word)]


def smaller(words: list[str]) -> list[str]:
    """Tiny overrides for a shipped configuration, of all that the command does not set itself."""
    config = Path(option(words, "--config") or "")
    if config.parent.name != "config":
        return []
    own = {override.split("=")[0] for override in own_overrides(words)} | {"data.pose"}
    wanted = tiny.overrides("dptn" if "dptn" in config.name else "nted", "dataset/demo")
    kept = [override for override in wanted if override.split("=")[0] not in own]
    # a whole StyleGAN2 discriminator would take half a minute
    narrow = (
        ["discriminator.channels=[8, 8, 6, 6]"] if any("stylegan2" in word for word in own_overrides(words)) else []
    )
    return kept + narrow


def test_every_flag_that_is_named_exists(python, capsys):
    used: dict[tuple[str, ...], set[str]] = {}
    for words in filter(None, map(python_words, commands(ALL))):
        if words[0] in ENTRY_POINTS or words[0] == "-m":
            entry = tuple(words[:2]) if words[0] == "-m" else (words[0],)
            used.setdefault(entry, set()).update(word for word in words if word.startswith("--"))
    assert {("train.py",), ("inference.py",), ("eval_step.py",)} <= used.keys()
    for entry, flags in used.items():
        assert python([*entry, "--help"]) == 0
        known = set(re.findall(r"--\w+", capsys.readouterr().out))
        assert flags <= known, f"{' '.join(entry)} has no {', '.join(sorted(flags - known))}"


def test_every_configuration_and_override_that_is_named_is_valid():
    for words in commands(ALL):
        config = option(words, "--config")
        if config and config.startswith("config/"):
            load_config(ROOT / config, own_overrides(words))
    listed = set(re.findall(r"`((?:nted|dptn|unet|demo|small)_\w+)`", README))
    missing = {name for name in listed if not (ROOT / "config" / f"{name}.yaml").is_file()}
    assert not missing
    shipped = {path.stem for path in (ROOT / "config").glob("*.yaml")} - {"base"}
    assert shipped <= listed, f"the table of configurations lacks {shipped - listed}"


def test_every_make_target_and_requirements_file_that_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z][a-z-]*)\n", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in re.findall(r"requirements[\w-]*\.txt", README):
        assert (ROOT / name).is_file(), name


def test_make_clean_deletes_what_make_demo_made_and_nothing_else(tmp_path):
    made = [demo.DATA, demo.RESULT, demo.RESULT / "nted_old_1"]
    kept = [Path(name) for name in ("result/demo_nted_long", "result/mine", "dataset/synthetic", "dataset/demo_2")]
    for folder in made + kept:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    subprocess.run(["make", "-f", ROOT / "Makefile", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [folder for folder in made + kept if (tmp_path / folder).exists()] == kept
    for system in demo.SYSTEMS:
        assert Path(load_config(f"config/demo_{system}.yaml").data.root) == demo.DATA


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as they are formed on the web."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = ["README.md", "dataset/README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(path), f"{page}: {target}"


def test_every_file_in_the_table_of_the_architecture_page_exists():
    folder = ""
    for row in re.findall(r"^\| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE):
        cells = [cell.strip() for cell in row.split(" | ")]
        if len(cells) == 3:
            folder = cells[0].strip("`") or folder
            for name in re.findall(r"`(\w+\.py|\w+/)`", cells[1]):
                assert (ROOT / folder / name).exists(), f"{folder}{name}"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a checkout, with synthetic people, twice, at tiny size."""
    folder = tmp_path_factory.mktemp("clone")
    for path in ROOT.iterdir():
        if path.name not in ("dataset", "result") and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    size = "-".join(str(2 * side) for side in tiny.SIZE)
    for seed, data in enumerate(("dataset/demo", "dataset/others")):
        few = ["--people", "8", "--views", "3", "--workers", "1", "--seed", str(seed), "--size", size]
        stores = ["--root", data, "--workers", "1", "--size", f"{tiny.SIZE[0]}-{tiny.SIZE[1]}"]
        for script, flags in (("make_synthetic", few), ("prepare_data", stores)):
            command = [sys.executable, "-m", f"scripts.{script}", "--output", data, *flags]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
    joints = PERSON * 300 + (250, 40)
    for name in ("me", "other"):
        write_photo(folder / f"{name}.jpg", (400, 500), joints)
        write_openpose(folder / f"{name}_keypoints.json", joints)
    write_openpose(folder / "openpose.json", joints)
    write_keypoints(folder / "pose.txt", PERSON * 240 + (128, 8))
    return folder


@pytest.fixture
def python(clone, monkeypatch):
    """Runs `train.py ...` or `-m module ...` in the clone, as `python` does but in this process."""
    monkeypatch.chdir(clone)
    monkeypatch.setenv("TORCH_HOME", str(clone / "torch"))
    monkeypatch.setattr(networks, "_copy", refuse)

    def call(words: list[str]) -> object:
        is_module = words[0] == "-m"
        monkeypatch.setattr(sys, "argv", words[1:] if is_module else words)
        with pytest.raises(SystemExit) as ended:
            if is_module:
                runpy.run_module(words[1], run_name="__main__")
            else:
                runpy.run_path(words[0], run_name="__main__")
        return ended.value.code

    return call


def refuse(url: str, file: object) -> str:
    """A machine without a network."""
    raise OSError("no network in this test")


def test_the_marked_commands_run(python, clone):
    for system in ("nted", "dptn"):
        shipped = ["train.py", "--config", f"config/demo_{system}.yaml", "--name", f"demo/{system}"]
        assert python([*shipped, *smaller(shipped)]) == 0
    for words in filter(None, map(python_words, commands(ALL, run_only=True))):
        assert python([*words, *smaller(words)]) == 0, " ".join(words)
    result = clone / "result"
    for name in ("nted_256", "dptn_256", "nted_quantize", "dptn_resize"):
        assert (result / name / "checkpoints" / "step_00000002.pt").is_file()
    for name in ("demo/nted", "nted_256", "dptn_256"):
        assert (result / name / "images_report" / "report.json").is_file()
    for name in (
        "me.png",
        "me_joints.png",
        "me_strip.png",
        "posed.png",
        "both.png",
        "several.png",
        "turn.webp",
        "turn_strip.png",
        "mix.png",
        "grid.png",
        "fade.png",
        "exchange.png",
        "inside/pixels.png",
        "exported/model.safetensors",
    ):
        assert (result / name).is_file()
    for name in ("demo/nted/images/strips", "images/strips", "images/animations"):
        assert list((result / name).iterdir())
    assert (result / "others" / "start_from.txt").is_file()
    assert drawn_in_python(clone).size == tiny.SIZE[::-1]


def drawn_in_python(clone: Path) -> Image.Image:
    """The image that the example in docs/using.md draws."""
    block = next(text for text in re.findall(r"```python\n(.*?)```", USING, re.DOTALL) if "StepPose.load" in text)
    (clone / "example.py").write_text(block)
    Image.new("RGB", (60, 80)).save(clone / "person.jpg")
    joints = np.random.default_rng(0).uniform(5, 40, (18, 2))
    return runpy.run_path(str(clone / "example.py"), {"source_joints": joints, "target_joints": joints})["image"]
