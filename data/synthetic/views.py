"""The views of a catalogue: from which side a person is seen and how much of them is in the frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data.synthetic.people import Body, Rng
from data.synthetic.pose import Camera, Pose

VIEW_NAMES = ("1_front", "2_side", "3_back", "4_full", "7_additional")
MAX_VIEWS = 50
SOLE = 0.088  # metres below the ankle joint
CROWN = 0.15  # metres above the middle of the head, hair included


class Framing(NamedTuple):
    """Heights of the picture's upper and lower border as shares of the person's height (0 at the soles)."""

    top: float
    bottom: float
    odds: float


# Most catalogue pictures end between the knees and the ankles; some cut the head.
USUAL = (Framing(1.02, 0.26, 0.45), Framing(1.02, 0.12, 0.25), Framing(1.03, -0.04, 0.1), Framing(1.02, 0.4, 0.1),
         Framing(0.9, 0.22, 0.1))  # fmt: skip
FULL = (Framing(1.03, -0.045, 1.0),)
DETAIL = (Framing(1.02, 0.48, 0.5), Framing(0.9, 0.3, 0.15), Framing(1.03, -0.04, 0.22), Framing(0.62, -0.04, 0.13))


def view_name(index: int) -> str:
    """The view part of a file name: `1_front` ... `7_additional`, then `8_additional` and so on."""
    return VIEW_NAMES[index] if index < len(VIEW_NAMES) else f"{index + 3}_additional"


def sample_camera(rng: Rng, name: str, body: Body, pose: Pose, size: tuple[int, int]) -> Camera:
    """A camera for one of the named views.

    Args:
        name: from `view_name`.
        size: height and width of the picture, pixels.
    """
    kind = name.partition("_")[2]
    yaw = _sample_yaw(rng, kind)
    choices = {"full": FULL, "additional": DETAIL}.get(kind, USUAL)
    framing = choices[int(rng.choice(len(choices), p=[choice.odds for choice in choices]))]
    soles = -(body.thigh + body.shin + SOLE)
    person = pose.head[1] + CROWN - soles
    top = soles + person * (framing.top + rng.uniform(-0.008, 0.012))
    bottom = soles + person * (framing.bottom + rng.uniform(-0.02, 0.02))
    scale = size[0] / (top - bottom)
    turned = Camera(yaw, 1.0, (0.0, 0.0)).turn(pose.joints)[:, 0]
    middle = 0.5 * (turned.min() + turned.max()) * 0.6 + 0.4 * turned[1] + rng.normal(0, 0.012)
    return Camera(yaw, scale, (size[1] / 2 - scale * middle, scale * top))


def _sample_yaw(rng: Rng, kind: str) -> float:
    """Radians; 0 faces the viewer, positive turns the face to the picture's right."""
    sign = rng.choice([-1.0, 1.0])
    degrees = {
        "front": np.clip(rng.normal(0, 12), -25, 25),
        "side": sign * rng.uniform(35, 92),
        "back": 180 + np.clip(rng.normal(0, 16), -40, 40),
        "full": np.clip(rng.normal(0, 20), -45, 45),
        "additional": sign * (rng.uniform(0, 50) if rng.random() < 0.85 else rng.uniform(130, 180)),
    }[kind]
    return float(np.radians(degrees))
