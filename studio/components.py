"""The page's own parts: pictures to choose from, a photograph with joints to drag, a picture to click into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from images.joints import JOINTS
from images.skeleton import COLOURS, SKELETON_LIMBS
from metrics.html import image_address
from studio.figures import SHOWN_HEIGHT

CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
footer { display: none !important; }
figure { margin: 0; width: min-content; }
figcaption { text-align: center; font-size: .85rem; opacity: .75; margin-top: .25rem; }
figure img, .picker img, .editor svg { display: block; image-rendering: pixelated; max-width: none; border-radius: 4px;
  box-shadow: 0 0 0 1px rgb(128 128 128 / .3); }
.result { display: flex; gap: 1.5rem; align-items: flex-start; overflow-x: auto; min-height: 27rem; padding: 1px; }
.result .small { display: flex; flex-wrap: wrap; gap: .75rem; flex: 1 1 16rem; }
.kept { min-height: 0; gap: .5rem; }
.picker { display: flex; flex-wrap: wrap; gap: .3rem; max-height: 25rem; overflow-y: auto; }
.picker button { padding: 2px; border: 3px solid transparent; border-radius: 8px; background: none; cursor: pointer; }
.picker button[aria-pressed=true] { border-color: var(--color-accent); }
.side { display: grid !important; grid-template-columns: minmax(0, max-content) minmax(8rem, 1fr); }
.side > * { min-width: 0 !important; }
@media (max-width: 40rem) { .side, .head { display: block !important; } .result { flex-wrap: wrap; } }
.editor svg { max-width: 100%; height: auto; background: rgb(17 24 39); user-select: none; }
.editor [data-joint] { cursor: grab; touch-action: none; }
.editor .buttons { display: flex; flex-wrap: wrap; gap: .3rem; margin-top: .4rem; min-height: 1.6rem;
  width: 0; min-width: 100%; }
.editor .buttons button { font-size: .75rem; padding: 0 .5rem; border-radius: 999px; cursor: pointer;
  border: 1px solid var(--border-color-primary); background: none; }
#inside-target img { cursor: crosshair; }
"""

# Drawn from the value alone, so that whatever sets it (a chosen pose, an upload, a drag) is shown.
_EDITOR = """
<div class="editor">${(() => {
  const {size: [height, width], joints} = JSON.parse(value);
  const box = view || [0, 0, width, height], unit = box[3] / 256;
  const shown = height < 384 ? Math.round(384 / height) * height : 384;
  const tag = (name, attributes, inside = '') => '<' + name + Object.entries(attributes).map(
    ([key, text]) => ' ' + key + '="' + text + '"').join('') + '>' + inside + '</' + name + '>';
  const line = (a, b, more) => tag('line', {'data-limb': a + ',' + b, x1: joints[a][0], y1: joints[a][1],
    x2: joints[b][0], y2: joints[b][1], 'stroke-linecap': 'round', ...more});
  const limb = ([a, b], i) => joints[a] && joints[b]
    ? line(a, b, {stroke: 'white', 'stroke-opacity': 0.5, 'stroke-width': 4.5 * unit})
      + line(a, b, {stroke: colours[i], 'stroke-width': 3 * unit}) : '';
  const joint = (p, i) => p ? tag('circle', {'data-joint': i, cx: p[0], cy: p[1], r: 4 * unit, fill: colours[i],
    stroke: 'white', 'stroke-width': unit}, tag('title', {}, names[i])) : '';
  const add = (p, i) => p ? '' : tag('button', {type: 'button', 'data-add': i}, '+ ' + names[i]);
  const image = photo ? tag('image', {href: photo, width, height,
    style: 'image-rendering:' + (height < 384 ? 'pixelated' : 'auto')}) : '';
  const skeleton = draggable ? limbs.map(limb).join('') + joints.map(joint).join('') : '';
  const zoom = photo ? tag('button', {type: 'button', 'data-zoom': ''}, view ? 'whole picture' : 'zoom in') : '';
  return tag('svg', {viewBox: box.join(' '), height: shown, width: shown * box[2] / box[3],
      role: 'application', 'aria-label': draggable ? 'skeleton; drag a joint to move it' : 'the person'},
      image + skeleton) + tag('div', {class: 'buttons'}, draggable ? zoom + joints.map(add).join('') : '');
})()}</div>
"""

_DRAG = """
let held = null;
const change = (joint, place) => {
  const pose = JSON.parse(props.value);
  pose.joints[joint] = place;
  props.value = JSON.stringify(pose);
};
const place = (event) => {
  const svg = element.querySelector('svg');
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [Math.round(point.x * 10) / 10, Math.round(point.y * 10) / 10];
};
element.addEventListener('pointerdown', (event) => {
  held = event.target.dataset?.joint ?? null;
  if (held !== null) event.preventDefault();
});
window.addEventListener('pointermove', (event) => {
  if (held === null) return;
  const [x, y] = place(event), circle = element.querySelector('[data-joint="' + held + '"]');
  circle.setAttribute('cx', x); circle.setAttribute('cy', y);
  element.querySelectorAll('[data-limb]').forEach((line) => line.dataset.limb.split(',').forEach((joint, end) => {
    if (joint === held) { line.setAttribute('x' + (end + 1), x); line.setAttribute('y' + (end + 1), y); }
  }));
});
window.addEventListener('pointerup', (event) => {
  if (held === null) return;
  const [x, y] = place(event), box = element.querySelector('svg').viewBox.baseVal, joint = held;
  held = null;
  change(joint, x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height ? [x, y] : null);
});
const joints_box = () => {
  const {size: [height, width], joints} = JSON.parse(props.value), found = joints.filter(Boolean);
  const sides = [0, 1].map((axis) => found.map((joint) => joint[axis])), ends = (f) => sides.map((side) => f(...side));
  const [low, high] = [ends(Math.min), ends(Math.max)], room = 0.2 * Math.max(high[0] - low[0], high[1] - low[1], 20);
  const [left, top] = low.map((v) => Math.max(v - room, 0));
  return [left, top, Math.min(high[0] + room, width) - left, Math.min(high[1] + room, height) - top];
};
element.addEventListener('click', (event) => {
  const {add, zoom} = event.target.dataset ?? {};
  const {x, y, width, height} = element.querySelector('svg').viewBox.baseVal;
  if (add !== undefined) change(add, [x + width / 2, y + height / 2]);
  if (zoom !== undefined) props.view = props.view ? null : joints_box();
});
"""

_PICKER = """
<div class="picker">${pictures.map((picture, i) => '<button type="button" data-index="' + i + '" aria-pressed="'
  + (i === value) + '" aria-label="choice ' + (i + 1) + '">' + picture + '</button>').join('')}</div>
"""

_PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-index]');
  if (!button) return;
  props.value = Number(button.dataset.index);
  trigger('select');
});
"""

_CLICK = """
element.addEventListener('click', (event) => {
  if (event.target.tagName !== 'IMG') return;
  const box = event.target.getBoundingClientRect();
  trigger('select', {x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height});
});
"""


def editor(name: str, value: str, photo: np.ndarray | None, draggable: bool) -> Any:
    """A picture with joints to drag. Its value is the joints as `uploads.joints_to_text` writes them."""
    constants: dict[str, Any] = {
        "limbs": [list(limb) for limb in SKELETON_LIMBS],
        "colours": [f"rgb({red},{green},{blue})" for red, green, blue in COLOURS],
        "names": [joint.replace("_", " ") for joint in JOINTS],
    }
    return gr.HTML(
        value, html_template=_EDITOR, js_on_load=_DRAG, elem_id=name, **backdrop(photo, draggable), **constants
    )


def backdrop(photo: np.ndarray | None, draggable: bool) -> dict[str, Any]:
    """What of an editor is no joint: the picture below, whether the joints are shown, and what of it is seen: all."""
    large = photo is not None and photo.shape[0] > SHOWN_HEIGHT
    address = "" if photo is None else image_address(photo, lossless=not large)
    return {"photo": address, "draggable": draggable, "view": None}


def picker(name: str, pictures: Sequence[str], value: int = 0) -> Any:
    """Pictures of which one is chosen: its place is the value, and `select` says that it changed."""
    return gr.HTML(value, html_template=_PICKER, js_on_load=_PICK, elem_id=name, pictures=list(pictures))


def clickable(name: str) -> Any:
    """A picture, as HTML, into which one clicks: `select` says where, in shares of its width and height."""
    return gr.HTML("", js_on_load=_CLICK, elem_id=name)
