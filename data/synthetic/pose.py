"""Articulated skeletons in natural poses, and the camera that looks at them.

World axes in metres, before the camera turns: x to the person's left, y up, z to the person's front;
the origin is the middle of the hips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from data.synthetic.canvas import Floats
from data.synthetic.people import Body, Rng

NOSE, NECK = 0, 1
ARMS = {"right": (2, 3, 4), "left": (5, 6, 7)}
LEGS = {"right": (8, 9, 10), "left": (11, 12, 13)}
EYES = {"right": 14, "left": 15}
EARS = {"right": 16, "left": 17}
SIGN = {"right": -1.0, "left": 1.0}
STRETCH = 0.998  # a joint chain never quite straightens, so the side it bends to stays defined

HEAD_CENTRE = np.array([0.0, 0.205, 0.022])  # from the neck joint
NOSE_TIP = np.array([0.0, -0.034, 0.094])  # these from the head's centre, person's left
EYE = np.array([0.031, 0.004, 0.074])
EAR = np.array([0.075, -0.006, -0.008])


@dataclass(frozen=True)
class Pose:
    """Skeleton of a person.

    Attributes:
        joints: (18, 3) OpenPose-18 joints, metres.
        head: (3,) middle of the head.
        head_turn: turn of the head against the body, radians, positive to the person's left.
        head_tilt: roll of the head, radians, positive towards the person's left shoulder.
        shoulder_roll, hip_roll: roll of the shoulder and hip line, radians, positive raises the person's left.
    """

    joints: Floats
    head: Floats
    head_turn: float
    head_tilt: float
    shoulder_roll: float
    hip_roll: float


@dataclass(frozen=True)
class Camera:
    """Orthographic camera: turns the person by `yaw` radians (positive: face to the picture's right).

    Attributes:
        scale: pixels a metre.
        origin: pixel of the world's origin.
    """

    yaw: float
    scale: float
    origin: tuple[float, float]

    def turn(self, points: Floats) -> Floats:
        """(..., 3) world points as (right, up, towards the viewer), metres."""
        return points @ yaw_matrix(self.yaw).T

    def project(self, points: Floats) -> Floats:
        """(..., 3) world points to (..., 2) pixels."""
        return np.asarray(self.origin) + self.scale * self.turn(points)[..., :2] * (1, -1)


def yaw_matrix(yaw: float) -> Floats:
    """(3, 3) turn about the vertical that brings +z towards +x."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def bend_chain(root: Floats, target: Floats, lengths: tuple[float, float], pole: Floats) -> tuple[Floats, Floats]:
    """Two-bone inverse kinematics.

    Args:
        root, target: (3,) start and wished end.
        lengths: of both bones.
        pole: (3,) direction towards which the middle joint bends.

    Returns:
        (3,) middle joint and (3,) end; the end is the target, or as near as the bones reach.
    """
    first, second = lengths
    reach = target - root
    distance = float(np.clip(np.linalg.norm(reach), abs(first - second) * 1.02, (first + second) * STRETCH))
    direction = reach / np.linalg.norm(reach)
    on_line = (first**2 - second**2 + distance**2) / (2 * distance)
    aside = pole - direction * (pole @ direction)
    aside = aside / np.linalg.norm(aside)
    middle = root + direction * on_line + aside * np.sqrt(max(0.0, first**2 - on_line**2))
    return middle, root + direction * distance


def sample_pose(rng: Rng, body: Body) -> Pose:
    """A standing, walking or leaning person, with arms from the repertoire of a catalogue."""
    joints = np.zeros((18, 3))
    hip_roll, shoulder_roll = rng.normal(0, 0.045), rng.normal(0, 0.035)
    lean, pitch = rng.normal(0, 0.03), rng.normal(-0.01, 0.03)
    joints[NECK] = body.torso * np.array([np.sin(lean), np.cos(lean), -np.sin(pitch)])
    for side, sign in SIGN.items():
        across = sign * np.array([np.cos(shoulder_roll), np.sin(shoulder_roll), 0])
        joints[ARMS[side][0]] = joints[NECK] + body.shoulder * across
        across = sign * np.array([np.cos(hip_roll), np.sin(hip_roll), 0])
        joints[LEGS[side][0]] = body.hip * across
    _place_legs(rng, body, joints)
    _place_arms(rng, body, joints)
    turn, tilt = rng.normal(0, 0.16), rng.normal(0, 0.05)
    return pose_with_face(joints, body.head, turn, tilt, shoulder_roll, hip_roll)


def pose_with_face(
    joints: Floats, size: float, turn: float = 0.0, tilt: float = 0.0, shoulder_roll: float = 0.0, hip_roll: float = 0.0
) -> Pose:
    """A pose from (18, 3) joints of the body, into which the face is put; angles as in `Pose`, `size` of the head."""
    head = joints[NECK] + HEAD_CENTRE
    _place_face(joints, head, turn, tilt, size)
    return Pose(joints, head, turn, tilt, shoulder_roll, hip_roll)


def _place_face(joints: Floats, head: Floats, turn: float, tilt: float, size: float) -> None:
    joints[NOSE] = head_point(head, turn, tilt, size * NOSE_TIP)
    for side, sign in SIGN.items():
        joints[EYES[side]] = head_point(head, turn, tilt, size * EYE * (sign, 1, 1))
        joints[EARS[side]] = head_point(head, turn, tilt, size * EAR * (sign, 1, 1))


def head_point(head: Floats, turn: float, tilt: float, point: Floats) -> Floats:
    """(..., 3) points of the head's own axes in the world's."""
    cos, sin = np.cos(tilt), np.sin(tilt)
    roll = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return head + point @ roll.T @ yaw_matrix(turn).T


def _place_legs(rng: Rng, body: Body, joints: Floats) -> None:
    stance = str(rng.choice(["stand", "contrapposto", "walk", "cross"], p=[0.35, 0.3, 0.25, 0.1]))
    lead = str(rng.choice(["right", "left"]))
    length = (body.thigh + body.shin) * 0.995
    for side, sign in SIGN.items():
        shift = _ankle_shift(rng, stance, side == lead, sign)
        hip, knee, ankle = LEGS[side]
        target = joints[hip] * (1, 0, 1) + np.array([shift[0], shift[1] - length, shift[2]])
        pole = np.array([0.18 * sign, 0, 1])
        joints[knee], joints[ankle] = bend_chain(joints[hip], target, (body.thigh, body.shin), pole)


def _ankle_shift(rng: Rng, stance: str, leading: bool, sign: float) -> Floats:
    """Where the ankle goes from below the hip: (left, up, front), metres."""
    stride = rng.uniform(0.12, 0.24)
    resting = {"walk": (-sign * 0.03, 0.06, -stride), "stand": (sign * rng.uniform(-0.01, 0.05), 0.0, 0.0)}
    reaching = {
        "walk": (-sign * 0.03, 0.02, stride),
        "contrapposto": (sign * rng.uniform(0.03, 0.12), 0.015, rng.uniform(0.06, 0.14)),
        "cross": (-sign * rng.uniform(0.08, 0.13), 0.01, 0.09),
    }
    shift = reaching.get(stance) if leading else None
    return np.array(shift or resting.get(stance, (0.0, 0.0, 0.0))) + rng.normal(0, 0.012, 3) * (1, 0.3, 1)


def _place_arms(rng: Rng, body: Body, joints: Floats) -> None:
    names = list(ARM_POSES)
    odds = np.array([ARM_POSES[name].odds for name in names])
    both = str(rng.choice(["free", "same", "crossed"], p=[0.58, 0.36, 0.06]))
    first = str(rng.choice(names, p=odds / odds.sum()))
    for side, sign in SIGN.items():
        name = first if both == "same" or side == "right" else str(rng.choice(names, p=odds / odds.sum()))
        aim = _crossed(side) if both == "crossed" else ARM_POSES[name]
        shoulder, elbow, wrist = ARMS[side]
        base = {"shoulder": joints[shoulder], "neck": joints[NECK], "hips": np.zeros(3)}[aim.base]
        mirror = np.array([sign, 1, 1])
        target = base + np.array(aim.wrist) * mirror + rng.normal(0, 0.015, 3)
        joints[elbow], joints[wrist] = bend_chain(
            joints[shoulder], target, (body.upper_arm, body.forearm), np.array(aim.pole) * mirror
        )


class ArmPose(NamedTuple):
    """Where a left wrist goes (metres from `base`) and where its elbow points; mirrored for the right arm."""

    base: str
    wrist: tuple[float, float, float]
    pole: tuple[float, float, float]
    odds: float


ARM_POSES = {
    "hanging": ArmPose("shoulder", (0.085, -0.52, 0.03), (0.5, 0, -1), 3.0),
    "loose": ArmPose("shoulder", (0.15, -0.49, 0.06), (0.8, 0, -1), 2.0),
    "swung forward": ArmPose("shoulder", (0.06, -0.48, 0.17), (0.4, 0, -1), 1.0),
    "swung back": ArmPose("shoulder", (0.08, -0.5, -0.14), (0.4, 0, -1), 0.8),
    "on hip": ArmPose("hips", (0.165, 0.1, 0.05), (1, 0, -0.5), 1.6),
    "in pocket": ArmPose("hips", (0.19, 0.0, 0.07), (1, 0, -0.9), 1.4),
    "forearm raised": ArmPose("shoulder", (0.03, -0.2, 0.25), (0.6, -0.6, -0.6), 0.7),
    "to the chest": ArmPose("neck", (0.09, -0.14, 0.17), (0.9, -1.2, 0), 0.25),
    "behind the head": ArmPose("neck", (0.13, 0.2, -0.13), (1, 0.1, 0.0), 0.4),
    "stretched aside": ArmPose("shoulder", (0.3, -0.4, 0.05), (0.5, 0, -1), 0.5),
    "behind the back": ArmPose("hips", (0.04, 0.06, -0.17), (1, 0, -0.6), 0.5),
}


def _crossed(side: str) -> ArmPose:
    """One forearm lies a little lower and further out than the other."""
    right = side == "right"
    return ArmPose("neck", (-0.08, -0.27 if right else -0.235, 0.2 if right else 0.17), (0.9, -0.9, 0.1), 1.0)
