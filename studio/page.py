"""The web page's behaviour, without a browser: choose or upload, draw in a pose, mix two people, look inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from data.detectors import Detector
from data.motion import read_motion
from data.photos import same_shape
from data.pose import scale_joints
from images.pixels import to_uint8
from images.skeleton import draw_over
from models.rollout import Pair, switched
from studio.animation import animate
from studio.choices import Choice, Choices, standing
from studio.figures import SHOWN_HEIGHT, STEP_HEIGHT, THUMB_HEIGHT, blank, figure, moving, panel, result, scaled
from studio.inside import Inside, look_inside, overlay, ring
from studio.mixing import source_pairs
from studio.people import Person, shown_pose
from studio.photographs import KEYPOINT_SUFFIXES, frame_photograph
from studio.uploads import Photo, joints_from_text, joints_to_text, uploaded_joints, uploaded_photo

# a place among the people shown, or a photograph of one's own
Source = int | Photo
# with the joints of it, as the editor's text
Kept = tuple[Source | None, object]
MOST_KEPT = 3
MOTIONS = {path.stem: path for path in sorted(Path(__file__).parents[1].glob("assets/motions/*.npz"))}
FPS = 25


class Seen(NamedTuple):
    """What a model did at a step, and the person that it read."""

    inside: Inside
    person: Person


class Page:
    """What each event does.

    Args:
        choices: the models.
        detector: finds the joints of an uploaded photograph; None: they start as those of a standing person.
    """

    def __init__(self, choices: Choices, detector: Detector | None = None) -> None:
        self.choices, self.detector = choices, detector

    def chosen(self, name: object, place: object) -> Person:
        """The person at a place of a model's people."""
        people = self.choices[name].people
        if not isinstance(place, int) or not 0 <= place < len(people):
            raise ValueError("choose one of the people shown")
        return people[place]

    def pose_picture(self, name: str, person: Person, height: int = SHOWN_HEIGHT) -> np.ndarray:
        """A person's pose as a model takes it: maps where it takes maps, else the skeleton, finer than its pixels."""
        model = self.choices[name].model
        if model.config.data.map_channels:
            return shown_pose(model, person)
        large = scaled(blank(model.image_size), height)
        return draw_over(large, scale_joints(person.joints, model.image_size, large.shape[:2]), len(large) // 96)

    def upload(self, name: str, path: object, old: Source | None) -> tuple[Photo, str]:
        """A photograph, or keypoints of the photograph uploaded before, with its joints as the editor's text."""
        file = _path(path)
        if file.suffix.lower() not in KEYPOINT_SUFFIXES:
            photo = uploaded_photo(file)
            return photo, joints_to_text(self._start(name, photo), photo.size)
        if not isinstance(old, Photo):
            raise ValueError("upload a photograph first, then its keypoints")
        joints = uploaded_joints(file, self.choices[name].frame, old.sent)
        return old, joints_to_text(scale_joints(joints, old.sent[:2], old.size), old.size)

    def upload_pose(self, name: str, path: object) -> tuple[Photo | None, str]:
        """A pose alone from a file of keypoints, or over the photograph that shows it."""
        file = _path(path)
        if file.suffix.lower() not in KEYPOINT_SUFFIXES:
            return self.upload(name, path, None)
        choice = self.choices[name]
        joints = uploaded_joints(file, choice.frame)
        size = choice.model.image_size
        return None, joints_to_text(scale_joints(joints, choice.frame[:2], size), size)

    def _start(self, name: str, photo: Photo) -> np.ndarray:
        found = self.detector(Image.fromarray(photo.image)) if self.detector else None
        return standing(self.choices[name].people, photo.size) if found is None else found

    def person(self, name: str, source: Source | None, text: object) -> Person:
        """The person to draw, as a model takes it: one of the people, or a photograph cropped to its joints."""
        if not isinstance(source, Photo):
            return self.chosen(name, source)
        return _cropped(source.image, joints_from_text(text)[0], self.choices[name])

    def pose(self, name: str, photo: Photo | None, text: object) -> Person:
        """Whose pose to draw: joints dragged over nothing or over a photograph, or a person with the same joints."""
        choice = self.choices[name]
        (joints, size), wanted = joints_from_text(text), choice.model.image_size
        if photo or not same_shape(size, wanted):
            return _cropped(photo.image if photo else blank(size), joints, choice)
        joints = scale_joints(joints, size, wanted)
        alike = (person for person in choice.people if np.allclose(person.joints, joints, atol=0.1, equal_nan=True))
        return next(alike, Person(blank(wanted), joints))

    def pair(self, name: str, photographs: Sequence[Person], pose: Person) -> Pair:
        """What a rollout takes of a person, of whom there are one or more photographs."""
        return source_pairs(self.choices[name].model, [photographs], pose)[0]

    def keep(self, name: str, source: Source | None, own: object, kept: Sequence[Kept]) -> tuple[list[Kept], str]:
        """The photographs kept with one more, and all of them as HTML: further ones of the person to draw."""
        if len(kept) == MOST_KEPT:
            raise ValueError(f"{MOST_KEPT} photographs are kept already; forget them first")
        more = [*kept, (source, own)]
        shown = [figure(self.person(name, *one).image, "kept", THUMB_HEIGHT) for one in more]
        return more, f'<div class="result kept">{"".join(shown)}</div>'

    def photographs(self, name: str, source: Source | None, own: object, kept: Sequence[Kept]) -> list[Person]:
        """The photograph chosen, and those kept before it."""
        return [self.person(name, *one) for one in [(source, own), *kept]]

    def draw(
        self,
        name: str,
        source: Source | None,
        own: object,
        photo: Photo | None,
        skeleton: object,
        kept: Sequence[Kept] = (),
    ) -> Iterator[str]:
        """Yield what is drawn so far, as HTML, after every step."""
        people, pose = self.photographs(name, source, own, kept), self.pose(name, photo, skeleton)
        given = [(person.image, "the person") for person in people]
        yield from self._show(name, self.pair(name, people, pose), given, pose)

    def animate(
        self, name: str, source: Source | None, own: object, motion: object, kept: Sequence[Kept] = ()
    ) -> Iterator[str]:
        """Yield how far it is, as HTML with the newest frame, and at last the person in motion."""
        if not isinstance(motion, str) or motion not in MOTIONS:
            raise ValueError(f"choose one of {', '.join(MOTIONS)}")
        model, frames = self.choices[name].model, []
        joints = read_motion(MOTIONS[motion]).in_image(model.image_size)
        for frame in animate(model, self.photographs(name, source, own, kept), joints):
            frames.append(frame)
            yield panel(figure(frame, f"frame {len(frames)} of {len(joints)}", SHOWN_HEIGHT), done=False)
        yield panel(moving(frames, f"{name}, {motion}", FPS), done=True)

    def mix(
        self,
        name: str,
        source: Source | None,
        own: object,
        photo: Photo | None,
        skeleton: object,
        second: object,
        switch: object,
    ) -> Iterator[str]:
        """The same with a second person from step `switch` on."""
        num_steps = self.choices[name].model.num_steps
        if not isinstance(switch, int | float) or not 0 <= switch <= num_steps:
            raise ValueError(f"choose 0 to {num_steps} steps for the first person")
        people = [self.person(name, source, own), self.chosen(name, second)]
        pose = self.pose(name, photo, skeleton)
        pairs = switched([self.pair(name, [person], pose) for person in people], [int(switch)], num_steps)
        captions = [f"{steps} of {num_steps} steps" for steps in (int(switch), num_steps - int(switch))]
        yield from self._show(name, pairs, [(p.image, c) for p, c in zip(people, captions, strict=True)], pose)

    def look(
        self, name: str, source: Source | None, own: object, photo: Photo | None, skeleton: object, step: object
    ) -> Seen:
        """What the model does at a step, 1 to S."""
        model = self.choices[name].model
        if not isinstance(step, int | float):
            raise ValueError(f"choose a step, 1 to {model.num_steps}")
        person = self.person(name, source, own)
        pair = self.pair(name, [person], self.pose(name, photo, skeleton))
        return Seen(look_inside(model, pair, model.noise(1), int(step) - 1), person)

    def reading(self, seen: Seen | None, place: object, at: tuple[float, float]) -> tuple[str, str]:
        """As HTML, the image with a ring at (x, y), shares of its size, and what of the person that pixel reads."""
        if seen is None:
            raise ValueError("press Look inside first")
        if place not in seen.inside.places:
            raise ValueError(f"choose one of {', '.join(seen.inside.places)}")
        image = to_uint8(seen.inside.image)
        height, width = image.shape[:2]
        x, y = (min(int(share * top), top - 1) for share, top in zip(at, (width, height), strict=True))
        glow = overlay(seen.person.image, seen.inside.reading(seen.inside.places.index(place), (x, y)))
        large = scaled(image)
        middle = int((x + 0.5) * large.shape[1] / width), int((y + 0.5) * large.shape[0] / height)
        # after scaling, which would make squares of the ring
        ringed = figure(ring(large, middle), "generated: click into it", SHOWN_HEIGHT)
        return ringed, figure(glow, "what that pixel reads", SHOWN_HEIGHT)

    def _show(
        self, name: str, pair: Pair | list[Pair], given: list[tuple[np.ndarray, str]], pose: Person
    ) -> Iterator[str]:
        model, images = self.choices[name].model, []
        given = [*given, (self.pose_picture(name, pose, STEP_HEIGHT), "the pose")]
        for image in model.stream(pair, model.noise(1)):
            images.append(to_uint8(image[0]))
            yield result(name, given, images, model.num_steps)


def _path(path: object) -> Path:
    if not isinstance(path, str):
        raise ValueError("choose a file to upload")
    return Path(path)


def _cropped(image: np.ndarray, joints: np.ndarray, choice: Choice) -> Person:
    """A photograph cropped to its person, as a model takes it."""
    return frame_photograph(Image.fromarray(image), joints, choice.frame).person(choice.model.image_size)
