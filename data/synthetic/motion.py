"""Synthetic people in motion: a walk and a turn, every frame with its joints and, for any person, its true picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data.synthetic.canvas import Floats
from data.synthetic.figure import Model, draw
from data.synthetic.people import Body
from data.synthetic.pose import ARMS, LEGS, NECK, SIGN, Camera, Pose, bend_chain, pose_with_face
from data.synthetic.views import CROWN, FULL, SOLE

MOTIONS = ("walk", "turn")
WALK_YAW = np.radians(40)  # towards the viewer, and past him
STRIDE, LIFT, SWING = 0.26, 0.09, 0.2  # metres: of the feet forward and upward, of the hands forward


def film(model: Model, motion: str, num_frames: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, Floats]]:
    """Frames of a motion that comes back to its beginning, each as `figure.draw` gives it.

    Args:
        motion: `walk`, two steps on the spot seen from the side of the front; or `turn`, once round on the spot.
        num_frames: of one round.
        size: height and width of the picture, pixels.
    """
    body = model.person.body
    for phase in np.arange(num_frames) / num_frames:
        walks = motion == "walk"
        pose = walking(body, phase) if walks else standing(body)
        yaw = WALK_YAW if walks else 2 * np.pi * phase
        yield draw(model, pose, whole_body(body, float(yaw), size), size)


def walking(body: Body, phase: float) -> Pose:
    """A person in the middle of a step; phase 0 has the right foot in front, 0.5 the left one, and 1 is 0."""
    angles = {"right": 2 * np.pi * phase, "left": 2 * np.pi * (phase + 0.5)}
    feet = {side: (max(0.0, -np.sin(angle)) * LIFT, np.cos(angle) * STRIDE) for side, angle in angles.items()}
    return _pose(body, feet, {side: -np.cos(angle) * SWING for side, angle in angles.items()})


def standing(body: Body) -> Pose:
    """A person who stands upright, the arms hanging."""
    return _pose(body, dict.fromkeys(LEGS, (0.0, 0.0)), dict.fromkeys(ARMS, 0.03))


def whole_body(body: Body, yaw: float, size: tuple[int, int]) -> Camera:
    """A camera that has a person of this body in the frame from the soles to the crown, whatever the person does."""
    soles = -(body.thigh + body.shin + SOLE)
    person = standing(body).head[1] + CROWN - soles
    top, bottom = soles + person * FULL[0].top, soles + person * FULL[0].bottom
    scale = size[0] / (top - bottom)
    return Camera(yaw, scale, (size[1] / 2, scale * top))


def _pose(body: Body, feet: dict[str, tuple[float, float]], hands: dict[str, float]) -> Pose:
    """Ankles (up, forward) and wrists (forward) from where they hang, metres."""
    joints = np.zeros((18, 3))
    joints[NECK] = (0, body.torso, 0)
    for side, sign in SIGN.items():
        hip, knee, ankle = LEGS[side]
        joints[hip] = (sign * body.hip, 0, 0)
        below = joints[hip] + (0, feet[side][0] - (body.thigh + body.shin) * 0.995, feet[side][1])
        joints[knee], joints[ankle] = bend_chain(
            joints[hip], below, (body.thigh, body.shin), np.array([0.1 * sign, 0, 1])
        )
        shoulder, elbow, wrist = ARMS[side]
        joints[shoulder] = joints[NECK] + (sign * body.shoulder, 0, 0)
        hand = joints[shoulder] + (sign * 0.085, -0.5, hands[side])
        outwards = np.array([0.5 * sign, 0, -1])
        joints[elbow], joints[wrist] = bend_chain(joints[shoulder], hand, (body.upper_arm, body.forearm), outwards)
    return pose_with_face(joints, body.head)
