"""The tubes of a posed body and of what hangs on it, as a camera sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data.synthetic.canvas import Floats, Tube, smooth
from data.synthetic.people import Body
from data.synthetic.pose import LEGS, NECK, Camera, Pose, head_point

# Rows: metres below the neck joint, half width, depth to the front, depth to the back.
_TORSO = {
    "WOMEN": np.array([
        (-0.085, 0.048, 0.035, 0.055), (-0.068, 0.084, 0.040, 0.060), (-0.042, 0.144, 0.048, 0.066),
        (0.000, 0.156, 0.062, 0.078), (0.060, 0.146, 0.092, 0.090), (0.140, 0.140, 0.128, 0.088),
        (0.220, 0.126, 0.106, 0.074), (0.320, 0.113, 0.088, 0.062), (0.420, 0.145, 0.092, 0.090),
        (0.510, 0.168, 0.090, 0.114), (0.580, 0.166, 0.086, 0.100), (0.640, 0.120, 0.070, 0.060)]),
    "MEN": np.array([
        (-0.085, 0.060, 0.045, 0.060), (-0.072, 0.098, 0.048, 0.066), (-0.048, 0.164, 0.055, 0.074),
        (0.000, 0.180, 0.075, 0.088), (0.060, 0.172, 0.100, 0.100), (0.140, 0.162, 0.116, 0.100),
        (0.220, 0.152, 0.110, 0.088), (0.320, 0.142, 0.102, 0.078), (0.420, 0.150, 0.102, 0.090),
        (0.510, 0.160, 0.098, 0.106), (0.580, 0.158, 0.092, 0.098), (0.640, 0.120, 0.070, 0.060)]),
}  # fmt: skip
# Rows: metres above the head's centre, half width, depth to the front, depth to the back.
HEAD = np.array([
    (-0.116, 0.016, 0.062, -0.030), (-0.104, 0.033, 0.080, -0.006), (-0.085, 0.049, 0.084, 0.022),
    (-0.055, 0.063, 0.085, 0.066), (-0.020, 0.073, 0.084, 0.094), (0.020, 0.076, 0.084, 0.103),
    (0.060, 0.072, 0.080, 0.096), (0.092, 0.056, 0.060, 0.072), (0.110, 0.034, 0.036, 0.044),
    (0.118, 0.004, 0.008, 0.008)])  # fmt: skip
# Share of the first and second bone (0..1, 1..2) against radius, metres.
_ARM = np.array(
    [(0, 0.038), (0.25, 0.046), (0.45, 0.044), (0.7, 0.039), (1, 0.035), (1.3, 0.037), (1.7, 0.028), (2, 0.023)]
)
_LEG = np.array([(0, 0.078), (0.25, 0.084), (0.6, 0.069), (1, 0.052), (1.3, 0.056), (1.7, 0.040), (2, 0.033)])


@dataclass(frozen=True)
class Stage:
    """A posed body in front of a camera."""

    body: Body
    pose: Pose
    camera: Camera

    @property
    def facing(self) -> float:
        """Angle around the torso that faces the viewer, radians; 0 is the person's front."""
        return -self.camera.yaw

    @property
    def head_facing(self) -> float:
        return -(self.camera.yaw + self.pose.head_turn)

    @property
    def pixels(self) -> Floats:
        """(18, 2) joints, pixels."""
        return self.camera.project(self.pose.joints)

    @property
    def depth(self) -> Floats:
        """(18,) joints' distance towards the viewer from the middle of the hips, metres."""
        return self.camera.turn(self.pose.joints)[:, 2]

    def head_pixels(self, points: Floats) -> Floats:
        """(..., 3) points of the head's own axes to pixels."""
        pose = self.pose
        return self.camera.project(head_point(pose.head, pose.head_turn, pose.head_tilt, points * self.body.head))


def torso_profile(body: Body, heights: Floats) -> Floats:
    """(N, 3) half width, front and back depth at `heights`, metres below the neck joint."""
    table = _TORSO[body.sex]
    profile = smooth(table[:, 0], table[:, 1:], heights)
    mean_shoulder = 0.155 if body.sex == "WOMEN" else 0.178
    at_shoulder = np.interp(heights, [0.0, 0.25], [body.shoulder / mean_shoulder, body.girth])
    return profile * np.stack([at_shoulder, np.full_like(heights, body.girth), np.full_like(heights, body.girth)], -1)


def torso_tube(stage: Stage, top: float, bottom: float, ease: float = 0.0, bulge: float = 0.0) -> Tube:
    """The torso or a garment on it between two heights (metres below the neck joint), `ease` metres off the skin."""
    body, pose, camera = stage.body, stage.pose, stage.camera
    # rows crowd at the shoulders, where the outline turns
    heights = top + (bottom - top) * np.linspace(0, 1, max(5, round((bottom - top) / 0.025))) ** 1.6
    profile = torso_profile(body, np.minimum(heights, 0.56 if bottom > 0.66 else 0.64))
    share = heights / body.torso
    spine = pose.joints[NECK] * (1 - share[:, None])
    spine[:, 2] += (profile[:, 1] - profile[:, 2]) / 2
    loose = ease * np.interp(heights, [-0.05, 0.1], [0.25, 1.0])
    roll = (pose.shoulder_roll + (pose.hip_roll - pose.shoulder_roll) * np.clip(share, 0, 1)) * np.cos(camera.yaw)
    return Tube(
        centre=camera.project(spine),
        side=np.stack([np.cos(roll), -np.sin(roll)], -1),
        radius=camera.scale * (_half_width(profile, camera.yaw) + loose),
        along=heights,
        shade=np.interp(heights, [0.0, 0.1, 0.45, 0.56], [0.55, 0.8, 0.8, 0.45 if bottom < 0.66 else 0.8]),
        bulge=bulge,
    )


def _half_width(profile: Floats, yaw: float) -> Floats:
    """Half the width of elliptic rows (half width, front, back) seen under `yaw`."""
    depth = (profile[:, 1] + profile[:, 2]) / 2
    return np.hypot(profile[:, 0] * np.cos(yaw), depth * np.sin(yaw))


def limb_tubes(
    stage: Stage, chain: tuple[int, int, int], radii: Floats, end: float = 2.0, start: float = 0.0, bulge: float = 0.0
) -> list[Tube]:
    """An arm or leg, or what covers it: one tube a bone, the upper one first.

    Args:
        chain: its three joints.
        radii: (K, 2) share of the bones (0 root, 1 middle joint, 2 end) against radius in metres.
        start, end: shares between which it is drawn.
        bulge: roundness of the hem at `end`.
    """
    tubes = []
    if start < 1.0:
        upper = _bone_tube(stage, chain, radii, start, min(end, 1.0))
        tubes.append(replace(upper, round_start=start == 0.0, round_end=end > 1.0, bulge=bulge if end <= 1.0 else 0.0))
    if end > 1.0:
        lower = _bone_tube(stage, chain, radii, max(start, 1.0), end)
        tubes.append(replace(lower, round_start=start <= 1.0, bulge=bulge))
    return tubes


def _bone_tube(stage: Stage, chain: tuple[int, int, int], radii: Floats, start: float, end: float) -> Tube:
    joints, camera = stage.pose.joints[list(chain)], stage.camera
    shares = np.linspace(start, end, max(3, int(12 * (end - start))))
    points = np.stack([np.interp(shares, [0, 1, 2], joints[:, axis]) for axis in range(3)], -1)
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1)
    bone = np.diff(camera.project(joints), axis=0)[0 if start < 1.0 else 1]
    length = float(np.linalg.norm(bone))
    x, y = bone / length if length > 1.0 else (0.0, 1.0)  # a bone that points at the viewer is a disc
    return Tube(
        centre=camera.project(points),
        side=np.tile([y, -x], (len(shares), 1)),
        radius=camera.scale * np.maximum(smooth(radii[:, 0], radii[:, 1], shares), 0.008),
        along=np.interp(shares, [0, 1, 2], [0, lengths[0], lengths.sum()]),
        shade=np.interp(shares, [0, 0.12, 0.45], [0.35, 0.5, 0.85] if chain in LEGS.values() else [0.55, 0.7, 0.85]),
    )


def arm_radii(body: Body) -> Floats:
    """(K, 2) radii of a bare arm, for `limb_tubes`."""
    return _ARM * (1, body.girth * (0.86 if body.sex == "WOMEN" else 1.08))


def leg_radii(body: Body) -> Floats:
    """(K, 2) radii of a bare leg, for `limb_tubes`."""
    return _LEG * (1, body.girth)


def thicker(radii: Floats, metres: float) -> Floats:
    """Radii for `limb_tubes`, `metres` larger."""
    return radii + np.array([0.0, metres])


def skirt_tube(stage: Stage, top: float, hem: float, flare: float, ease: float = 0.006) -> Tube:
    """A skirt from `top` to `hem` (metres below the neck joint) that always covers both legs."""
    body, camera = stage.body, stage.camera
    heights = np.linspace(top, hem, max(6, round((hem - top) / 0.03)))
    body_rows = torso_tube(stage, top, max(0.56, top + 0.1), ease)
    below = np.clip((heights - 0.46) / max(hem - 0.46, 0.05), 0, 1)
    low, high = _leg_span(stage, heights, body)
    centre = np.stack([np.interp(heights, body_rows.along, body_rows.centre[:, axis]) for axis in (0, 1)], -1)
    hips = np.interp(heights, body_rows.along, body_rows.radius)
    wide = hips + camera.scale * flare * below**0.8
    drape = heights > 0.5
    left = np.where(drape, np.minimum(centre[:, 0] - wide, low), centre[:, 0] - wide)
    right = np.where(drape, np.maximum(centre[:, 0] + wide, high), centre[:, 0] + wide)
    left, right = _soften(left), _soften(right)
    feet = camera.project(np.zeros(3))[1] + camera.scale * (heights - body.torso)
    roll = stage.pose.hip_roll * np.cos(camera.yaw)
    return Tube(
        centre=np.stack([(left + right) / 2, np.where(heights > body.torso, feet, centre[:, 1])], -1),
        side=np.tile([np.cos(roll), -np.sin(roll)], (len(heights), 1)),
        radius=(right - left) / 2,
        along=heights,
        shade=np.full(len(heights), 0.75),
        bulge=0.1,
    )


def _leg_span(stage: Stage, heights: Floats, body: Body) -> tuple[Floats, Floats]:
    """Pixels of the outermost leg borders at `heights`, with a little ease."""
    edges = []
    level = -(heights - body.torso)
    for chain in LEGS.values():
        joints, pixels = stage.pose.joints[list(chain)], stage.pixels[list(chain)]
        x = np.interp(level, joints[::-1, 1], pixels[::-1, 0])
        radius = np.interp(level, joints[::-1, 1], _LEG[[-1, 3, 0], 1]) * body.girth + 0.016
        edges += [x - stage.camera.scale * radius, x + stage.camera.scale * radius]
    return np.min(edges, 0), np.max(edges, 0)


def _soften(values: Floats) -> Floats:
    """Neighbouring rows averaged, ends kept."""
    padded = np.pad(values, 2, mode="edge")
    kernel = np.array([1, 2, 3, 2, 1]) / 9
    result = np.convolve(padded, kernel, "valid")
    result[0] = values[0]
    return result


def neck_tube(stage: Stage, ease: float = 0.0) -> Tube:
    """The neck from inside the torso to inside the head."""
    width = 0.047 if stage.body.sex == "WOMEN" else 0.057
    upper = stage.pose.head - (0, 0.05, 0.016)
    lower = stage.pose.joints[NECK] + (0, -0.005, -0.012)
    share = np.linspace(0, 1, 6)[:, None]
    points = upper + (lower - upper) * share
    tilt = stage.pose.head_tilt * np.cos(stage.camera.yaw) * 0.5
    return Tube(
        centre=stage.camera.project(points),
        side=np.tile([np.cos(tilt), np.sin(tilt)], (6, 1)),
        radius=stage.camera.scale * (width * stage.body.girth * (1 + 0.12 * share[:, 0] ** 3) + ease),
        along=np.linspace(0, 0.13, 6),
        shade=np.linspace(0.9, 0.6, 6),
        round_end=True,
    )


def head_tube(stage: Stage, profile: Floats, shade: float = 0.8) -> Tube:
    """The head, or hair around it.

    Args:
        profile: (N, 4) rows from below to above: metres above the head's centre, half width, front, back depth.
    """
    low, high = profile[0, 0], profile[-1, 0]
    heights = low + (high - low) * np.sin(np.linspace(np.pi / 2, 0, 32))  # rows crowd where the crown closes
    rows = smooth(profile[:, 0], profile[:, 1:], heights)
    yaw = -stage.head_facing
    points = np.stack([np.zeros_like(heights), heights, (rows[:, 1] - rows[:, 2]) / 2], -1)
    tilt = stage.pose.head_tilt * np.cos(stage.camera.yaw)
    return Tube(
        centre=stage.head_pixels(points),
        side=np.tile([np.cos(tilt), np.sin(tilt)], (len(heights), 1)),
        radius=stage.camera.scale * stage.body.head * np.maximum(_half_width(rows, yaw), 0.002),
        along=-heights,
        shade=np.full(len(heights), shade),
        bulge=0.0,
    )
