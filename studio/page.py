"""The web page: draw a person in a pose, mix two people, look inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import gradio as gr
import numpy as np

from images.pixels import to_uint8
from models.rollout import Pair, switched
from studio.inside import Inside, look_inside, overlay, ring
from studio.people import Gallery, Person, Pose, draw_pose, shown_pose
from studio.pictures import labelled_grid
from studio.pipeline import StepPose
from studio.skeleton import skeleton_editor
from studio.uploads import joints_from_text, joints_to_text, uploaded_image, uploaded_joints

NUM_CHOICES = 16
SHOWN_HEIGHT = 384  # small models' images are enlarged to this
STEP_HEIGHT, COLUMNS = 192, 7
GALLERY_HEIGHT = 240
OWN_KEYPOINTS = (
    "This model looks at the person's own pose too. For an uploaded person, first give its keypoints: a text file of "
    "18 rows `x y`."
)
CSS = """
.gradio-container { max-width: 1200px !important; margin: 0 auto !important; }
footer { display: none !important; }
#status { min-height: 1.6em; }
"""
# one draws at a time: everyone else waits in the queue, with their own place in it shown
QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def in_a_sentence(function: Callable) -> Callable:
    """Bad input becomes a message on the page instead of a trace."""

    @functools.wraps(function)
    def plain(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return plain


def in_a_sentence_each(function: Callable[..., Iterator]) -> Callable[..., Iterator]:
    """The same for a function that yields."""

    @functools.wraps(function)
    def plain(*arguments: Any) -> Iterator:
        try:
            yield from function(*arguments)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return plain


def enlarged(image: np.ndarray, height: int = SHOWN_HEIGHT) -> np.ndarray:
    """A picture at least `height` high, by a whole factor: browsers blur small ones."""
    scale = -(-height // image.shape[0])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image


class Page:
    """The page's behaviour, without a browser: every method is what one event does.

    Args:
        model: what draws.
        gallery: the people to choose from.
    """

    def __init__(self, model: StepPose, gallery: Gallery) -> None:
        self.model = model
        self.frame = gallery.frame
        names = gallery.names()
        places = np.linspace(0, len(names) - 1, min(NUM_CHOICES, len(names))).astype(int)
        self.people = [gallery.person(names[place]) for place in places]

    def source_pictures(self) -> list[np.ndarray]:
        """The people to choose a source from."""
        return [enlarged(person.image) for person in self.people]

    def pose_pictures(self) -> list[np.ndarray]:
        """The poses to choose from."""
        return [enlarged(shown_pose(self.model, person)) for person in self.people]

    def choose(self, index: object) -> Person:
        """The person at a place of the galleries."""
        if not isinstance(index, int) or not 0 <= index < len(self.people):
            raise ValueError("choose one of the people shown")
        return self.people[index]

    def upload_source(self, path: str, keypoints: str | None) -> Person:
        """A person from an uploaded photograph, and from keypoints where the model looks at them."""
        if keypoints is None and self.model.needs_source_pose:
            raise ValueError("this model looks at the person's own pose too: upload its keypoints first")
        image = uploaded_image(path, self.model.image_size)
        missing = np.full((18, 2), np.nan)
        return Person(image, uploaded_joints(keypoints, self.model.image_size, self.frame) if keypoints else missing)

    def upload_pose(self, path: str) -> str:
        """Uploaded keypoints as the skeleton's value."""
        return joints_to_text(uploaded_joints(path, self.model.image_size, self.frame))

    def draw(self, source: Person | None, skeleton: str) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        """Yield the enlarged image, all steps so far and a sentence, after every step."""
        return self._show(self.pair(source, skeleton))

    def mix(
        self, first: Person | None, second: Person | None, skeleton: str, switch: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        """The same with the second source from step `switch` on."""
        if second is None:
            raise ValueError("choose a second person to mix with")
        pairs = [self.pair(person, skeleton) for person in (first, second)]
        return self._show(switched(pairs, [int(switch)], self.model.num_steps))

    def look(self, source: Person | None, skeleton: str, step: float) -> Inside:
        """What the model does at a step, 1 to S."""
        pair = self.pair(source, skeleton)
        return look_inside(self.model, pair, self.model.noise(1), int(step) - 1)

    def reading(
        self, source: Person | None, inside: Inside | None, place: str, pixel: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The enlarged image with a ring round a pixel (x, y), and what of the source that pixel reads."""
        if source is None or inside is None:
            raise ValueError("press Look inside first")
        if place not in inside.places:
            raise ValueError(f"choose one of {', '.join(inside.places)}")
        height, width = self.model.image_size
        x, y = (min(max(int(value), 0), top - 1) for value, top in zip(pixel, (width, height), strict=True))
        glow = overlay(source.image, inside.reading(inside.places.index(place), (x, y)))
        target = enlarged(to_uint8(inside.image))
        scale = target.shape[0] // height
        # after enlarging, which would blur the ring
        return ring(target, (x * scale + scale // 2, y * scale + scale // 2)), enlarged(glow)

    def pair(self, source: Person | None, skeleton: str) -> Pair:
        """What a rollout takes, from what the page holds."""
        if source is None:
            raise ValueError("choose or upload a person first")
        pose = self._posed(joints_from_text(skeleton, self.model.image_size))
        own = source.maps(self.model) if self.model.needs_source_pose else None
        return self.model.pair(source.image, draw_pose(self.model, pose), own)

    def _posed(self, joints: np.ndarray) -> Pose:
        """The person whose joints these are, whose maps the model may take; else the joints alone."""
        alike = (person for person in self.people if np.allclose(person.joints, joints, atol=0.1, equal_nan=True))
        return next(alike, joints) if self.model.config.data.map_channels else joints

    def _show(self, pair: Pair | list[Pair]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        images: list[np.ndarray] = []
        for image in self.model.stream(pair, self.model.noise(1)):
            images.append(to_uint8(image[0]))
            small = [enlarged(picture, STEP_HEIGHT) for picture in images]
            rows = [small[start : start + COLUMNS] for start in range(0, len(small), COLUMNS)]
            done = "Done: " if len(images) == self.model.num_steps else ""
            status = f"{done}step {len(images)} of {self.model.num_steps}"
            yield enlarged(images[-1]), labelled_grid(rows), status


def build(page: Page) -> gr.Blocks:
    """The page as a Gradio app."""
    with gr.Blocks(title="StepPose", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        gr.Markdown("# StepPose\nOne person, another pose, drawn step by step from coarse to fine.")
        first = page.people[0]
        source, second, inside = gr.State(first), gr.State(None), gr.State(None)
        with gr.Row():
            _source_column(page, source)
            skeleton = _pose_column(page)
        with gr.Tabs():
            with gr.Tab("Draw"):
                _draw_tab(page, source, skeleton)
            with gr.Tab("Mix"):
                _mix_tab(page, source, second, skeleton)
            with gr.Tab("Inside"):
                _inside_tab(page, source, inside, skeleton)
    return app


def _picture(name: str, value: np.ndarray | None = None, height: int | None = SHOWN_HEIGHT, scale: int = 1) -> gr.Image:
    """A picture; its caption stands above it, as a label would lie on it."""
    return gr.Image(
        value,
        format="png",
        show_label=False,
        interactive=False,
        height=height,
        buttons=[],
        scale=scale,
        elem_id=name,
    )


def _gallery(pictures: list[np.ndarray], name: str) -> gr.Gallery:
    return gr.Gallery(
        pictures,
        show_label=False,
        columns=8,
        height=GALLERY_HEIGHT,
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=name,
    )


def _source_column(page: Page, source: gr.State) -> None:
    with gr.Column():
        gr.Markdown("**Person**: choose one, or upload a photograph")
        shown = _picture("person", enlarged(page.people[0].image))
        people = _gallery(page.source_pictures(), "people")
        keypoints = _own_keypoints(page)
        upload = gr.UploadButton("Upload a person", file_types=[".jpg", ".jpeg", ".png", ".webp"], elem_id="upload")

    @in_a_sentence
    def choose(event: gr.SelectData) -> tuple[Person, np.ndarray]:
        person = page.choose(event.index)
        return person, enlarged(person.image)

    @in_a_sentence
    def uploaded(path: str, own: str | None) -> tuple[Person, np.ndarray]:
        person = page.upload_source(path, own)
        return person, enlarged(person.image)

    people.select(choose, None, [source, shown], **LIGHT)
    upload.upload(uploaded, [upload, keypoints], [source, shown], **LIGHT)


def _own_keypoints(page: Page) -> gr.File:
    """Where the keypoints of an uploaded person go, shown if the model looks at them."""
    with gr.Group(visible=page.model.needs_source_pose):
        gr.Markdown(OWN_KEYPOINTS, padding=True)
        return gr.File(show_label=False, file_types=[".txt"], height=90, elem_id="upload-own")


def _pose_column(page: Page) -> Any:
    with gr.Column():
        gr.Markdown("**Pose**: choose one, upload keypoints, or drag the joints")
        skeleton = skeleton_editor(page.model.image_size, joints_to_text(page.people[-1].joints))
        poses = _gallery(page.pose_pictures(), "poses")
        upload = gr.UploadButton("Upload keypoints", file_types=[".txt"], elem_id="upload-pose")

    @in_a_sentence
    def choose(event: gr.SelectData) -> str:
        return joints_to_text(page.choose(event.index).joints)

    poses.select(choose, None, skeleton, **LIGHT)
    upload.upload(in_a_sentence(page.upload_pose), upload, skeleton, **LIGHT)
    return skeleton


def _draw_tab(page: Page, source: gr.State, skeleton: Any) -> None:
    button = gr.Button("Draw", variant="primary", elem_id="draw")
    outputs = _outputs(page, "drawn")
    button.click(in_a_sentence_each(page.draw), [source, skeleton], outputs, **QUEUE)


def _outputs(page: Page, name: str) -> list[Any]:
    status = gr.Markdown("", elem_id=f"{name}-status")
    with gr.Row():
        with gr.Column(scale=1):
            gr.Markdown("**Image**")
            image = _picture(name)
        with gr.Column(scale=3):
            gr.Markdown("**Every step**, from coarse to fine")
            steps = _picture(f"{name}-steps", height=None)
    return [image, steps, status]


def _mix_tab(page: Page, source: gr.State, second: gr.State, skeleton: Any) -> None:
    gr.Markdown("**Second person**: choose one. The person above is drawn until the switch, this one from there on.")
    with gr.Row():
        people = _gallery(page.source_pictures(), "second-people")
        shown = _picture("second", height=GALLERY_HEIGHT)
    top = page.model.num_steps
    label = f"steps drawn with the first person, of {top}"
    switch = gr.Slider(0, top, top // 2, step=1, label=label, elem_id="switch")
    button = gr.Button("Mix", variant="primary", elem_id="mix")
    outputs = _outputs(page, "mixed")

    @in_a_sentence
    def choose(event: gr.SelectData) -> tuple[Person, np.ndarray]:
        person = page.choose(event.index)
        return person, enlarged(person.image)

    people.select(choose, None, [second, shown], **LIGHT)
    button.click(in_a_sentence_each(page.mix), [source, second, skeleton, switch], outputs, **QUEUE)


def _inside_tab(page: Page, source: gr.State, inside: gr.State, skeleton: Any) -> None:
    gr.Markdown(
        "Press *Look inside*, then click into the generated image: the person's picture glows where it is read."
    )
    top = page.model.num_steps
    with gr.Row():
        step = gr.Slider(1, max(top, 2), top, step=1, label="step", elem_id="inside-step", interactive=top > 1)
        place = gr.Dropdown([], label="where", elem_id="place")
    button = gr.Button("Look inside", variant="primary", elem_id="look")
    with gr.Row():
        with gr.Column():
            gr.Markdown("**Generated**: click into it")
            target = _picture("inside-target")
        with gr.Column():
            gr.Markdown("**What that pixel reads** of the person")
            reads = _picture("inside-reads")
    pixel = gr.State((page.model.image_size[1] // 2, page.model.image_size[0] // 2))

    @in_a_sentence
    def look(person: Person | None, pose: str, number: float, at: tuple[int, int]) -> tuple:
        seen = page.look(person, pose, number)
        name = seen.places[-1]
        return seen, gr.Dropdown(seen.places, value=name), *page.reading(person, seen, name, at)

    @in_a_sentence
    def click(person: Person | None, seen: Inside | None, name: str, event: gr.SelectData) -> tuple:
        scale = -(-SHOWN_HEIGHT // page.model.image_size[0])
        at = tuple(int(value) // max(scale, 1) for value in event.index)
        return at, *page.reading(person, seen, name, at)

    @in_a_sentence
    def change(person: Person | None, seen: Inside | None, name: str, at: tuple[int, int]) -> tuple:
        return page.reading(person, seen, name, at)

    button.click(look, [source, skeleton, step, pixel], [inside, place, target, reads], **QUEUE)
    target.select(click, [source, inside, place], [pixel, target, reads], **LIGHT)
    place.input(change, [source, inside, place, pixel], [target, reads], **LIGHT)
