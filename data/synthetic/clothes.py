"""The tailor: textures of every garment, with necklines, straps, openings, buttons and prints cut into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from data.synthetic.canvas import RGB, Bytes, Floats, Mask, Texture
from data.synthetic.fabric import Patch, edge, weave
from data.synthetic.people import Body, Outfit, Person, Skirt, Top, Trousers
from data.synthetic.shape import leg_radii, torso_profile

TORSO_TOP = -0.085  # metres below the neck joint where torso garments begin


@dataclass(frozen=True)
class Plane:
    """A torso texture seen from the front (or back): metres across and down, for cutting and printing.

    Attributes:
        x: (h, w) metres to the person's left of the middle.
        y: (h, 1) metres below the neck joint.
        front: (h, w) whether the texel is on the front half.
        soft: width of an antialiased edge, metres.
    """

    x: Floats
    y: Floats
    front: Mask
    soft: Floats


Cut = Callable[[Plane], Floats]


@dataclass(frozen=True)
class Tailored:
    """Textures of one top: body, sleeves (None for sleeveless) and collar around the neck (None for none)."""

    torso: Texture
    sleeve: Texture | None
    neck: Texture | None


@dataclass(frozen=True)
class Closet:
    """All textures of a person's clothes; `leg` is None with a skirt."""

    top: Tailored
    outer: Tailored | None
    lower: Texture
    leg: Texture | None


def tailor(person: Person, per_metre: float) -> Closet:
    """Make the textures of an outfit, `per_metre` texels a metre."""
    outfit, body = person.outfit, person.body
    outer = _tailor_top(outfit.outer, body, per_metre) if outfit.outer else None
    lower, leg = _tailor_lower(outfit, body, per_metre)
    return Closet(_tailor_top(outfit.top, body, per_metre), outer, lower, leg)


def _tailor_top(top: Top, body: Body, per_metre: float) -> Tailored:
    patch = Patch(TORSO_TOP, top.hem, 0.92, per_metre, (5, 15))
    plane = _plane(patch, body)
    alpha = np.ones(patch.size)
    alpha *= 1 - NECKLINES[top.neckline](plane)
    if top.open_front:
        alpha *= 1 - _opening(plane, top.open_front)
    texture = weave(top.fabric, patch, (alpha * 255).astype(np.uint8))
    for shape, colour, opacity in _details(top, plane):
        _print(texture.texels, shape * opacity, colour)
    sleeve = _tailor_sleeve(top, per_metre) if top.sleeve else None
    neck = weave(top.fabric, Patch(0, 0.13, 0.32, per_metre, (6, 6))) if top.neckline == "turtle" else None
    return Tailored(texture, sleeve, neck)


def _tailor_sleeve(top: Top, per_metre: float) -> Texture:
    patch = Patch(-0.06, 0.56, 0.34, per_metre, (11, 5))
    fabric = replace(top.fabric, seed=top.fabric.seed + 1, folds=top.fabric.folds * 1.3)
    if fabric.pattern == "blocks":  # the sleeve starts above the seam between the torso's colours
        fabric = replace(fabric, pattern="solid", colours=fabric.colours[1:] + fabric.colours[:1])
    texture = weave(fabric, patch)
    end = 0.53 * top.sleeve
    cuff = edge(end - 0.022 - patch.along(), np.array(2 / per_metre)) * np.ones(patch.size)
    _print(texture.texels, cuff * (0.9 if top.trim != top.fabric.colours[0] else 0.12), _cuff_colour(top))
    return texture


def _cuff_colour(top: Top) -> RGB:
    return top.trim if top.trim != top.fabric.colours[0] else (20, 20, 24)


def _tailor_lower(outfit: Outfit, body: Body, per_metre: float) -> tuple[Texture, Texture | None]:
    lower = outfit.lower
    if isinstance(lower, Skirt):
        return _tailor_skirt(lower, per_metre), None
    return _tailor_hips(lower, body, per_metre), _tailor_leg(lower, per_metre)


def _tailor_skirt(skirt: Skirt, per_metre: float) -> Texture:
    girth = 0.98 + max(0.0, skirt.flare) * 2
    patch = Patch(skirt.waist - 0.02, skirt.hem + 0.02, girth, per_metre, (3, 17))
    texture = weave(skirt.fabric, patch)
    if skirt.pleats:
        pleat = (patch.turn() * skirt.pleats * 2) % 1 * np.clip((patch.along() - skirt.waist) / 0.15, 0, 1)
        _print(texture.texels, 0.34 * pleat * np.ones(patch.size), (18, 18, 24))
    hem = edge(np.abs(patch.along() - skirt.hem + 0.025) - 0.0015, np.array(2 / per_metre)) * np.ones(patch.size)
    _print(texture.texels, 0.25 * hem, (18, 18, 24))
    if skirt.belt:
        _belt(texture, patch, skirt.waist + 0.028, skirt.belt)
    return texture


def _tailor_hips(trousers: Trousers, body: Body, per_metre: float) -> Texture:
    waist = trousers_waist(body)
    patch = Patch(waist - 0.03, 0.66, 0.98, per_metre, (3, 15))
    fade = np.clip((0.6 - patch.along()) / 0.07, 0, 1) * np.ones(patch.size)  # into the legs, without a seam
    texture = weave(replace(trousers.fabric, folds=0.04), patch, (255 * fade).astype(np.uint8))
    plane = _plane(patch, body)
    soft = plane.soft
    fly = edge(np.abs(plane.x) - 0.0015, soft) * edge(plane.y - 0.53, soft) * plane.front
    pockets = edge(np.abs(np.abs(plane.x) - 0.13 + 0.5 * (plane.y - waist)) - 0.0016, soft)
    pockets = pockets * edge(np.abs(plane.y - waist - 0.07) - 0.034, soft) * plane.front
    back = _frame(np.abs(plane.x) - 0.075, plane.y - waist - 0.115, 0.042, 0.048, soft) * ~plane.front
    band = edge(np.abs(plane.y - waist - 0.036) - 0.0012, soft)
    for lines in (fly, pockets, back, band):
        _print(texture.texels, 0.4 * lines * np.ones(patch.size), (16, 16, 22))
    if trousers.belt:
        _belt(texture, patch, waist + 0.018, trousers.belt)
    return texture


def trousers_waist(body: Body) -> float:
    """Height of the waistband, metres below the neck joint."""
    return 0.395 if body.sex == "WOMEN" else 0.43


def _tailor_leg(trousers: Trousers, per_metre: float) -> Texture:
    patch = Patch(-0.1, 0.95, 0.5, per_metre, (15, 7))
    texture = weave(replace(trousers.fabric, folds=trousers.fabric.folds * 0.9), patch)
    end = 0.86 * trousers.length
    hem = edge(np.abs(patch.along() - end + 0.025) - 0.0015, np.array(2 / per_metre)) * np.ones(patch.size)
    seam = edge(np.abs(patch.turn() - 0.25) - 0.003, np.array(0.004)) * np.ones(patch.size)
    _print(texture.texels, 0.25 * np.maximum(hem, 0.7 * seam), (16, 16, 22))
    return texture


def _belt(texture: Texture, patch: Patch, height: float, colour: RGB) -> None:
    soft = np.array(2 / patch.per_metre)
    band = edge(np.abs(patch.along() - height) - 0.014, soft) * np.ones(patch.size)
    _print(texture.texels, band, colour)
    across = np.minimum(patch.turn(), 1 - patch.turn()) * patch.girth
    buckle = _frame(across, patch.along() - height, 0.02, 0.016, soft)
    _print(texture.texels, buckle, (206, 178, 104))


def _plane(patch: Patch, body: Body) -> Plane:
    angle = patch.turn() * 2 * np.pi
    half = torso_profile(body, patch.along()[:, 0])[:, :1]
    return Plane(half * np.sin(angle), patch.along(), np.broadcast_to(np.cos(angle) > 0, patch.size),
                 np.array(1.5 / patch.per_metre))  # fmt: skip


def _print(image: Bytes, weight: Floats, colour: RGB) -> None:
    rows = np.flatnonzero(weight.any(1))
    if len(rows):
        part = slice(rows[0], rows[-1] + 1)
        share = weight[part, :, None].astype(np.float32)
        image[part, :, :3] = image[part, :, :3] * (1 - share) + share * np.array(colour, np.float32)


def _oval(plane: Plane, x_radius: float, depth: float) -> Floats:
    """A round neck hole: `depth` metres below the neck joint in the middle."""
    height = depth + 0.07
    radius = np.hypot(plane.x / x_radius, (plane.y + 0.07) / height)
    return edge((radius - 1) * min(x_radius, height), plane.soft)


def _round_neck(x_radius: float, depth: float, back_depth: float = -0.012) -> Cut:
    def cut(plane: Plane) -> Floats:
        return np.where(plane.front, _oval(plane, x_radius, depth), _oval(plane, x_radius, back_depth))

    return cut


def _v_neck(width: float, depth: float) -> Cut:
    def cut(plane: Plane) -> Floats:
        wedge = edge(np.abs(plane.x) - width * np.clip((depth - plane.y) / (depth + 0.06), 0, 2), plane.soft)
        return np.where(plane.front, wedge, _oval(plane, width, -0.012))

    return cut


def _square_neck(plane: Plane) -> Floats:
    box = edge(np.abs(plane.x) - 0.085, plane.soft) * edge(plane.y - 0.075, plane.soft)
    return np.where(plane.front, box, _oval(plane, 0.085, 0.01))


def _tank(inner: float, outer: float, depth: float, arm_depth: float) -> Cut:
    """A round neck with straps between `inner` and `outer` metres from the middle."""

    def cut(plane: Plane) -> Floats:
        neck = np.where(plane.front, _oval(plane, inner, depth), _oval(plane, inner, depth * 0.6))
        hole = np.clip((arm_depth - plane.y) / (arm_depth + 0.05), 0, 1)
        border = outer + (0.16 - outer) * (1 - hole) ** 3
        return np.maximum(neck, edge(border - np.abs(plane.x), plane.soft) * (plane.y < arm_depth))

    return cut


def _straps(plane: Plane) -> Floats:
    """Only two thin straps above the bust."""
    line = np.where(plane.front, 0.075 - 0.35 * np.abs(np.abs(plane.x) - 0.065), 0.11)
    above = edge(plane.y - line, plane.soft)
    return above * (1 - edge(np.abs(np.abs(plane.x) - 0.083) - 0.006, plane.soft))


def _lapel_neck(plane: Plane) -> Floats:
    return np.where(plane.front, 0.0, _oval(plane, 0.07, -0.03))


NECKLINES: dict[str, Cut] = {
    "crew": _round_neck(0.07, 0.012),
    "turtle": lambda plane: np.zeros(plane.x.shape),
    "scoop": _round_neck(0.092, 0.075, 0.01),
    "boat": _round_neck(0.118, 0.0, -0.005),
    "v": _v_neck(0.085, 0.12),
    "collar": _v_neck(0.06, 0.06),
    "square": _square_neck,
    "tank": _tank(0.078, 0.118, 0.075, 0.12),
    "strap": _straps,
    "lapel": _lapel_neck,
    "plain": _lapel_neck,
}


def _opening(plane: Plane, half: float) -> Floats:
    """The gap of a jacket worn open: wide at the neck, narrow at the waist, `half` at the hem."""
    width = np.interp(plane.y, [-0.085, 0.0, 0.25, 0.6], [0.062, 0.07, 0.6 * half + 0.012, half])
    return edge(np.abs(plane.x) - width, plane.soft) * plane.front


def _details(top: Top, plane: Plane) -> list[tuple[Floats, RGB, float]]:
    """What is sewn on or printed: (weight, colour, opacity)."""
    soft = plane.soft
    seam: RGB = (18, 18, 24)
    details: list[tuple[Floats, RGB, float]] = []
    hem = edge(np.abs(plane.y - top.hem + 0.02) - 0.0012, soft) * np.ones(plane.x.shape)
    details.append((hem, seam, 0.28))
    if top.motif:
        details.append((MOTIFS[top.motif](plane) * plane.front, top.fabric.colours[1], 0.95))
    if top.neckline in ("crew", "v", "scoop") and not top.buttons:
        rim = _grown(NECKLINES[top.neckline], plane, 0.014)
        plain = top.trim == top.fabric.colours[0]
        details.append((rim, seam if plain else top.trim, 0.14 if plain else 0.95))
    if top.buttons:
        details += _placket(top, plane)
    if top.open_front:
        details += _lapels(top, plane)
    if top.hood:
        details += _pouch(plane)
    return details


def _grown(cut: Cut, plane: Plane, width: float) -> Floats:
    """A band of `width` metres around a neck hole."""
    return cut(replace(plane, x=plane.x * (1 - width / 0.08), y=plane.y - width))


def _placket(top: Top, plane: Plane) -> list[tuple[Floats, RGB, float]]:
    soft, front = plane.soft, plane.front
    line = edge(np.abs(plane.x - 0.012) - 0.0012, soft) * (plane.y > 0.05) * front
    spacing = 0.075
    near = plane.y - spacing * np.round(plane.y / spacing)
    buttons = edge(np.hypot(plane.x, near) - 0.0065, soft) * (plane.y > 0.06) * (plane.y < top.hem - 0.03) * front
    wing = edge(np.abs(plane.x) - (0.085 - 0.45 * np.clip(plane.y + 0.03, 0, 1)), soft) * edge(plane.y - 0.085, soft)
    wing = wing * edge(0.012 + 0.62 * np.clip(plane.y + 0.03, 0, 1) - np.abs(plane.x), soft) * front
    band = _grown(_round_neck(0.06, -0.03), plane, 0.02) * ~front
    collar = np.maximum(wing, band)
    light = sum(top.fabric.colours[0]) > 330
    return [
        (line, (18, 18, 24), 0.35),
        (buttons, (60, 54, 50) if light else (230, 226, 214), 0.95),
        (collar, top.fabric.colours[0], 1.0),
        (collar, (14, 14, 20) if light else (255, 255, 255), 0.13),
    ]


def _lapels(top: Top, plane: Plane) -> list[tuple[Floats, RGB, float]]:
    width = np.interp(plane.y, [-0.085, 0.0, 0.25, 0.6], [0.062, 0.07, 0.6 * top.open_front + 0.012, top.open_front])
    gap = np.abs(plane.x) - width
    if top.neckline == "lapel":
        reach = np.interp(plane.y, [-0.085, 0.06, 0.065, 0.3], [0.03, 0.062, 0.045, 0.0])
        return [(edge(gap - reach, plane.soft) * plane.front * (plane.y < 0.3), top.trim, 0.8)]
    return [(edge(gap - 0.016, plane.soft) * plane.front, top.trim, 0.8)]


def _pouch(plane: Plane) -> list[tuple[Floats, RGB, float]]:
    """A hoodie's pocket and cords."""
    soft = plane.soft
    pocket = _frame(np.abs(plane.x), plane.y - 0.4, 0.09, 0.055, soft) * plane.front
    cords = edge(np.abs(np.abs(plane.x) - 0.03) - 0.0035, soft) * edge(np.abs(plane.y - 0.07) - 0.06, soft)
    return [(pocket, (16, 16, 22), 0.4), (cords * plane.front, (236, 234, 230), 0.95)]


def _frame(x: Floats, y: Floats, half_width: float, half_height: float, soft: Floats) -> Floats:
    """The border of a rectangle around (0, 0)."""
    distance = np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)
    return edge(np.abs(distance) - 0.0018, soft)


def _disc(plane: Plane) -> Floats:
    radius = np.hypot(plane.x, plane.y - 0.15)
    return np.maximum(edge(radius - 0.04, plane.soft), edge(np.abs(radius - 0.06) - 0.005, plane.soft))


def _star(plane: Plane) -> Floats:
    x, y = plane.x, plane.y - 0.15
    angle = np.arctan2(x, -y)
    sector = (angle + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5
    radius = np.hypot(x, y)
    return edge(radius * (np.cos(sector) + 1.4 * np.abs(np.sin(sector))) - 0.07, plane.soft)


def _heart(plane: Plane) -> Floats:
    x, y = np.abs(plane.x) / 0.06, (0.16 - plane.y) / 0.06
    return edge((np.hypot(x, y - 0.62 * np.sqrt(x + 1e-4)) - 0.95) * 0.06, plane.soft)


def _bars(plane: Plane) -> Floats:
    """Three words as bars of different length."""
    line = np.round((plane.y - 0.13) / 0.032)
    length = np.select([line == 0, line == 1, line == 2], [0.08, 0.055, 0.07], -1.0)
    gaps = edge(0.0035 - np.abs((plane.x + 0.1) % 0.027 - 0.0135), plane.soft)
    return edge(np.abs(plane.y - 0.13 - 0.032 * line) - 0.009, plane.soft) * (np.abs(plane.x) < length) * gaps


def _bolt(plane: Plane) -> Floats:
    x, y = plane.x, plane.y - 0.15
    middle = -0.4 * y + 0.022 * np.sign(y)
    return edge(np.abs(x - middle) - 0.028 * (1 - np.abs(y) / 0.09), plane.soft) * (np.abs(y) < 0.09)


MOTIFS: dict[str, Cut] = {"disc": _disc, "star": _star, "heart": _heart, "bars": _bars, "bolt": _bolt}

# Share of the leg against radius, metres; the leg's own radius where that is larger.
CUTS = {
    "slim": np.array([(0, 0.084), (0.25, 0.089), (0.6, 0.074), (1, 0.059), (1.4, 0.057), (2, 0.043)]),
    "straight": np.array([(0, 0.086), (0.25, 0.095), (0.6, 0.086), (1, 0.074), (1.5, 0.068), (2, 0.064)]),
    "wide": np.array([(0, 0.087), (0.25, 0.101), (0.6, 0.103), (1, 0.104), (1.5, 0.110), (2, 0.115)]),
    "flared": np.array([(0, 0.084), (0.25, 0.090), (0.6, 0.076), (1, 0.064), (1.4, 0.078), (2, 0.108)]),
    "shorts": np.array([(0, 0.087), (0.25, 0.101), (0.6, 0.098), (1, 0.094), (1.5, 0.09), (2, 0.09)]),
}


def leg_cut(trousers: Trousers, body: Body) -> Floats:
    """(K, 2) radii of a trouser leg, which never is tighter than the leg."""
    cut, bare = CUTS[trousers.cut] * (1, body.girth), leg_radii(body)
    cut[:, 1] = np.maximum(cut[:, 1], np.interp(cut[:, 0], bare[:, 0], bare[:, 1]) + 0.004)
    return cut


def sleeve_radii(top: Top, bare: Floats) -> Floats:
    """(K, 2) radii of a sleeve over a bare arm's."""
    loose = 0.55 * top.ease + (0.012 if top.sleeve < 0.7 else 0.006)
    sleeve = bare.copy()
    sleeve[:, 1] += np.interp(bare[:, 0], [0, 0.6, 2], [0.003 + top.ease / 5, loose, loose])
    return sleeve


def solid(colour: RGB) -> Texture:
    """A plain texture, for skin and leather."""
    return Texture(np.array([[(*colour, 255)]], np.uint8), True, 0.0, 1.0)
