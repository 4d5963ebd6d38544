"""The page's skeleton: joints that a person drags with mouse or finger."""

from __future__ import annotations

import json
from typing import Any

from data.openpose import COLOURS, SKELETON_LIMBS
from images.joints import JOINTS

# The drawing is made from the value alone, so that whatever sets it (a chosen pose, an upload, a drag) is shown.
_TEMPLATE = """
<svg viewBox="0 0 WIDTH HEIGHT" role="application" aria-label="skeleton; drag a joint to move it"
  style="display: block; height: 384px; max-width: 100%; margin: 0 auto; touch-action: none; border-radius: 8px;
  background: #111827">
${(() => {
  const joints = JSON.parse(value || "[]"), colours = COLOURS, names = NAMES, unit = HEIGHT / 256;
  const limb = ([a, b], i) => joints[a] && joints[b] ? '<line data-limb="' + a + ',' + b + '" x1="' + joints[a][0]
    + '" y1="' + joints[a][1] + '" x2="' + joints[b][0] + '" y2="' + joints[b][1] + '" stroke="' + colours[i]
    + '" stroke-opacity="0.6" stroke-linecap="round" stroke-width="' + 5 * unit + '"/>' : '';
  const joint = (p, i) => p ? '<circle data-joint="' + i + '" cx="' + p[0] + '" cy="' + p[1] + '" r="' + 4.5 * unit
    + '" fill="' + colours[i] + '" stroke="white" stroke-width="' + unit + '" style="cursor: grab"><title>'
    + names[i] + '</title></circle>' : '';
  return LIMBS.map(limb).join('') + joints.map(joint).join('');
})()}
</svg>
"""

_DRAG = """
let held = null;
const place = (event) => {
  const svg = element.querySelector('svg');
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const {width, height} = svg.viewBox.baseVal;
  const round = (v, top) => Math.round(Math.min(Math.max(v, 0), top - 1) * 10) / 10;
  return [round(point.x, width), round(point.y, height)];
};
element.addEventListener('pointerdown', (event) => {
  held = event.target.dataset ? event.target.dataset.joint ?? null : null;
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
  const joints = JSON.parse(props.value);
  joints[held] = place(event);
  held = null;
  props.value = JSON.stringify(joints);
});
"""


def skeleton_editor(size: tuple[int, int], value: str) -> Any:
    """A Gradio component for images of (H, W). Its value is the joints as `uploads.joints_to_text` writes them."""
    import gradio as gr

    colours = [f"rgb({r},{g},{b})" for r, g, b in COLOURS]
    parts = {"COLOURS": colours, "NAMES": [name.replace("_", " ") for name in JOINTS], "LIMBS": SKELETON_LIMBS}
    template = _TEMPLATE.replace("WIDTH", str(size[1])).replace("HEIGHT", str(size[0]))
    for name, part in parts.items():
        template = template.replace(name, json.dumps(part))
    return gr.HTML(value, html_template=template, js_on_load=_DRAG, elem_id="skeleton", label="pose")
