"""Heads: skin, face, ears and hair, from any side."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.canvas import RGB, Bytes, Canvas, Floats, Texture, Tube, ellipse, ribbon, smooth
from data.synthetic.fabric import Patch, edge
from data.synthetic.people import Looks, Person
from data.synthetic.pose import EAR, EYE, NOSE_TIP, SIGN
from data.synthetic.shape import HEAD, Stage, head_tube

GROUP = 2
INK: RGB = (38, 28, 28)


@dataclass(frozen=True)
class HairStyle:
    """The shape of hair.

    Attributes:
        opening: half angle of the face's opening, degrees.
        end: height of the lowest hair above the head's centre, metres.
        volume: metres that it stands off the skull; `lift` more on top.
        curl: depth of the waves of its outline, metres.
        tail: None, "pony" or "bun".
    """

    opening: float
    end: float
    volume: float
    lift: float = 0.0
    curl: float = 0.0
    tail: str | None = None

    @property
    def covers_ears(self) -> bool:
        return self.end < -0.09


HAIRSTYLES: dict[str, HairStyle | None] = {
    "long": HairStyle(60, -0.34, 0.016),
    "wavy": HairStyle(58, -0.29, 0.024, curl=0.008),
    "bob": HairStyle(62, -0.135, 0.02),
    "ponytail": HairStyle(82, -0.075, 0.009, tail="pony"),
    "bun": HairStyle(80, -0.075, 0.01, tail="bun"),
    "short": HairStyle(72, -0.08, 0.014, lift=0.006),
    "crop": HairStyle(72, -0.075, 0.005),
    "quiff": HairStyle(72, -0.075, 0.008, lift=0.028),
    "curly": HairStyle(66, -0.085, 0.03, lift=0.012, curl=0.006),
    "bald": None,
}


@dataclass(frozen=True)
class HeadTextures:
    """What is painted on a head; `hair` is None for a bald one."""

    skin: Texture
    hair: Texture | None


def make_head(person: Person, per_metre: float, seed: int) -> HeadTextures:
    """The textures of a person's head; `seed` is of the hair's strands."""
    looks = person.looks
    style = HAIRSTYLES[looks.hair]
    skin = _skin(looks, Patch(-0.12, 0.12, 0.5, per_metre))
    return HeadTextures(skin, _hair(looks, style, per_metre, seed) if style else None)


def hidden_ears(person: Person) -> bool:
    """Whether the hair lies over the ears."""
    style = HAIRSTYLES[person.looks.hair]
    return style is not None and style.covers_ears


def _skin(looks: Looks, patch: Patch) -> Texture:
    """Skin with rosy cheeks and, for some, a beard."""
    angle = (patch.turn() * 2 * np.pi + np.pi) % (2 * np.pi) - np.pi
    height = -patch.along()
    image = np.ones((*patch.size, 1)) * np.array(looks.skin, float)
    cheek = np.exp(-(((np.abs(angle) - 0.62) / 0.2) ** 2) - ((height + 0.04) / 0.022) ** 2)
    image += 0.3 * cheek[..., None] * (np.array(looks.skin) * (0.96, 0.62, 0.6) - image)
    jaw = np.interp(np.abs(angle), [0, 0.5, 1.0, 1.5], [-0.045, -0.05, -0.032, 0.01])
    beard = edge(height - jaw, np.array(0.02)) * (np.abs(angle) < 1.5)
    image += looks.beard * beard[..., None] * (np.array(looks.hair_colour) * 0.9 - image)
    return Texture(_rgba(image, np.ones(patch.size)), True, patch.top, patch.per_metre)


def _hair(looks: Looks, style: HairStyle, per_metre: float, seed: int) -> Texture:
    """Strands of hair, transparent where the face, the ears and the nape show."""
    patch = Patch(-0.17, 0.06 - style.end, 0.6, per_metre)
    rng = np.random.default_rng(seed)
    angle = (patch.turn() * 2 * np.pi + np.pi) % (2 * np.pi) - np.pi
    height = -patch.along() * np.ones(patch.size)
    columns = patch.size[1]
    strands = cv2.resize(rng.uniform(0, 1, (7, max(8, columns // 5))).astype(np.float32), patch.size[::-1],
                         interpolation=cv2.INTER_CUBIC)  # fmt: skip
    gloss = np.exp(-(((height - 0.075) / 0.022) ** 2)) * 0.3 + 0.82 + 0.3 * (strands - 0.5)
    image = np.clip(np.array(looks.hair_colour) * gloss[..., None] + 7, 0, 245)
    alpha = (1 - _face_hole(looks, style, angle, height)) * _hair_end(style, angle, height, rng)
    return Texture(_rgba(image, alpha), False, patch.top, patch.per_metre)


def _rgba(image: Floats, alpha: Floats) -> Bytes:
    return np.concatenate([image, 255 * alpha[..., None]], -1).astype(np.uint8)


def _face_hole(looks: Looks, style: HairStyle, angle: Floats, height: Floats) -> Floats:
    opening = np.radians(style.opening)
    long = np.interp(height, [-0.2, -0.11, -0.03], [0.5, 0.68, 1.0]) if style.covers_ears else 1.0
    limit = opening * long
    share = np.clip(np.abs(angle - looks.parting * 3) / limit, 0, 1)
    hairline = 0.074 - looks.fringe - (0.03 if looks.fringe else 0.055) * share**4
    if not looks.fringe:
        hairline = hairline + 0.012 * np.exp(-(((angle - looks.parting * 12) / 0.14) ** 2))
    return edge(height - hairline, np.array(0.004)) * edge((np.abs(angle) - limit) * 0.09, np.array(0.004))


def _hair_end(style: HairStyle, angle: Floats, height: Floats, rng: np.random.Generator) -> Floats:
    """1 above the lower border of the hair."""
    jagged = np.interp(angle, np.linspace(-np.pi, np.pi, 49), rng.uniform(0, 0.03, 49))
    border = style.end + jagged
    if not style.covers_ears:  # sideburns, then over the ear, then down to the nape
        at = [0, 1.1, 1.32, 1.4, 1.9, 2.1, np.pi]
        border = np.interp(np.abs(angle), at, [0.02, 0.0, -0.004, 0.014, 0.01, -0.06, style.end]) + jagged / 4
    return edge(border - height, np.array(0.004))


def _hair_profile(style: HairStyle) -> Floats:
    """Rows of the hair's tube: the skull, thickened, and what falls below it."""
    skull = HEAD[HEAD[:, 0] > -0.06]
    top = np.clip(skull[:, 0] / 0.11, 0, 1)
    volume = style.volume + style.lift * top
    wide = volume * (1 - top**6)
    if not style.covers_ears:  # close-cut at the temples and the nape, or strands would stand off the cheek
        wide = wide * np.clip(skull[:, 0] / 0.05 + 0.1, 0, 1)
    rows = skull + np.stack([volume * top**2, wide, wide * 0.8, wide], -1)
    rows[-1, 1:] = 0.004  # the crown closes
    if not style.covers_ears:
        nape = np.array([(style.end - 0.012, 0.05, 0.02, 0.07)])
        return np.concatenate([nape, rows])
    fall = np.array([
        (-0.44, 0.070, 0.040, 0.120), (-0.32, 0.088, 0.046, 0.128), (-0.20, 0.096, 0.040, 0.120),
        (-0.12, 0.086, 0.045, 0.112), (-0.08, 0.080, 0.062, 0.108)])  # fmt: skip
    fall[:, [1, 3]] += style.volume
    fall = fall[fall[:, 0] > style.end - 0.02]
    last = fall[0] * (0, 0.95, 0.95, 0.95) + (style.end - 0.02, 0, 0, 0)
    return np.concatenate([last[None], fall, rows])


def _hair_tube(stage: Stage, style: HairStyle) -> Tube:
    tube = head_tube(stage, _hair_profile(style), shade=0.9)
    if not style.curl:
        return tube
    waves = style.curl * stage.camera.scale * np.sin(tube.along * 62)
    return Tube(tube.centre + tube.side * waves[:, None] * 0.4, tube.side, tube.radius + waves, tube.along, tube.shade)


def paint_back_hair(canvas: Canvas, stage: Stage, person: Person, textures: HeadTextures) -> None:
    """What of the hair lies behind the neck and the shoulders."""
    style = HAIRSTYLES[person.looks.hair]
    if style is None or textures.hair is None:
        return
    if style.tail and np.cos(stage.head_facing) > 0:
        _paint_tail(canvas, stage, person.looks, style.tail)
    if style.covers_ears:
        canvas.paint(_hair_tube(stage, style), textures.hair, stage.head_facing, GROUP, behind=True)


def paint_head(canvas: Canvas, stage: Stage, person: Person, textures: HeadTextures) -> None:
    """Skull, ears, face and the hair in front of them."""
    looks, style = person.looks, HAIRSTYLES[person.looks.hair]
    skull = head_tube(stage, HEAD)
    _paint_nose_profile(canvas, stage, looks)
    canvas.paint(skull, textures.skin, stage.head_facing, GROUP)
    if not hidden_ears(person):
        _paint_ears(canvas, stage, looks)
    if np.cos(stage.head_facing) > -0.2:
        _paint_face(canvas, stage, looks)
    if style and textures.hair is not None:
        canvas.paint(_hair_tube(stage, style), textures.hair, stage.head_facing, GROUP)
        if style.tail and np.cos(stage.head_facing) <= 0:
            _paint_tail(canvas, stage, looks, style.tail)
    if looks.glasses:
        _paint_glasses(canvas, stage)


def ear_depth(stage: Stage, sign: float) -> float:
    """How far an ear (-1 right, 1 left) is in front of the head's middle, metres."""
    yaw = -stage.head_facing
    return float(-sign * EAR[0] * np.sin(yaw) + EAR[2] * np.cos(yaw))


def eye_depth(stage: Stage, sign: float) -> float:
    """How far an eye (-1 right, 1 left) is in front of the head's middle, metres."""
    yaw = -stage.head_facing
    return float(-sign * EYE[0] * np.sin(yaw) + EYE[2] * np.cos(yaw))


def _tinted(colour: RGB, factor: float) -> RGB:
    return (int(colour[0] * factor), int(colour[1] * factor * 0.97), int(colour[2] * factor * 0.95))


def _paint_nose_profile(canvas: Canvas, stage: Stage, looks: Looks) -> None:
    """The part of the nose that stands out beyond the cheek."""
    if abs(np.sin(stage.head_facing)) < 0.3 or np.cos(stage.head_facing) < -0.25:
        return
    outline = np.array([
        (0, 0.022, 0.078), (0, 0.004, 0.085), (0, -0.012, 0.093), (0, -0.027, 0.103), (0, -0.034, 0.104),
        (0, -0.041, 0.099), (0, -0.046, 0.084), (0, -0.046, 0.06), (0, 0.02, 0.06)])  # fmt: skip
    points = stage.head_pixels(outline)
    canvas.shape(points, _tinted(looks.skin, 0.93))
    canvas.own(points, GROUP)
    lips = np.array([(0, -0.055, 0.07), (0, -0.058, 0.089), (0, -0.066, 0.0915), (0, -0.069, 0.088), (0, -0.074, 0.09),
                     (0, -0.081, 0.086), (0, -0.081, 0.07)])  # fmt: skip
    canvas.shape(stage.head_pixels(lips), looks.lips)


def _paint_ears(canvas: Canvas, stage: Stage, looks: Looks) -> None:
    side_on = abs(np.sin(stage.head_facing))
    scale = stage.camera.scale * stage.body.head
    for sign in SIGN.values():
        if ear_depth(stage, sign) > -0.03:
            centre = stage.head_pixels(EAR * (sign, 1, 1))
            outer = ellipse(centre, scale * (0.009 + 0.008 * side_on), scale * 0.027)
            canvas.shape(outer, _tinted(looks.skin, 0.9))
            canvas.own(outer, GROUP)
            canvas.shape(ellipse(centre, scale * (0.004 + 0.006 * side_on), scale * 0.016), _tinted(looks.skin, 0.76))


def _paint_face(canvas: Canvas, stage: Stage, looks: Looks) -> None:
    for sign in SIGN.values():
        if eye_depth(stage, sign) > 0.012:
            _paint_eye(canvas, stage, looks, sign)
    _paint_nose(canvas, stage, looks)
    _paint_mouth(canvas, stage, looks)


def _on_face(stage: Stage, x: Floats, y: Floats) -> Floats:
    """Pixels of face-plane points (metres left and up), wrapped onto the head's rounded front."""
    bulge = 0.085 - 2.2 * np.asarray(x) ** 2
    return stage.head_pixels(np.stack([np.asarray(x), np.asarray(y), bulge], -1))


def _paint_eye(canvas: Canvas, stage: Stage, looks: Looks, sign: float) -> None:
    scale = stage.camera.scale
    angle = np.linspace(0, np.pi, 9)
    x0, y0 = EYE[0] * sign, EYE[1]
    upper = (x0 + 0.0135 * np.cos(angle), y0 + 0.0068 * np.sin(angle))
    lower = (x0 - 0.0135 * np.cos(angle), y0 - 0.0048 * np.sin(angle))
    white = _on_face(stage, np.concatenate([upper[0], lower[0]]), np.concatenate([upper[1], lower[1]]))
    canvas.shape(white, (246, 242, 238))
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for radius, colour in ((0.0058, looks.iris), (0.003, (14, 12, 14))):
        canvas.shape(_on_face(stage, x0 + radius * np.cos(turn), y0 + 0.0005 + radius * np.sin(turn)), colour)
    canvas.shape(_on_face(stage, x0 + 0.002 + 0.0012 * np.cos(turn), y0 + 0.003 + 0.0012 * np.sin(turn)),
                 (250, 250, 250))  # fmt: skip
    canvas.shape(ribbon(_on_face(stage, *upper), np.linspace(0.003, 0.0036, 9) * scale), INK)
    canvas.shape(ribbon(_on_face(stage, *lower), np.full(9, 0.0011 * scale)), _tinted(looks.skin, 0.62), 0.7)
    arch = np.linspace(-1, 1, 9)
    brow = _on_face(stage, x0 + sign * (0.001 + 0.0185 * arch), y0 + 0.0205 + 0.003 * (1 - arch**2) - 0.001 * arch)
    thick = 0.0046 if stage.body.sex == "WOMEN" else 0.0062
    canvas.shape(ribbon(brow, np.interp(arch, [-1, 0, 1], [0.9, 1, 0.25]) * thick * scale),
                 _tinted(looks.hair_colour, 0.75), 0.9)  # fmt: skip


def _paint_nose(canvas: Canvas, stage: Stage, looks: Looks) -> None:
    dark = _tinted(looks.skin, 0.72)
    y = np.linspace(0.008, -0.03, 8)
    z = np.linspace(0.086, 0.1, 8)
    shift = np.linspace(0.007, 0.0115, 8)
    line = stage.head_pixels(np.stack([shift, y, z - 0.004], -1))
    canvas.shape(ribbon(line, np.linspace(0.001, 0.005, 8) * stage.camera.scale), dark, 0.35)
    base = np.linspace(-1, 1, 11)
    under = np.stack([0.0135 * base, -0.0415 + 0.0035 * np.abs(base) ** 2, 0.097 - 0.01 * base**2], -1)
    widths = (0.002 + 0.0026 * (1 - np.abs(np.abs(base) - 0.45))) * stage.camera.scale
    canvas.shape(ribbon(stage.head_pixels(under), widths), dark, 0.75)
    tip = stage.head_pixels(NOSE_TIP + np.array([-0.002, 0.006, 0]))
    canvas.shape(ellipse(tip, 0.004 * stage.camera.scale, 0.005 * stage.camera.scale), (255, 248, 240), 0.22)


def _paint_mouth(canvas: Canvas, stage: Stage, looks: Looks) -> None:
    x = np.linspace(-1, 1, 15)
    upper = 0.0052 * (1 - np.abs(x) ** 1.6) - 0.0022 * np.exp(-((x / 0.22) ** 2))
    lower = -0.0074 * (1 - x**2)
    wide = 0.0225 * x
    middle = -0.0695 + 0.0022 * x**2

    def lip(edge_line: Floats) -> Floats:
        return _on_face(stage, np.concatenate([wide, wide[::-1]]), np.concatenate([middle, (middle + edge_line)[::-1]]))

    canvas.shape(lip(upper), _tinted(looks.lips, 0.86))
    canvas.shape(lip(lower), looks.lips)
    canvas.shape(ribbon(_on_face(stage, wide, middle), np.full(15, 0.0016 * stage.camera.scale)),
                 _tinted(looks.lips, 0.5), 0.85)  # fmt: skip


def _paint_glasses(canvas: Canvas, stage: Stage) -> None:
    turn = np.linspace(0, 2 * np.pi, 25)
    width = np.full(25, 0.0032 * stage.camera.scale)
    for sign in SIGN.values():
        if eye_depth(stage, sign) > 0.012:
            rim = _on_face(stage, EYE[0] * sign + 0.021 * np.cos(turn), EYE[1] - 0.002 + 0.0175 * np.sin(turn))
            canvas.shape(ribbon(rim, width), INK)
    if np.cos(stage.head_facing) > 0.2:
        bridge = _on_face(stage, np.linspace(-0.01, 0.01, 5), np.full(5, EYE[1] + 0.003))
        canvas.shape(ribbon(bridge, width[:5]), INK)


def _paint_tail(canvas: Canvas, stage: Stage, looks: Looks, kind: str) -> None:
    if kind == "bun":
        rows = np.array([(0, 0.155, -0.055), (0, 0.135, -0.065), (0, 0.11, -0.078), (0, 0.085, -0.088)])
        radius = np.array([0.022, 0.043, 0.045, 0.028])
    else:
        rows = np.array([(0, 0.06, -0.1), (0, 0.065, -0.135), (0, 0.02, -0.165), (0, -0.08, -0.165),
                         (0, -0.19, -0.15), (0, -0.26, -0.14)])  # fmt: skip
        radius = np.array([0.02, 0.026, 0.034, 0.04, 0.033, 0.008])
    at = np.linspace(0, len(rows) - 1, 20)
    points = stage.head_pixels(smooth(np.arange(len(rows)), rows, at))
    widths = 2 * smooth(np.arange(len(rows)), radius, at) * stage.camera.scale
    canvas.shape(ribbon(points, widths), _tinted(looks.hair_colour, 0.85))
    canvas.shape(ribbon(points, widths * 0.5), looks.hair_colour, 0.6)
    if kind == "bun":
        canvas.shape(ellipse(points[0], widths[0] / 2, widths[0] / 2), _tinted(looks.hair_colour, 0.85))
