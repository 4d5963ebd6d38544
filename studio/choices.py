"""What the page offers: models, each loaded when it is first asked for, and the people to choose from with each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.openpose import Frame
from data.store import store_path
from data.synthetic.layout import Request, draw_views
from images.joints import LEFT_SHOULDER, RIGHT_SHOULDER
from images.pixels import Size
from studio.people import Person
from studio.photographs import People
from studio.pipeline import StepPose

NUM_PEOPLE = 16
# far from those of any dataset that make demo or a training draws
_SEED, _VIEWS = 170_000_000, 4


class Choice(NamedTuple):
    """A model, people of its size, and the frame of the keypoints that it was trained with."""

    model: StepPose
    people: list[Person]
    frame: Frame


class Choices:
    """Models by name: the last part of a path, where no other ends alike.

    Args:
        names: names or paths, the first one being shown first.
        load: gives the model of one of them; raises ValueError.
        data_root: dataset to choose people from; None: each model's own, and drawn people where that is not there.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], StepPose], data_root: str | None = None) -> None:
        ends = [Path(name).name for name in dict.fromkeys(names)]
        pairs = zip(ends, dict.fromkeys(names), strict=True)
        self._paths = {end if ends.count(end) == 1 else name: name for end, name in pairs}
        self._load, self._root = load, data_root
        self._loaded: dict[str, Choice] = {}
        self._lock = threading.Lock()  # visitors come on threads of their own

    @property
    def names(self) -> list[str]:
        """What the models are called."""
        return list(self._paths)

    def __getitem__(self, name: object) -> Choice:
        """The choice of a name; raises ValueError for another name, a model that cannot be loaded or no dataset."""
        if not isinstance(name, str) or name not in self._paths:
            raise ValueError(f"choose one of the models {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._choice(self._load(self._paths[name]))
            return self._loaded[name]

    def _choice(self, model: StepPose) -> Choice:
        data = model.config.data.model_copy(update={"root": self._root} if self._root else {})
        known = People(model, data)
        if not self._root and not store_path(data.root, data.image_size).exists():
            return Choice(model, drawn_people(data.image_size), known.frame)
        names = known.gallery.names()
        places = np.linspace(0, len(names) - 1, min(NUM_PEOPLE, len(names))).astype(int)
        return Choice(model, [known.gallery.person(names[place]) for place in places], known.frame)


def drawn_people(size: Size) -> list[Person]:
    """Synthetic people of (H, W) images whom no model has seen, in turn from the front, a side, the back and whole."""
    request = Request(NUM_PEOPLE, _VIEWS, _SEED, size)
    views = [view for person in range(NUM_PEOPLE) for view in draw_views(request, person, [person % _VIEWS])]
    return [Person(image, joints) for _, image, joints in views]


def standing(people: Sequence[Person], size: Size) -> np.ndarray:
    """(18, 2) joints of the average of those people who face the viewer, as large as fits a photograph of `size`."""
    shares = np.stack([person.joints / person.image.shape[1::-1] for person in people])
    is_front = shares[:, RIGHT_SHOULDER, 0] < shares[:, LEFT_SHOULDER, 0]
    facing = shares[is_front] if is_front.any() else shares
    height, width = people[0].image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    box = np.array([width, height]) * scale
    found = np.isfinite(facing).all(axis=2).any(axis=0)
    middle = np.full(facing.shape[1:], np.nan)
    middle[found] = np.nanmedian(facing[:, found], axis=0)
    return middle * box + (np.array(size[::-1]) - box) / 2
