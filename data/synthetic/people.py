"""Who the synthetic people are: bodies, faces, hair and what they wear, all drawn from one random stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from data.synthetic.canvas import RGB
from data.synthetic.fabric import Fabric

Sex = Literal["WOMEN", "MEN"]
Rng = np.random.Generator

SKINS: tuple[RGB, ...] = (
    (247, 218, 198), (240, 203, 178), (230, 186, 155), (214, 165, 130), (193, 140, 104), (160, 111, 80), (124, 83, 60),
    (96, 64, 48),
)  # fmt: skip
HAIRS: tuple[RGB, ...] = (
    (32, 26, 26), (48, 34, 28), (78, 52, 36), (112, 74, 46), (158, 108, 62), (206, 164, 104), (226, 196, 142),
    (148, 62, 36), (128, 122, 120),
)  # fmt: skip
IRISES: tuple[RGB, ...] = ((74, 48, 32), (58, 40, 30), (92, 122, 148), (96, 116, 76), (122, 86, 50))
CLOTHS: tuple[RGB, ...] = (
    (238, 236, 232), (32, 33, 38), (44, 54, 86), (196, 44, 52), (226, 122, 54), (240, 198, 72), (66, 128, 82),
    (40, 112, 122), (62, 118, 190), (124, 178, 222), (112, 74, 148), (214, 110, 154), (244, 188, 200), (150, 92, 60),
    (206, 182, 148), (126, 130, 136), (190, 194, 200), (122, 34, 52), (96, 108, 62), (164, 214, 190), (248, 228, 180),
)  # fmt: skip
DENIMS: tuple[RGB, ...] = ((52, 76, 118), (84, 116, 158), (140, 168, 198), (40, 46, 62), (198, 208, 216))
NEUTRALS: tuple[RGB, ...] = (
    (34, 34, 38),
    (52, 58, 78),
    (122, 116, 108),
    (198, 184, 158),
    (84, 92, 70),
    (228, 224, 216),
)
SHOES: tuple[RGB, ...] = (
    (36, 34, 36), (232, 230, 228), (120, 74, 46), (180, 44, 48), (46, 62, 110), (196, 160, 120), (150, 152, 158),
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Lengths in metres of a person of about 1.75 m; `girth` scales widths and `head` the head (1 is average)."""

    sex: Sex
    shoulder: float
    hip: float
    torso: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    girth: float
    head: float


@dataclass(frozen=True)
class Looks:
    """Skin, face and hair. `hair` is a key of `head.HAIRSTYLES`; `beard` is an opacity, 0 for none."""

    skin: RGB
    hair_colour: RGB
    hair: str
    fringe: float
    iris: RGB
    lips: RGB
    beard: float
    glasses: bool
    parting: float


@dataclass(frozen=True)
class Top:
    """A garment of the upper body, or the whole of a dress.

    Attributes:
        neckline: a key of `clothes.NECKLINES`.
        sleeve: share of the arm that the sleeve covers, 0 for none.
        hem: metres below the neck joint.
        ease: metres that it stands off the body.
        open_front: half width of the opening at the hem, metres; 0 when closed.
        trim: colour of collar, cuffs and buttons.
        motif: a key of `clothes.MOTIFS`, printed on the chest, or None.
    """

    fabric: Fabric
    neckline: str
    sleeve: float
    hem: float
    ease: float
    trim: RGB
    open_front: float = 0.0
    buttons: bool = False
    motif: str | None = None
    hood: bool = False


@dataclass(frozen=True)
class Trousers:
    """`length` is the share of the leg covered; `cut` a key of `clothes.CUTS`."""

    fabric: Fabric
    length: float
    cut: str
    belt: RGB | None


@dataclass(frozen=True)
class Skirt:
    """`hem` is metres below the neck joint, `flare` metres that the hem is wider than the hips."""

    fabric: Fabric
    hem: float
    flare: float
    pleats: int
    belt: RGB | None
    waist: float = 0.33


@dataclass(frozen=True)
class Outfit:
    """Everything worn. `outer` lies over `top`; `tucked` puts the lower garment over the top's hem."""

    category: str
    top: Top
    outer: Top | None
    lower: Trousers | Skirt
    tucked: bool
    shoes: str
    shoe_colour: RGB
    socks: RGB | None


@dataclass(frozen=True)
class Person:
    """One synthetic person with one set of clothes."""

    body: Body
    looks: Looks
    outfit: Outfit


def sample_person(rng: Rng) -> Person:
    """Draw a person; the same stream gives the same person."""
    sex: Sex = "WOMEN" if rng.random() < 0.6 else "MEN"
    return Person(_sample_body(rng, sex), _sample_looks(rng, sex), _sample_outfit(rng, sex))


def _sample_body(rng: Rng, sex: Sex) -> Body:
    woman = sex == "WOMEN"
    size = rng.normal(0.96 if woman else 1.03, 0.025)
    leg = size * rng.normal(1.0, 0.02)
    return Body(
        sex=sex,
        shoulder=size * rng.normal(0.155 if woman else 0.178, 0.006),
        hip=size * rng.normal(0.088 if woman else 0.09, 0.003),
        torso=0.51 * size,
        upper_arm=0.285 * size,
        forearm=0.25 * size,
        thigh=0.435 * leg,
        shin=0.425 * leg,
        girth=float(np.clip(rng.normal(1.0, 0.07), 0.88, 1.2)),
        head=rng.normal(1.0, 0.02),
    )


def _sample_looks(rng: Rng, sex: Sex) -> Looks:
    woman = sex == "WOMEN"
    skin = _pick(rng, SKINS)
    styles = ("long", "long", "wavy", "bob", "ponytail", "bun", "short", "curly") if woman else (
        "short", "short", "crop", "quiff", "curly", "bun", "bald")  # fmt: skip
    dark = sum(skin) < 400
    hair = _pick(rng, HAIRS[:3] if dark else HAIRS)
    lip_tint = np.array((196, 70, 84) if woman and rng.random() < 0.5 else (190, 104, 98))
    lips = 0.55 * lip_tint + 0.45 * np.array(skin) * 0.85
    return Looks(
        skin=skin,
        hair_colour=hair,
        hair=str(rng.choice(styles)),
        fringe=float(rng.choice([0.0, 0.0, 0.022, 0.036])) if woman else 0.0,
        iris=_pick(rng, IRISES[:2] if dark else IRISES),
        lips=(int(lips[0]), int(lips[1]), int(lips[2])),
        beard=0.0 if woman else float(rng.choice([0.0, 0.0, 0.25, 0.85])),
        glasses=bool(rng.random() < 0.1),
        parting=rng.uniform(-0.03, 0.03),
    )


def _sample_outfit(rng: Rng, sex: Sex) -> Outfit:
    woman = sex == "WOMEN"
    kind = str(rng.choice(["dress", "skirt", "trousers"], p=[0.34, 0.22, 0.44])) if woman else "trousers"
    shoes = str(rng.choice(["sneaker", "pump", "boot", "flat"] if woman else ["sneaker", "sneaker", "loafer"]))
    lower: Trousers | Skirt
    if kind == "dress":
        top, lower, category = *_sample_dress(rng), "Dresses"
    else:
        top, category = _sample_top(rng, woman)
        lower = _sample_skirt(rng) if kind == "skirt" else _sample_trousers(rng, woman)
    outer = _sample_outer(rng, top) if rng.random() < (0.16 if kind == "dress" else 0.26) else None
    if outer:
        category = "Jackets_Coats" if woman else "Jackets_Vests"
    elif kind == "skirt" and rng.random() < 0.5:
        category = "Skirts"
    elif kind == "trousers" and isinstance(lower, Trousers) and rng.random() < 0.4:
        category = _name_trousers(lower)
    tucked = kind != "dress" and (kind == "skirt" or bool(rng.random() < 0.35))
    return Outfit(
        category,
        top,
        outer,
        lower,
        tucked or kind == "dress",
        shoes,
        _pick(rng, SHOES),
        _pick(rng, NEUTRALS) if rng.random() < 0.3 else None,
    )


def _name_trousers(trousers: Trousers) -> str:
    if trousers.length < 0.6:
        return "Shorts"
    return "Denim" if trousers.fabric.pattern == "denim" else "Pants"


def _sample_top(rng: Rng, woman: bool) -> tuple[Top, str]:
    kinds = ["tee", "tank", "blouse", "sweater", "polo"] if woman else ["tee", "tee", "shirt", "sweater", "polo"]
    kind = str(rng.choice(kinds))
    fabric = _sample_fabric(rng, rich=0.7)
    trim = _pick(rng, NEUTRALS) if rng.random() < 0.4 else fabric.colours[0]
    hem = rng.uniform(0.5, 0.58) if not woman else rng.choice([0.36, 0.52, 0.6]) + rng.uniform(-0.02, 0.02)
    plain = Top(fabric, "crew", 0.28, float(hem), rng.uniform(0.006, 0.02), trim)
    if kind == "tee":
        motif = str(rng.choice(["disc", "star", "heart", "bars", "bolt"])) if fabric.pattern == "solid" else None
        neck = str(rng.choice(["crew", "v", "scoop"] if woman else ["crew", "crew", "v"]))
        return replace(plain, neckline=neck, sleeve=rng.uniform(0.22, 0.34), motif=motif), "Tees_Tanks"
    if kind == "tank":
        return replace(plain, neckline=str(rng.choice(["tank", "strap", "tank"])), sleeve=0.0), "Tees_Tanks"
    if kind == "sweater":
        neck = str(rng.choice(["crew", "turtle", "boat", "v"]))
        warm = replace(plain, neckline=neck, sleeve=0.97, ease=rng.uniform(0.016, 0.032))
        return (replace(warm, hood=True, neckline="crew"), "Sweatshirts_Hoodies") if rng.random() < 0.25 else (
            warm, "Sweaters")  # fmt: skip
    collared = replace(plain, neckline="collar", buttons=True, trim=fabric.colours[0])
    if kind == "polo":
        return replace(collared, sleeve=rng.uniform(0.26, 0.34)), "Tees_Tanks" if woman else "Shirts_Polos"
    sleeve = float(rng.choice([0.3, 0.55, 0.96, 0.96]))
    return replace(collared, sleeve=sleeve), "Blouses_Shirts" if woman else "Shirts_Polos"


def _sample_outer(rng: Rng, top: Top) -> Top:
    """A jacket, blazer, coat or cardigan, worn open over the top."""
    fabric = _sample_fabric(rng, rich=0.25)
    neckline = str(rng.choice(["lapel", "lapel", "plain"]))
    hem = max(float(rng.choice([0.42, 0.56, 0.62, 0.85])), 0.4)
    return Top(
        fabric, neckline, 0.95, hem, max(0.026, top.ease + 0.012), _darker(fabric.colours[0]), rng.uniform(0.04, 0.09)
    )


def _sample_dress(rng: Rng) -> tuple[Top, Skirt]:
    fabric = _sample_fabric(rng, rich=0.8)
    neckline = str(rng.choice(["crew", "v", "scoop", "tank", "strap", "boat", "square"]))
    sleeve = 0.0 if neckline in ("tank", "strap") else float(rng.choice([0.0, 0.2, 0.3, 0.55, 0.97]))
    belt = _pick(rng, NEUTRALS) if rng.random() < 0.35 else None
    top = Top(fabric, neckline, sleeve, 0.37, 0.006, fabric.colours[0])
    hem = float(rng.choice([0.78, 0.88, 1.0, 1.2, 1.36]))
    return top, Skirt(fabric, hem, rng.uniform(-0.01, 0.13), int(rng.choice([0, 0, 9, 15])), belt)


def _sample_skirt(rng: Rng) -> Skirt:
    fabric = _sample_fabric(rng, rich=0.5)
    belt = _pick(rng, NEUTRALS) if rng.random() < 0.4 else None
    hem = float(rng.choice([0.76, 0.86, 0.98, 1.2]))
    return Skirt(fabric, hem, rng.uniform(-0.015, 0.14), int(rng.choice([0, 0, 12, 20])), belt)


def _sample_trousers(rng: Rng, woman: bool) -> Trousers:
    short = rng.random() < 0.22
    if rng.random() < 0.45:
        colour = _pick(rng, DENIMS)
        fabric = Fabric("denim", (colour, _lighter(colour), colour), 0.006, _seed(rng), 0.1)
    else:
        pattern = str(rng.choice(["solid", "solid", "solid", "pinstripes", "tartan", "gingham"]))
        fabric = replace(_sample_fabric(rng, rich=0.0, colours=NEUTRALS + CLOTHS[:6]), pattern=pattern, period=0.035)
    cut = "shorts" if short else str(rng.choice(["slim", "slim", "straight", "wide", "flared"] if woman else
                                                ["slim", "straight", "straight"]))  # fmt: skip
    length = rng.uniform(0.28, 0.5) if short else rng.uniform(0.88, 1.0)
    return Trousers(fabric, length, cut, _pick(rng, NEUTRALS[:4]) if rng.random() < 0.4 else None)


def _sample_fabric(rng: Rng, rich: float, colours: tuple[RGB, ...] = CLOTHS) -> Fabric:
    """A cloth that is patterned with probability `rich`."""
    patterns = ["stripes", "breton", "awning", "gingham", "tartan", "dots", "chevron", "diamonds", "gradient", "blocks",
                "flowers", "flowers", "leopard"]  # fmt: skip
    pattern = str(rng.choice(patterns)) if rng.random() < rich else "solid"
    ground, second, third = _contrasting(rng, colours)
    return Fabric(pattern, (ground, second, third), rng.uniform(0.032, 0.075), _seed(rng), rng.uniform(0.05, 0.12))


def _contrasting(rng: Rng, colours: tuple[RGB, ...]) -> tuple[RGB, RGB, RGB]:
    """Three colours, each pair far enough apart to be told apart in a small picture."""
    ground = _pick(rng, colours)
    second = _far_from(rng, colours, (ground,))
    return ground, second, _far_from(rng, colours, (ground, second))


def _far_from(rng: Rng, colours: tuple[RGB, ...], others: tuple[RGB, ...]) -> RGB:
    far = [c for c in colours if all(np.abs(np.subtract(c, other)).sum() > 150 for other in others)]
    return _pick(rng, tuple(far) or colours)


def _pick(rng: Rng, colours: tuple[RGB, ...]) -> RGB:
    return colours[int(rng.integers(len(colours)))]


def _seed(rng: Rng) -> int:
    return int(rng.integers(2**31))


def _lighter(colour: RGB) -> RGB:
    return (colour[0] + (255 - colour[0]) // 2, colour[1] + (255 - colour[1]) // 2, colour[2] + (255 - colour[2]) // 2)


def _darker(colour: RGB) -> RGB:
    return (int(colour[0] * 0.7), int(colour[1] * 0.7), int(colour[2] * 0.7))
