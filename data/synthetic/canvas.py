"""Antialiased painting with OpenCV: textured, softly shaded tubes and flat shapes.

Everything of a synthetic person but the small shapes of its face is a **tube**: a chain of rows across a centre line.
A tube carries coordinates of its own (metres along it, angle around it), so a texture painted in them
follows the limb or the garment through every pose and view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # of a floating type
Bytes = NDArray[Any]  # of uint8
RGB = tuple[int, int, int]

FRACTION_BITS = 4  # OpenCV's fixed-point coordinates: sixteenths of a pixel
LIGHT = (-0.38, 0.92)  # direction of the light in a row's plane: (screen right, towards the viewer)
DARKEST = 0.58
BEHIND = 0.8  # brightness of the inside of what is turned away


@dataclass(frozen=True)
class Texture:
    """What is painted on a tube, unrolled.

    Columns are one whole turn (column 0 faces the person's front, columns grow towards the person's left);
    rows are metres along the tube.

    Attributes:
        texels: (h, w, 4) RGBA; a single texel is a plain colour.
        opaque: whether to take alpha as 255 everywhere.
        top: metres along the tube of row 0.
        per_metre: rows a metre.
    """

    texels: Bytes
    opaque: bool
    top: float
    per_metre: float


@dataclass(frozen=True)
class Tube:
    """A chain of N rows in the picture.

    Attributes:
        centre: (N, 2) middle of each row, pixels.
        side: (N, 2) unit vector along each row, to the right of someone who walks the tube upwards.
        radius: (N,) half width, pixels.
        along: (N,) metres along the tube.
        shade: (N,) strength of the shading, 0 flat to 1.
        bend: row of a joint where the chain may turn sharply.
        round_start, round_end: whether a disc closes that end.
        bulge: how far rows sag towards the viewer's bottom, as a share of the radius: the roundness of hems.
    """

    centre: Floats
    side: Floats
    radius: Floats
    along: Floats
    shade: Floats
    bend: int | None = None
    round_start: bool = False
    round_end: bool = False
    bulge: float = 0.0

    def outlines(self) -> list[Floats]:
        """Closed polygons, (K, 2) pixels each, whose union is the tube."""
        last = len(self.centre) - 1
        spans = [(0, last)] if self.bend is None else [(0, self.bend), (self.bend, last)]
        polygons = [self._strip(start, end) for start, end in spans]
        discs = [0] * self.round_start + [last] * self.round_end + ([] if self.bend is None else [self.bend])
        return polygons + [ellipse(self.centre[row], self.radius[row], self.radius[row]) for row in discs]

    def _strip(self, start: int, end: int) -> Floats:
        rows = slice(start, end + 1)
        reach = self.side[rows] * self.radius[rows, None]
        return np.concatenate([self.centre[rows] + reach, self._hem(end), (self.centre[rows] - reach)[::-1]])

    def _hem(self, row: int) -> Floats:
        """The sagging end of a strip, from right to left."""
        if not self.bulge or row != len(self.centre) - 1:
            return np.empty((0, 2))
        across = np.linspace(0.95, -0.95, 15)[:, None]
        side, radius = self.side[row], self.radius[row]
        down = np.array([-side[1], side[0]])
        return self.centre[row] + radius * (across * side + self.bulge * np.sqrt(1 - across**2) * down)


class Box(NamedTuple):
    """A rectangle of pixels: rows top..bottom-1, columns left..right-1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Canvas:
    """A white picture that remembers which part is on top at each pixel.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        owner: (H, W) uint8, the group of the topmost part, 0 for background.
    """

    def __init__(self, height: int, width: int, scale: float) -> None:
        self.image = np.full((height, width, 3), 255, np.uint8)
        self.owner = np.zeros((height, width), np.uint8)
        self._scale = scale
        self._grid_step = int(np.clip(scale / 100, 1, 8))  # coordinates are smooth: a coarse grid is enough

    def paint(self, tube: Tube, texture: Texture, facing: float, group: int, behind: bool = False) -> None:
        """Paint the visible half of a tube.

        Args:
            facing: angle around the tube, radians, that faces the viewer.
            group: what `owner` becomes.
            behind: paint the inside of the half that is turned away (hair behind the neck, the back of a hem).
        """
        outlines = tube.outlines()
        box = self._box(np.concatenate(outlines))
        if box is None:
            return
        weight = self._coverage(outlines, box)
        columns, rows, grey = self._look_up(tube, texture, box, facing, behind)
        sample = _sample(texture, columns, rows)
        if not texture.opaque:
            weight = cv2.multiply(weight, cv2.extractChannel(sample, 3), scale=1 / 255)
        shade = cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=255), cv2.COLOR_GRAY2RGB)
        self._blend(cv2.multiply(cv2.cvtColor(sample, cv2.COLOR_RGBA2RGB), shade, scale=1 / 255), weight, box)
        self.owner[box.slices][weight > 127] = group

    def shape(self, points: Floats, colour: RGB, opacity: float = 1.0) -> None:
        """Fill a polygon, (K, 2) pixels."""
        box = self._box(points)
        if box is None:
            return
        weight = self._coverage([points], box)
        flat = np.empty((*weight.shape, 3), np.uint8)
        flat[:] = colour
        self._blend(flat, cv2.convertScaleAbs(weight, alpha=opacity), box)

    def own(self, points: Floats, group: int) -> None:
        """Give the pixels of a polygon to a group."""
        cv2.fillPoly(self.owner, [np.round(points).astype(np.int32)], group)

    def shadow(self, outlines: list[Floats], reach: float, strength: float) -> None:
        """Darken what is already painted around a part that comes to lie in front of it.

        Args:
            outlines: polygons of the part.
            reach: width of the soft edge, pixels.
            strength: darkening at the part's border, 0 to 1.
        """
        box = self._box(np.concatenate(outlines), margin=int(reach * 1.5) + 2)
        if box is None:
            return
        weight = self._coverage(outlines, box)
        size = max(2, self._grid_step)
        small = cv2.resize(weight, None, fx=1 / size, fy=1 / size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), max(0.5, reach / size / 2))
        weight = cv2.resize(small, (weight.shape[1], weight.shape[0]))
        painted = cv2.blur(cv2.threshold(self.owner[box.slices], 0, 255, cv2.THRESH_BINARY)[1], (3, 3))
        weight = cv2.multiply(weight, painted, scale=strength / 255)
        self._blend(np.zeros((*weight.shape, 3), np.uint8), weight, box)

    def _box(self, points: Floats, margin: int = 2) -> Box | None:
        height, width = self.owner.shape
        low, high = np.floor(points.min(0)) - margin, np.ceil(points.max(0)) + margin + 1
        left, top = (int(max(0, value)) for value in low)
        right, bottom = int(min(width, high[0])), int(min(height, high[1]))
        return Box(left, top, right, bottom) if right - left > 1 and bottom - top > 1 else None

    def _coverage(self, outlines: list[Floats], box: Box) -> Bytes:
        weight = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
        for points in outlines:
            fixed = np.round((points - (box.left, box.top)) * 2**FRACTION_BITS).astype(np.int32)
            cv2.fillPoly(weight, [fixed], 255, cv2.LINE_AA, FRACTION_BITS)
        return weight

    def _blend(self, colour: Bytes, weight: Bytes, box: Box) -> None:
        share = weight.astype(np.float32) * np.float32(1 / 255)
        region = self.image[box.slices]
        region[:] = cv2.blendLinear(colour, np.ascontiguousarray(region), share, 1 - share)

    def _look_up(self, tube: Tube, texture: Texture, box: Box, facing: float, behind: bool) -> list[Any]:
        """Columns and rows of the texture and the shading, for every pixel of the box."""
        angle, along, shade = self._coordinates(tube, box)
        turn = facing + (np.pi - angle if behind else angle)
        height, width = texture.texels.shape[:2]
        columns = turn * (width / (2 * np.pi))
        rows = np.clip((along - texture.top) * texture.per_metre, 0, height - 1.01)
        fields = (columns, rows, shade * (BEHIND if behind else 1))
        return [cv2.resize(field.astype(np.float32), (box.right - box.left, box.bottom - box.top)) for field in fields]

    def _coordinates(self, tube: Tube, box: Box) -> tuple[Floats, Floats, Floats]:
        """Angle around the tube (-pi/2..pi/2), metres along it and shading, on the coarse grid."""
        step = self._grid_step
        xs = np.arange(box.left, box.right + step, step) + (step - 1) / 2
        ys = np.arange(box.top, box.bottom + step, step) + (step - 1) / 2
        xs, ys = xs[xs < box.right + step / 2], ys[ys < box.bottom + step / 2]
        row = _rows_of(tube, xs[0], ys[0], step, (len(ys), len(xs)))
        point = np.stack(np.meshgrid(xs, ys), -1)
        down = np.stack([-tube.side[:, 1], tube.side[:, 0]], -1)
        before = np.einsum("hwk,hwk->hw", point - tube.centre[row], down[row])
        after = np.einsum("hwk,hwk->hw", point - tube.centre[row + 1], down[row + 1])
        beyond = before / np.where(np.abs(before - after) < 1e-6, 1e-6, before - after)
        share = np.clip(beyond, 0, 1)
        radius = _mix(tube.radius, row, share)
        offset = point - _mix(tube.centre, row, share[..., None])
        across = np.einsum("hwk,hwk->hw", offset, _mix(tube.side, row, share[..., None]))
        across = np.clip(across / np.maximum(radius, 1e-3), -1, 1)
        depth = np.sqrt(1 - across**2)
        along = _mix(tube.along, row, np.clip(beyond, -3, 4)) - tube.bulge * radius / self._scale * depth
        lit = np.clip((LIGHT[0] * across + LIGHT[1] * depth + 0.38) / 1.37, 0, 1)
        shade = 1 - _mix(tube.shade, row, share) * (1 - DARKEST) * (1 - lit) ** 1.3
        return np.arcsin(across), along, shade


def ellipse(centre: Floats, x_radius: float, y_radius: float, tilt: float = 0.0, num: int = 28) -> Floats:
    """(num, 2) points of an ellipse; `tilt` in radians, clockwise in the picture."""
    angle = np.linspace(0, 2 * np.pi, num, endpoint=False)
    x, y = x_radius * np.cos(angle), y_radius * np.sin(angle)
    return np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], -1) + centre


def ribbon(points: Floats, widths: Floats) -> Floats:
    """Outline of a stroke along (N, 2) points whose full width is (N,) `widths`, pixels."""
    direction = np.gradient(points, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    normal = np.stack([-direction[:, 1], direction[:, 0]], -1) * np.asarray(widths)[:, None] / 2
    return np.concatenate([points + normal, (points - normal)[::-1]])


def smooth(knots: Floats, values: Floats, at: Floats) -> Floats:
    """A smooth curve through (K,) knots and (K, ...) values, constant outside, by cubic Hermite pieces."""
    knots, values = np.asarray(knots, float), np.asarray(values, float)
    at = np.clip(at, knots[0], knots[-1])
    slopes = np.gradient(values, knots, axis=0)
    piece = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    width = knots[piece + 1] - knots[piece]
    t = (at - knots[piece]) / width
    tail = (slice(None),) + (None,) * (values.ndim - 1)
    t, width = t[tail], width[tail]
    start = (1 + 2 * t) * (1 - t) ** 2 * values[piece] + t * (1 - t) ** 2 * width * slopes[piece]
    return start + t**2 * (3 - 2 * t) * values[piece + 1] + t**2 * (t - 1) * width * slopes[piece + 1]


def _sample(texture: Texture, columns: Floats, rows: Floats) -> Bytes:
    """(h, w, 4) the texture at fractional columns, which wrap around, and rows."""
    if texture.texels.shape[:2] == (1, 1):
        return np.broadcast_to(texture.texels, (*columns.shape, 4)).copy()
    return cv2.remap(texture.texels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _mix(values: Floats, row: NDArray[np.intp], share: Floats) -> Floats:
    return values[row] * (1 - share) + values[row + 1] * share


def _rows_of(tube: Tube, left: float, top: float, step: int, size: tuple[int, int]) -> NDArray[np.intp]:
    """For each point of a coarse grid the pair of rows (its first index) between which it lies."""
    margin = 3.0 * step
    reach = tube.side * (tube.radius * 1.15 + margin)[:, None]
    centre = tube.centre.copy()
    down = np.stack([-tube.side[:, 1], tube.side[:, 0]], -1)
    ends = np.array([0, -1])
    spread = tube.radius[ends] * np.where([tube.round_start, tube.round_end or tube.bulge > 0], 1.1, 0.0) + margin
    centre[ends] += down[ends] * spread[:, None] * [[-1], [1]]
    right, leftward = ((centre + sign * reach - (left, top)) / step for sign in (1, -1))
    row = np.zeros(size, np.uint8)
    quads = np.stack([right[:-1], right[1:], leftward[1:], leftward[:-1]], 1)
    for index, quad in enumerate(np.round(quads * 2**FRACTION_BITS).astype(np.int32)):
        cv2.fillConvexPoly(row, quad, index, cv2.LINE_8, FRACTION_BITS)
    return row.astype(np.intp)
