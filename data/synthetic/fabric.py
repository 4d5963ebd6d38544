"""Fabrics: colours and patterns in garment coordinates, with the soft light and dark of folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.canvas import RGB, Bytes, Floats, Texture

Pattern = Callable[["Fabric", Floats, Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Fabric:
    """A cloth.

    Attributes:
        pattern: a key of `PATTERNS`.
        colours: ground, second and third colour, RGB.
        period: length of one repeat, metres.
        seed: of its folds and of where its flowers fall.
        folds: depth of the folds, 0 (none) to about 0.2.
    """

    pattern: str
    colours: tuple[RGB, RGB, RGB]
    period: float = 0.05
    seed: int = 0
    folds: float = 0.08


@dataclass(frozen=True)
class Patch:
    """The stretch of a tube that a texture covers, metres: `top` to `bottom` along it, `girth` around it."""

    top: float
    bottom: float
    girth: float
    per_metre: float
    fold_grid: tuple[int, int] = (4, 13)

    @property
    def size(self) -> tuple[int, int]:
        return max(2, round((self.bottom - self.top) * self.per_metre)), max(8, round(self.girth * self.per_metre))

    def along(self) -> Floats:
        """(h, 1) metres along the tube."""
        return self.top + (np.arange(self.size[0])[:, None] + 0.5) / self.per_metre

    def turn(self) -> Floats:
        """(1, w) turns around the tube, 0..1."""
        return (np.arange(self.size[1])[None] + 0.5) / self.size[1]


def weave(fabric: Fabric, patch: Patch, alpha: Bytes | None = None) -> Texture:
    """The texture of a fabric on a patch."""
    repeats = max(1, round(patch.girth / fabric.period))
    softness = np.array(repeats / patch.size[1])  # about one texel, in repeats
    second, third = PATTERNS[fabric.pattern](
        fabric, patch.turn() * repeats, patch.along() / (patch.girth / repeats), softness
    )
    ground, colour2, colour3 = (np.array(colour, np.float32) for colour in fabric.colours)
    image = ground + np.broadcast_to(second, patch.size)[..., None].astype(np.float32) * (colour2 - ground)
    image += np.broadcast_to(third, patch.size)[..., None].astype(np.float32) * (colour3 - image)
    image *= _folds(fabric, patch)[..., None]
    texels = np.full((*patch.size, 4), 255, np.uint8)
    texels[..., :3] = np.clip(image, 0, 255)
    if alpha is not None:
        texels[..., 3] = alpha
    return Texture(texels, alpha is None, patch.top, patch.per_metre)


def _folds(fabric: Fabric, patch: Patch) -> Floats:
    """(h, w) brightness around 1: smooth noise that closes around the tube."""
    rng = np.random.default_rng(fabric.seed)
    rows, columns = patch.fold_grid
    noise = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    noise = np.concatenate([noise[:, -2:], noise, noise[:, :2]], 1)
    height, width = patch.size
    cell = width / columns
    wide = cv2.resize(noise, (round(cell * (columns + 4)), height), interpolation=cv2.INTER_CUBIC)
    start = round(2 * cell)
    return 1 + fabric.folds * np.clip(wide[:, start : start + width], -1, 0.6)


def edge(distance: Floats, softness: Floats) -> Floats:
    """1 inside (negative distance), 0 outside, antialiased over `softness`."""
    return np.clip(0.5 - distance / np.maximum(softness, 1e-6), 0, 1)


def _wave(phase: Floats) -> Floats:
    """Distance from the nearest whole number, 0 to 0.5."""
    return np.abs(phase - np.round(phase))


NOTHING = np.zeros((1, 1))


def _solid(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return NOTHING, NOTHING


def _stripes(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return edge(_wave(v) - 0.22, soft), NOTHING


def _breton(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return edge(_wave(v) - 0.13, soft), edge(_wave(v / 4 + 0.5) - 0.03, soft / 4)


def _pinstripes(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return edge(_wave(u) - 0.09, soft), NOTHING


def _awning(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return edge(_wave(u) - 0.25, soft), NOTHING


def _gingham(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    across, down = edge(_wave(u) - 0.25, soft), edge(_wave(v) - 0.25, soft)
    return (across + down) / 2, NOTHING


def _tartan(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    bands = (edge(_wave(u) - 0.2, soft) + edge(_wave(v) - 0.2, soft)) / 2
    lines = np.maximum(edge(_wave(u + 0.5) - 0.04, soft), edge(_wave(v + 0.5) - 0.04, soft))
    return bands, 0.8 * lines


def _dots(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    first = np.hypot(_wave(u), _wave(v))
    second = np.hypot(_wave(u + 0.5), _wave(v + 0.5))
    return edge(np.minimum(first, second) - 0.2, soft), NOTHING


def _chevron(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    return edge(_wave(v + 0.8 * _wave(u)) - 0.2, soft * 1.3), NOTHING


def _diamonds(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    distance = _wave(u) + 0.6 * _wave(v / 1.5)
    lines = np.minimum(_wave(u + v / 1.5 + 0.5), _wave(u - v / 1.5 + 0.5))
    return edge(distance - 0.28, soft), edge(lines - 0.03, soft)


def _gradient(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    metres = v * fabric.period
    return np.clip(metres / 0.6, 0, 1) ** 1.2, NOTHING


def _blocks(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    metres = v * fabric.period
    return edge(0.17 - metres, soft * 0.05), edge(0.29 - metres, soft * 0.05)


def _flowers(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    """One five-petalled flower in every cell, a little off its centre, in the second colour with a dot of the third."""
    rng = np.random.default_rng(fabric.seed)
    table = rng.uniform(-1, 1, (97, 3))
    columns = max(1, round(float(u.max())))
    cell_u, cell_v = np.floor(u), np.floor(v)
    entry = table[((cell_u % columns) * 31 + (cell_v % 53) * 17).astype(int) % 97]
    x = u - cell_u - 0.5 - 0.14 * entry[..., 0]
    y = v - cell_v - 0.5 - 0.14 * entry[..., 1]
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + 3 * entry[..., 2]
    size = 0.24 + 0.06 * entry[..., 2]
    petals = edge(radius - size * (0.72 + 0.28 * np.cos(5 * angle)), soft * 1.5)
    return petals, edge(radius - 0.08, soft)


def _leopard(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    """Rings with a gap around a darker middle."""
    shift = 0.5 * (np.floor(v) % 2)
    x = u + shift - np.floor(u + shift) - 0.5
    y = v - np.floor(v) - 0.5
    spin = np.floor(u + shift) * 2.4 + np.floor(v) * 1.7
    radius, angle = np.hypot(x, y * 1.1), np.arctan2(y, x)
    ring = edge(np.abs(radius - 0.3) - 0.09 * (1 + 0.6 * np.sin(angle * 2 + spin)), soft * 1.3)
    return 0.35 * edge(radius - 0.28, soft * 2), ring


def _denim(fabric: Fabric, u: Floats, v: Floats, soft: Floats) -> tuple[Floats, Floats]:
    """Worn lighter in front of the thighs."""
    front = np.cos(2 * np.pi * u / max(1.0, round(float(u.max())))) * 0.5 + 0.5
    twill = 0.12 * (_wave(u * 2 + v * 2) > 0.25)
    return 0.55 * front**3 * np.exp(-(((v * fabric.period) - 0.25) ** 2) / 0.05) + twill, NOTHING


PATTERNS: dict[str, Pattern] = {
    "solid": _solid,
    "stripes": _stripes,
    "breton": _breton,
    "pinstripes": _pinstripes,
    "awning": _awning,
    "gingham": _gingham,
    "tartan": _tartan,
    "dots": _dots,
    "chevron": _chevron,
    "diamonds": _diamonds,
    "gradient": _gradient,
    "blocks": _blocks,
    "flowers": _flowers,
    "leopard": _leopard,
    "denim": _denim,
}
