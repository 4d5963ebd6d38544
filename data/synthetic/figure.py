"""One picture of a person: parts from back to front, and which joints can be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from data.synthetic import head
from data.synthetic.canvas import RGB, Bytes, Canvas, Floats, Mask, Texture, Tube, ellipse, ribbon
from data.synthetic.clothes import TORSO_TOP, Closet, Tailored, leg_cut, sleeve_radii, solid, tailor, trousers_waist
from data.synthetic.people import Person, Skirt, Top, Trousers
from data.synthetic.pose import ARMS, EARS, EYES, LEGS, NOSE, SIGN, Camera, Pose, yaw_matrix
from data.synthetic.shape import (
    Stage,
    arm_radii,
    leg_radii,
    limb_tubes,
    neck_tube,
    skirt_tube,
    thicker,
    torso_tube,
)

TORSO, HEAD, SKIRT = 1, head.GROUP, 7
GROUPS = {"right arm": 3, "left arm": 4, "right leg": 5, "left leg": 6}
TORSO_JOINTS = (1, 2, 5, 8, 11)
CAMERA_DROP = 0.22  # feet are seen from a little above: metres down a metre towards the viewer


@dataclass(frozen=True)
class Model:
    """A person ready to be drawn: all textures made."""

    person: Person
    closet: Closet
    head: head.HeadTextures
    skin: Texture
    shoe: Texture


def make_model(person: Person, per_metre: float, seed: int) -> Model:
    """Make a person's textures once for all views."""
    textures = head.make_head(person, per_metre, seed)
    return Model(
        person, tailor(person, per_metre), textures, solid(person.looks.skin), solid(person.outfit.shoe_colour)
    )


def draw(model: Model, pose: Pose, camera: Camera, size: tuple[int, int]) -> tuple[Bytes, Floats]:
    """Draw a person.

    Args:
        size: height and width, pixels.

    Returns:
        (H, W, 3) uint8 RGB image and (18, 2) joints in pixels, NaN where hidden or out of the frame.
    """
    canvas = Canvas(*size, camera.scale)
    stage = Stage(model.person.body, pose, camera)
    head.paint_back_hair(canvas, stage, model.person, model.head)
    arms = {side: float(stage.depth[list(ARMS[side])] @ (0.2, 0.4, 0.4)) - _torso_depth(stage) for side in ARMS}
    for side in sorted(arms, key=lambda name: arms[name]):
        if arms[side] < -0.035:
            _paint_arm(canvas, stage, model, side)
    _paint_lower_body(canvas, stage, model)
    _paint_upper_body(canvas, stage, model)
    head.paint_head(canvas, stage, model.person, model.head)
    for side in sorted(arms, key=lambda name: arms[name]):
        if arms[side] >= -0.035:
            _paint_arm(canvas, stage, model, side)
    return canvas.image, np.where(_seen(canvas, stage, model)[:, None], stage.pixels, np.nan)


def _torso_depth(stage: Stage) -> float:
    return float(stage.depth[list(TORSO_JOINTS)].mean())


def _paint_lower_body(canvas: Canvas, stage: Stage, model: Model) -> None:
    if model.closet.leg is not None:  # the seat of the trousers, which the legs then overlap
        seat = replace(model.closet.lower, opaque=True)
        canvas.paint(_trousers_top(stage), seat, stage.facing, TORSO)
    for side in sorted(LEGS, key=lambda name: stage.depth[list(LEGS[name])][1:].sum()):
        _paint_leg(canvas, stage, model, side)


def _trousers_top(stage: Stage) -> Tube:
    return torso_tube(stage, trousers_waist(stage.body), 0.645, ease=0.008)


def _paint_leg(canvas: Canvas, stage: Stage, model: Model, side: str) -> None:
    outfit, group, chain = model.person.outfit, GROUPS[f"{side} leg"], LEGS[side]
    bare, lower = leg_radii(stage.body), outfit.lower

    def cover(texture: Texture, radii: Floats, start: float = 0.0, end: float = 2.0, bulge: float = 0.0) -> None:
        for tube in limb_tubes(stage, chain, radii, end, start, bulge):
            canvas.paint(tube, texture, stage.facing, group)

    canvas.shadow([tube.outlines()[0] for tube in limb_tubes(stage, chain, bare)], 0.03 * stage.camera.scale, 0.3)
    covered = lower.length if isinstance(lower, Trousers) else 0.0
    cover(model.skin, bare, start=max(0.0, 2 * covered - 0.4))
    if outfit.socks and outfit.shoes == "sneaker":
        cover(solid(outfit.socks), thicker(bare, 0.003), start=1.72)
    _paint_shoe(canvas, stage, model, side)
    if outfit.shoes == "boot":
        cover(model.shoe, thicker(bare, 0.008), start=1.45)
    if isinstance(lower, Trousers) and model.closet.leg is not None:
        cover(model.closet.leg, leg_cut(lower, stage.body), end=2 * lower.length, bulge=0.14)


def _paint_shoe(canvas: Canvas, stage: Stage, model: Model, side: str) -> None:
    outfit, group = model.person.outfit, GROUPS[f"{side} leg"]
    low = outfit.shoes in ("pump", "flat")
    upper = [(-0.05, 0.022, -0.02), (0.0, 0.03, -0.035), (0.09, 0.036, -0.055), (0.15, 0.026, -0.06)]
    collar = [(-0.045, 0.027, 0.012), (0.03, 0.028, 0.006)]
    sole = [(-0.06, 0.028, -0.088), (0.0, 0.032, -0.088), (0.1, 0.043, -0.088), (0.15, 0.032, -0.088),
            (0.176, 0.012, -0.084)]  # fmt: skip
    if low:
        foot = [(-0.04, 0.026, 0.01), (0.03, 0.027, 0.0), (0.13, 0.034, -0.065), (0.16, 0.02, -0.075), *sole]
        _paint_hull(canvas, stage, side, foot, _tint(model.person.looks.skin, 0.93), group)
        rim = [(-0.062, 0.026, -0.045), (-0.03, 0.033, -0.066), (0.08, 0.043, -0.07), (0.13, 0.036, -0.062)]
        _paint_hull(canvas, stage, side, rim + sole, outfit.shoe_colour, group)
    else:
        _paint_hull(canvas, stage, side, upper + collar + sole, outfit.shoe_colour, group)
    rubber = [(f, across, up + 0.022) for f, across, up in sole]
    dark = _tint(outfit.shoe_colour, 0.55)
    _paint_hull(canvas, stage, side, sole + rubber[: None if outfit.shoes == "sneaker" else 0],
                (232, 232, 228) if outfit.shoes == "sneaker" else dark, group)  # fmt: skip


def _paint_hull(
    canvas: Canvas, stage: Stage, side: str, half: list[tuple[float, float, float]], colour: RGB, group: int
) -> None:
    """Fill the outline of a shoe's points: (forward, outward, up) metres from the ankle, mirrored across."""
    forward, across, up = np.array(half).T
    points = np.concatenate([np.stack([sign * across, up, forward], -1) for sign in (-1, 1)])
    points = points @ yaw_matrix(0.16 * SIGN[side]).T
    ankle = stage.pose.joints[LEGS[side][2]]
    pixels = stage.camera.project(ankle + points)
    pixels[:, 1] += CAMERA_DROP * stage.camera.scale * stage.camera.turn(points)[:, 2]
    hull = cv2.convexHull(pixels.astype(np.float32))[:, 0].astype(float)
    canvas.shape(hull, colour)
    canvas.own(hull, group)


def _tint(colour: RGB, factor: float) -> RGB:
    return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))


def _paint_upper_body(canvas: Canvas, stage: Stage, model: Model) -> None:
    """Neck, torso, top, lower garment and jacket, in the order in which they are put on."""
    outfit, closet = model.person.outfit, model.closet
    canvas.paint(neck_tube(stage), model.skin, stage.facing, TORSO)
    chin = ellipse(stage.head_pixels(np.array([0, -0.085, 0.03])), *(stage.camera.scale * np.array([0.05, 0.035])))
    canvas.shadow([chin], 0.02 * stage.camera.scale, 0.45)
    canvas.paint(torso_tube(stage, TORSO_TOP, 0.46), model.skin, stage.facing, TORSO)
    if outfit.tucked:
        tuck = min(outfit.top.hem, 0.005 + (trousers_waist(stage.body) if model.closet.leg is not None else 0.385))
        _paint_top(
            canvas,
            stage,
            replace(outfit.top, hem=tuck, ease=min(outfit.top.ease, 0.004)),
            closet.top,
        )
    _paint_lower(canvas, stage, outfit.lower, closet.lower)
    if not outfit.tucked:
        _paint_top(canvas, stage, outfit.top, closet.top)
    if outfit.outer and closet.outer:
        _paint_top(canvas, stage, outfit.outer, closet.outer)


def _paint_lower(canvas: Canvas, stage: Stage, lower: Trousers | Skirt, texture: Texture) -> None:
    if isinstance(lower, Skirt):
        tube = skirt_tube(stage, lower.waist, lower.hem, lower.flare)
        canvas.shadow(tube.outlines(), 0.04 * stage.camera.scale, 0.35)
        canvas.paint(tube, texture, stage.facing, SKIRT)
    else:
        canvas.paint(_trousers_top(stage), texture, stage.facing, TORSO)


def _paint_top(canvas: Canvas, stage: Stage, top: Top, textures: Tailored) -> None:
    if top.hem > 0.64:  # a coat hangs like a skirt
        tube = skirt_tube(stage, TORSO_TOP, top.hem, 0.03, top.ease)
    else:
        tube = torso_tube(stage, TORSO_TOP, top.hem, top.ease, bulge=0.1)
    canvas.paint(tube, textures.torso, stage.facing, TORSO)
    if textures.neck is not None:
        canvas.paint(neck_tube(stage, ease=0.008), textures.neck, stage.facing, TORSO)


def _paint_arm(canvas: Canvas, stage: Stage, model: Model, side: str) -> None:
    outfit, closet, group, chain = model.person.outfit, model.closet, GROUPS[f"{side} arm"], ARMS[side]
    bare = arm_radii(stage.body)
    canvas.shadow([tube.outlines()[0] for tube in limb_tubes(stage, chain, bare)], 0.035 * stage.camera.scale, 0.32)
    _paint_hand(canvas, stage, model, side)
    covered = max(outfit.top.sleeve, outfit.outer.sleeve if outfit.outer else 0.0)
    for tube in limb_tubes(stage, chain, bare, start=max(0.0, 2 * covered - 0.4)):
        canvas.paint(tube, model.skin, stage.facing, group)
    for top, textures in ((outfit.top, closet.top), (outfit.outer, closet.outer)):
        if top and textures and textures.sleeve is not None:
            for tube in limb_tubes(stage, chain, sleeve_radii(top, bare), end=2 * top.sleeve, bulge=0.14):
                canvas.paint(tube, textures.sleeve, stage.facing, group)


def _paint_hand(canvas: Canvas, stage: Stage, model: Model, side: str) -> None:
    """A relaxed hand: palm and fingers in line with the forearm, the thumb towards the body's front."""
    _, elbow, wrist = stage.pixels[list(ARMS[side])]
    scale = stage.camera.scale * (0.92 if stage.body.sex == "WOMEN" else 1.04)
    bone = wrist - elbow
    direction = bone / max(float(np.linalg.norm(bone)), 1e-6)
    reach = max(float(np.linalg.norm(bone)) / (stage.camera.scale * stage.body.forearm), 0.45)
    across = np.array([-direction[1], direction[0]])
    steps = np.array([-0.01, 0.02, 0.05, 0.085, 0.12, 0.15, 0.165]) * scale * reach
    palm = wrist + direction * steps[:, None] + across * (np.array([0, 0, 0, 0, 0.002, 0.005, 0.008]) * scale)[:, None]
    thumb_side = -1.0 if np.sin(stage.facing) * SIGN[side] > 0.5 else 1.0
    inward = across * (thumb_side if (across[0] * SIGN[side] * np.cos(stage.facing) < 0) else -thumb_side)
    thumb = wrist + direction * (np.array([0.015, 0.045, 0.075, 0.09]) * scale * reach)[:, None]
    thumb = thumb + inward * (np.array([0.012, 0.032, 0.04, 0.038]) * scale)[:, None]
    skin = model.person.looks.skin
    canvas.shape(ribbon(thumb, np.array([0.024, 0.022, 0.018, 0.008]) * scale), _tint(skin, 0.9))
    outline = ribbon(palm, np.array([0.044, 0.056, 0.068, 0.066, 0.056, 0.036, 0.012]) * scale)
    canvas.shape(outline, _tint(skin, 0.95))
    canvas.own(outline, GROUPS[f"{side} arm"])
    for offset in (-0.014, 0.001, 0.016):
        line = palm[3:6] + across * offset * scale
        canvas.shape(ribbon(line, np.array([0.0015, 0.0026, 0.002]) * scale), _tint(skin, 0.68), 0.8)


def _seen(canvas: Canvas, stage: Stage, model: Model) -> Mask:
    """(18,) whether each joint is in the frame and not behind another part."""
    height, width = canvas.owner.shape
    pixels = stage.pixels
    # the recorded frame ends at 255 (175 across): what lies beyond it cannot be written down
    seen = (pixels >= 0).all(1) & (pixels[:, 1] * 256 / height <= 255) & (pixels[:, 0] * 176 / width <= 175)
    yaw = -stage.head_facing
    seen[NOSE] &= np.cos(yaw) > -0.2 and _on_top(canvas, pixels[NOSE], 0.012 * stage.camera.scale, (HEAD,))
    for side, sign in SIGN.items():
        seen[EYES[side]] &= head.eye_depth(stage, sign) > 0.012
        seen[EARS[side]] &= head.ear_depth(stage, sign) > -0.03 and not head.hidden_ears(model.person)
        for joint in (EYES[side], EARS[side]):
            seen[joint] &= _on_top(canvas, pixels[joint], 0.008 * stage.camera.scale, (HEAD,))
        for joint in ARMS[side][1:]:
            seen[joint] &= _on_top(canvas, pixels[joint], 0.018 * stage.camera.scale, (GROUPS[f"{side} arm"],))
        for joint in LEGS[side][1:]:
            allowed = (GROUPS[f"{side} leg"], SKIRT, TORSO)
            seen[joint] &= _on_top(canvas, pixels[joint], 0.03 * stage.camera.scale, allowed)
    return seen


def _on_top(canvas: Canvas, point: Floats, reach: float, groups: tuple[int, ...]) -> bool:
    """Whether one of the groups is topmost anywhere within `reach` pixels of a point."""
    x, y = np.round(point).astype(int)
    radius = max(1, round(reach))
    if x + radius < 0 or y + radius < 0:
        return False
    window = canvas.owner[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
    return bool(np.isin(window, groups).any())
