"""The web page as a Gradio app: what stands where, and which event calls what of `Page`."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import gradio as gr

from studio.components import backdrop, clickable, editor, picker
from studio.figures import THUMB_HEIGHT, picture
from studio.page import MOTIONS, Page, Source
from studio.uploads import Photo, joints_to_text

UPLOADS = [".jpg", ".jpeg", ".png", ".webp", ".txt", ".json"]
CHOOSE = "**Person**: choose one, or upload a photograph"
OWN_PHOTO = (
    "**Person**: drag each joint to its place in your photograph, or out of it if it cannot be seen; or upload "
    "keypoints too. The photograph is cropped to its joints. "
    "Trained on drawn people, a model draws real ones like them."
)
# one draws at a time: everyone else waits in the queue, with their own place in it shown
QUEUE: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "api_visibility": "private",
    "show_progress": "minimal",
}
LIGHT: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class App(gr.Blocks):
    """Gradio's app, which answers bad input with a sentence and leaves no trace of it in the log."""

    async def preprocess_data(self, *arguments: Any, **options: Any) -> Any:
        """What came from the browser, checked by the components."""
        try:
            return await super().preprocess_data(*arguments, **options)
        # components fail in many ways on values of other types
        except Exception as error:
            if os.environ.get("STEPPOSE_TRACEBACK"):
                raise
            raise gr.Error("this is not what the page sends", print_exception=False) from error

    async def call_function(self, *arguments: Any, **options: Any) -> Any:
        """What an event gives."""
        try:
            return await super().call_function(*arguments, **options)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None


class Column(NamedTuple):
    """What is chosen (a place among the people, a photograph, or None), its joints, and the pictures to choose from."""

    state: gr.State
    editor: Any
    picker: Any


def build(page: Page) -> gr.Blocks:
    """The whole page."""
    names = page.choices.names
    with App(title="StepPose", analytics_enabled=False) as app:
        with gr.Row(equal_height=True, elem_classes="head"):
            gr.Markdown("# StepPose\nOne person, another pose, drawn step by step from coarse to fine.")
            model = gr.Dropdown(
                names, value=names[0], label="Model", elem_id="model", scale=0, min_width=240, visible=len(names) > 1
            )
        with gr.Row():
            (person, kept), pose = _person_column(page, model), _pose_column(page, model)
        inputs = [model, person.state, person.editor, pose.state, pose.editor]
        with gr.Tabs():
            with gr.Tab("Draw"):
                _draw_tab(page, [*inputs, kept])
            with gr.Tab("Mix"):
                second, switch = _mix_tab(page, inputs)
            with gr.Tab("Inside"):
                step = _inside_tab(page, inputs)
            with gr.Tab("Motion"):
                _motion_tab(page, inputs[:3], kept)

        def change(name: str, source: Source) -> tuple:
            choice, pictures = page.choices[name], _people(page, name)
            shown = gr.skip()
            if not isinstance(source, Photo):
                source = min(source, len(pictures) - 1)
                shown = gr.HTML(**_shown(page, name, source))
            people, second, poses = (gr.HTML(pictures=each) for each in (pictures, pictures, _poses(page, name)))
            sliders = _switch_slider(choice.model.num_steps), _step_slider(choice.model.num_steps)
            return source, shown, people, poses, second, *sliders

        outputs = [person.state, person.editor, person.picker, pose.picker, second, switch, step]
        model.input(change, [model, person.state], outputs, **LIGHT)
    return app


def _people(page: Page, name: str) -> list[str]:
    return [picture(person.image, THUMB_HEIGHT) for person in page.choices[name].people]


def _poses(page: Page, name: str) -> list[str]:
    return [picture(page.pose_picture(name, person), THUMB_HEIGHT) for person in page.choices[name].people]


def _shown(page: Page, name: str, place: object) -> dict[str, Any]:
    """One of the people, as the properties of an editor."""
    person = page.chosen(name, place)
    return {"value": joints_to_text(person.joints, person.image.shape[:2]), **backdrop(person.image, False)}


def _person_column(page: Page, model: gr.Dropdown) -> tuple[Column, gr.State]:
    """The person, and the further photographs that are kept."""
    first = page.choices.names[0]
    with gr.Column():
        note = gr.Markdown(CHOOSE, elem_id="person-note")
        with gr.Row(elem_classes="side"):
            person = page.chosen(first, 0)
            shown = editor("person", joints_to_text(person.joints, person.image.shape[:2]), person.image, False)
            people = picker("people", _people(page, first))
        upload = gr.UploadButton("Upload a photograph", file_types=UPLOADS, size="sm", elem_id="upload")
        with gr.Row():
            keep = gr.Button("Keep it, add another photograph", size="sm", elem_id="keep")
            forget = gr.Button("Forget those kept", size="sm", elem_id="forget")
        pictures = gr.HTML("", elem_id="kept")
    state, kept = gr.State(0), gr.State([])

    def choose(name: str, place: object) -> tuple:
        return place, gr.HTML(**_shown(page, name, place)), CHOOSE

    def uploaded(name: str, path: str, old: Source) -> tuple:
        photo, text = page.upload(name, path, old)
        return photo, gr.HTML(text, **backdrop(photo.image, True)), gr.HTML(-1), OWN_PHOTO

    people.select(choose, [model, people], [state, shown, note], **LIGHT)
    upload.upload(uploaded, [model, upload, state], [state, shown, people, note], **LIGHT)
    keep.click(page.keep, [model, state, shown, kept], [kept, pictures], **LIGHT)
    forget.click(lambda: ([], ""), None, [kept, pictures], **LIGHT)
    return Column(state, shown, people), kept


def _pose_column(page: Page, model: gr.Dropdown) -> Column:
    first = page.choices.names[0]
    with gr.Column():
        gr.Markdown("**Pose**: choose one and drag its joints, or upload keypoints or a photograph")
        with gr.Row(elem_classes="side"):
            place = len(page.choices[first].people) - 1
            skeleton = editor("skeleton", _shown(page, first, place)["value"], None, True)
            poses = picker("poses", _poses(page, first), place)
        upload = gr.UploadButton(
            "Upload keypoints or a photograph of a pose", file_types=UPLOADS, size="sm", elem_id="upload-pose"
        )
    state = gr.State(None)

    def choose(name: str, place: object) -> tuple:
        return None, gr.HTML(_shown(page, name, place)["value"], **backdrop(None, True))

    def uploaded(name: str, path: str) -> tuple:
        photo, text = page.upload_pose(name, path)
        return photo, gr.HTML(text, **backdrop(photo and photo.image, True)), gr.HTML(-1)

    poses.select(choose, [model, poses], [state, skeleton], **LIGHT)
    upload.upload(uploaded, [model, upload], [state, skeleton, poses], **LIGHT)
    return Column(state, skeleton, poses)


def _draw_tab(page: Page, inputs: list[Any]) -> None:
    button = gr.Button("Draw", variant="primary", elem_id="draw")
    button.click(page.draw, inputs, gr.HTML("", elem_id="drawn"), **QUEUE)


def _motion_tab(page: Page, person: list[Any], kept: gr.State) -> None:
    gr.Markdown("The person above, from all photographs that are kept, in a motion: poses of a synthetic person.")
    motion = gr.Radio(list(MOTIONS), value=next(iter(MOTIONS)), label="motion", elem_id="motion")
    button = gr.Button("Animate", variant="primary", elem_id="animate")
    button.click(page.animate, [*person, motion, kept], gr.HTML("", elem_id="moved"), **QUEUE)


def _mix_tab(page: Page, inputs: list[Any]) -> tuple[Any, gr.Slider]:
    first = page.choices.names[0]
    gr.Markdown("**Second person**: the person above is drawn for the first steps, this one from there on.")
    second = picker("second-people", _people(page, first), 1)
    switch = _switch_slider(page.choices[first].model.num_steps)
    button = gr.Button("Mix", variant="primary", elem_id="mix")
    button.click(page.mix, [*inputs, second, switch], gr.HTML("", elem_id="mixed"), **QUEUE)
    return second, switch


def _switch_slider(num_steps: int) -> gr.Slider:
    label = f"steps drawn with the first person, of {num_steps}"
    return gr.Slider(0, num_steps, num_steps // 2, step=1, label=label, elem_id="switch")


def _step_slider(num_steps: int) -> gr.Slider:
    return gr.Slider(
        1, max(num_steps, 2), num_steps, step=1, label="step", elem_id="inside-step", interactive=num_steps > 1
    )


def _inside_tab(page: Page, inputs: list[Any]) -> gr.Slider:
    gr.Markdown("Press *Look inside*, then click into the generated image: the person glows where it is read.")
    with gr.Row():
        step = _step_slider(page.choices[page.choices.names[0]].model.num_steps)
        place = gr.Dropdown([], label="where", elem_id="place")
    button = gr.Button("Look inside", variant="primary", elem_id="look")
    with gr.Row():
        target, reads = clickable("inside-target"), gr.HTML("", elem_id="inside-reads")
    seen, at = gr.State(None), gr.State((0.5, 0.5))

    def look(*arguments: Any) -> tuple:
        *given, pixel = arguments
        new = page.look(*given)
        name = new.inside.places[-1]
        return new, gr.Dropdown(new.inside.places, value=name), *page.reading(new, name, pixel)

    def click(new: Any, name: object, event: gr.EventData) -> tuple:
        pixel = _pixel(event)
        return pixel, *page.reading(new, name, pixel)

    button.click(look, [*inputs, step, at], [seen, place, target, reads], **QUEUE)
    target.select(click, [seen, place], [at, target, reads], **LIGHT)
    place.input(page.reading, [seen, place, at], [target, reads], **LIGHT)
    return step


def _pixel(event: gr.EventData) -> tuple[float, float]:
    """Where in a picture was clicked, in shares of its size."""
    try:
        x, y = (min(max(float(event._data[axis]), 0.0), 1.0) for axis in "xy")
    except (TypeError, ValueError, LookupError):
        raise ValueError("click into the picture") from None
    return x, y
