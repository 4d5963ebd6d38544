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
Mask = NDArray[Any]  # of bool
RGB = tuple[int, int, int]

FRACTION_BITS = 4  # OpenCV's fixed-point coordinates: sixteenths of a pixel
LIGHT = (-0.38, 0.92)  # unit vector to the light in a row's plane: (screen right, towards the viewer)
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
        round_start, round_end: whether a disc closes that end.
        bulge: how far rows sag towards the viewer's bottom, as a share of the radius: the roundness of hems.
    """

    centre: Floats
    side: Floats
    radius: Floats
    along: Floats
    shade: Floats
    round_start: bool = False
    round_end: bool = False
    bulge: float = 0.0

    def outlines(self) -> list[Floats]:
        """Closed polygons, (K, 2) pixels each, whose union is the tube."""
        reach = self.side * self.radius[:, None]
        strip = np.concatenate([self.centre + reach, self._hem(), (self.centre - reach)[::-1]])
        discs = [0] * self.round_start + [-1] * self.round_end
        return [strip] + [ellipse(self.centre[row], self.radius[row], self.radius[row]) for row in discs]

    def _hem(self) -> Floats:
        """The sagging end, from right to left."""
        if not self.bulge:
            return np.empty((0, 2))
        across = np.linspace(0.95, -0.95, 15)[:, None]
        side, radius = self.side[-1], self.radius[-1]
        down = np.array([-side[1], side[0]])
        return self.centre[-1] + radius * (across * side + self.bulge * np.sqrt(1 - across**2) * down)


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
        self._grid_step = int(np.clip(scale / 70, 1, 8))  # coordinates are smooth: a coarse grid is enough

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
        # cut at the picture's edge the box may be narrower than a coarse pixel
        size = min(max(2, self._grid_step), 2 * min(weight.shape) - 1)
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
        size = (angle.shape[1] * self._grid_step, angle.shape[0] * self._grid_step)
        cut = slice(0, box.bottom - box.top), slice(0, box.right - box.left)
        return [cv2.resize(field.astype(np.float32), size)[cut] for field in fields]

    def _coordinates(self, tube: Tube, box: Box) -> tuple[Floats, Floats, Floats]:
        """Angle around the tube (-pi/2..pi/2), metres along it and shading, on the coarse grid."""
        step = self._grid_step
        xs = np.arange(box.left, box.right, step) + (step - 1) / 2
        ys = np.arange(box.top, box.bottom, step)[:, None] + (step - 1) / 2
        row = _rows_of(tube, xs[0], ys[0, 0], step, (len(ys), len(xs)))
        down = np.stack([-tube.side[:, 1], tube.side[:, 0]], -1)
        start = (tube.centre * down).sum(1)
        before = xs * down[row, 0] + ys * down[row, 1] - start[row]
        after = xs * down[row + 1, 0] + ys * down[row + 1, 1] - start[row + 1]
        beyond = before / np.where(np.abs(before - after) < 1e-6, 1e-6, before - after)
        table = np.column_stack([tube.centre, tube.side, tube.radius, tube.shade])
        x, y, side_x, side_y, radius, strength = np.moveaxis(_mix(table, row, np.clip(beyond, 0, 1)[..., None]), -1, 0)
        across = np.clip(((xs - x) * side_x + (ys - y) * side_y) / np.maximum(radius, 1e-3), -1, 1)
        depth = np.sqrt(1 - across**2)
        along = _mix(tube.along, row, np.clip(beyond, -3, 4)) - tube.bulge * radius / self._scale * depth
        lit = np.clip((LIGHT[0] * across + LIGHT[1] * depth - LIGHT[0]) / (1 - LIGHT[0]), 0, 1)
        return np.arcsin(across), along, 1 - strength * (1 - DARKEST) * (1 - lit) ** 1.3


def ellipse(centre: Floats, x_radius: float, y_radius: float, num: int = 28) -> Floats:
    """(num, 2) points of an upright ellipse."""
    angle = np.arange(num) * (2 * np.pi / num)
    return np.stack([x_radius * np.cos(angle), y_radius * np.sin(angle)], -1) + centre


def ribbon(points: Floats, widths: Floats) -> Floats:
    """Outline of a stroke along (N, 2) points whose full width is (N,) `widths`, pixels."""
    direction = np.concatenate([points[1:2] - points[:1], points[2:] - points[:-2], points[-1:] - points[-2:-1]])
    direction /= np.maximum(np.hypot(direction[:, :1], direction[:, 1:]), 1e-6)
    normal = np.stack([-direction[:, 1], direction[:, 0]], -1) * np.asarray(widths)[:, None] / 2
    return np.concatenate([points + normal, (points - normal)[::-1]])


def smooth(knots: Floats, values: Floats, at: Floats) -> Floats:
    """A smooth curve through (K,) knots and (K, ...) values, constant outside, by cubic Hermite pieces."""
    knots, at = np.asarray(knots, float), np.clip(at, knots[0], knots[-1])
    values = np.asarray(values, float)
    table = values.reshape(len(knots), -1)
    rise = np.diff(table, axis=0) / np.diff(knots)[:, None]
    slopes = np.concatenate([rise[:1], (rise[1:] + rise[:-1]) / 2, rise[-1:]])
    piece = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    width = (knots[piece + 1] - knots[piece])[:, None]
    t = (at - knots[piece])[:, None] / width
    start = (1 + 2 * t) * (1 - t) ** 2 * table[piece] + t * (1 - t) ** 2 * width * slopes[piece]
    end = t**2 * (3 - 2 * t) * table[piece + 1] + t**2 * (t - 1) * width * slopes[piece + 1]
    return (start + end).reshape(len(at), *values.shape[1:])


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
