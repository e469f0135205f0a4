"""StickFolk: people of sticks who wave, clap, kick, squat and march, as a sensor of 20 joints would see them.

Each actor has limbs, a tempo and a way of standing of their own. Joint angles are functions of time; from them and the lengths
of the bones come the places of the joints in metres, y upwards, the sensor at the origin looking along z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import LabelledData, Series
from seqloom.data.skeleton.definition import preset

__all__ = ["ACTIONS", "stick_folk"]

Times: TypeAlias = NDArray[np.float64]
"""(T,) a value for each frame."""

_NOISE = 0.01  # metres
_SHORTEST, _LONGEST = 20, 40  # frames
_SKELETON = preset("kinect20")
_SIDES = {"left": -1.0, "right": 1.0}  # a body that faces the sensor has its right at larger x


@dataclass
class _Pose:
    """Angles in radians of each side: of the upper arm from hanging, away from or to the front, of the elbow, hip and knee."""

    raised: dict[str, Times]
    forward: dict[str, Times]
    elbow: dict[str, Times]
    hip: dict[str, Times]
    knee: dict[str, Times]


def _standing(frames: int) -> _Pose:
    def both(angle: float) -> dict[str, Times]:
        return {side: np.full(frames, angle) for side in _SIDES}

    return _Pose(both(0.15), both(0.2), both(0.2), both(0.0), both(0.05))


def _bump(u: Times) -> Times:
    """From 0 to 1 and back."""
    return np.sin(np.pi * u) ** 2


def _wave(pose: _Pose, u: Times, size: float, side: str) -> None:
    rise = np.minimum(1.0, 4 * np.minimum(u, 1 - u))
    pose.raised[side] = 0.15 + (2.0 * size) * rise
    pose.forward[side] = np.full(len(u), 0.2)
    pose.elbow[side] = 0.2 + rise * (0.5 + 0.5 * size * np.sin(2 * np.pi * 3 * u))


def _hands_up(pose: _Pose, u: Times, size: float) -> None:
    for side in _SIDES:
        pose.raised[side] = 0.15 + 2.7 * size * _bump(u)


def _clap(pose: _Pose, u: Times, size: float) -> None:
    rise = np.minimum(1.0, 5 * np.minimum(u, 1 - u))
    for side in _SIDES:
        pose.raised[side] = 0.15 + 1.2 * rise
        pose.forward[side] = 0.2 + rise * (0.9 + 0.55 * size * np.sin(2 * np.pi * 3 * u))


def _kick(pose: _Pose, u: Times, size: float, side: str) -> None:
    pose.hip[side] = 1.3 * size * _bump(u) - 0.3 * _bump(2 * u) * (u < 0.5)
    pose.knee[side] = 0.05 + 0.9 * _bump(np.clip(2 * u, 0, 1))


def _squat(pose: _Pose, u: Times, size: float) -> None:
    for side in _SIDES:
        pose.hip[side] = 1.4 * size * _bump(u)
        pose.knee[side] = 0.05 + 2.2 * size * _bump(u)
        pose.raised[side] = 0.15 + 1.2 * _bump(u)
        pose.forward[side] = np.full(len(u), 1.4)


def _march(pose: _Pose, u: Times, size: float) -> None:
    for side, phase in (("left", 0.0), ("right", np.pi)):
        step = np.maximum(np.sin(2 * np.pi * 2 * u + phase), 0.0)
        pose.hip[side] = 1.0 * size * step
        pose.knee[side] = 0.05 + 1.4 * size * step
        pose.raised[side] = 0.2 + 0.4 * np.maximum(np.sin(2 * np.pi * 2 * u + phase + np.pi), 0.0)
        pose.forward[side] = np.full(len(u), 1.4)


ACTIONS: Mapping[str, Callable[[_Pose, Times, float], None]] = {
    "wave_left": lambda pose, u, size: _wave(pose, u, size, "left"),
    "wave_right": lambda pose, u, size: _wave(pose, u, size, "right"),
    "hands_up": _hands_up,
    "clap": _clap,
    "kick_left": lambda pose, u, size: _kick(pose, u, size, "left"),
    "kick_right": lambda pose, u, size: _kick(pose, u, size, "right"),
    "squat": _squat,
    "march": _march,
}
"""What the people do."""


@dataclass(frozen=True)
class _Actor:
    trunk: float
    arm: float
    leg: float
    width: float
    tempo: float
    size: float
    yaw: float

    @classmethod
    def of(cls, random: np.random.Generator) -> _Actor:
        trunk, arm, leg, width = random.normal(1.0, 0.08, 4).clip(0.8, 1.25)
        return cls(
            trunk, arm, leg, width, random.uniform(0.8, 1.25), random.uniform(0.85, 1.1), random.uniform(-20, 20)
        )


def stick_folk(clips: int = 1600, actors: int = 10, seed: int = 0) -> LabelledData[Series]:
    """Clips of one action each, by the actors in turn; the group of a clip is its actor.

    Returns:
        Series of 20 * 3 columns in the order of the preset kinect20, with 20 to 40 frames and noise of 1 cm; ``facts`` are those
        that a reader of skeletons gives.
    """
    random = np.random.default_rng(seed)
    folk = [_Actor.of(random) for _ in range(actors)]
    names = list(ACTIONS)
    examples = []
    for clip in range(clips):
        actor, action = folk[clip % actors], names[clip // actors % len(names)]
        joints = _clip(actor, action, random)
        values = joints.reshape(len(joints), -1).astype(np.float32)
        where = f"StickFolk[{clip}]"
        examples.append(Series(values=values, target=action, group=f"actor{clip % actors}", where=where))
    joints_named = list(_SKELETON.names)
    facts = {
        "format": "generated",
        "channels": [f"{joint}_{axis}" for joint in joints_named for axis in "xyz"],
        "joints": joints_named,
        "dimensions": 3,
        "skeleton": _SKELETON.to_dict(),
        "unused": 0,
    }
    return LabelledData(examples, facts)


def _clip(actor: _Actor, action: str, random: np.random.Generator) -> NDArray[np.float64]:
    """(T, 20, 3)"""
    frames = int(np.clip(round(30 / actor.tempo * random.uniform(0.8, 1.2)), _SHORTEST, _LONGEST))
    u = np.clip(np.linspace(0, 1, frames) * random.uniform(0.9, 1.0) + random.uniform(0, 0.08), 0, 1)
    pose = _standing(frames)
    ACTIONS[action](pose, u, actor.size * random.uniform(0.9, 1.1))
    joints = _placed(actor, pose)
    angle = np.radians(actor.yaw + random.uniform(-10, 10))
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = joints @ np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    place = [random.uniform(-0.5, 0.5), -0.9, random.uniform(2.2, 3.2)]
    seen: NDArray[np.float64] = turned + place + random.normal(0.0, _NOISE, joints.shape)
    return seen


def _placed(actor: _Actor, pose: _Pose) -> NDArray[np.float64]:
    """(T, 20, 3) with the lower foot on the ground and the body above the origin; it faces -z."""
    frames = len(pose.hip["left"])
    place: dict[str, NDArray[np.float64]] = {"hip_centre": np.zeros((frames, 3))}

    def put(joint: str, parent: str, direction: NDArray[np.float64], length: float) -> None:
        place[joint] = place[parent] + direction * length

    up = np.tile([0.0, 1.0, 0.0], (frames, 1))
    lean = np.maximum(pose.hip["left"] + pose.hip["right"] - 1.0, 0.0) * 0.3  # whoever squats leans to the front
    along = np.stack([np.zeros(frames), np.cos(lean), -np.sin(lean)], axis=1)
    put("spine", "hip_centre", along, 0.2 * actor.trunk)
    put("shoulder_centre", "spine", along, 0.3 * actor.trunk)
    put("head", "shoulder_centre", 0.5 * (up + along), 0.22)
    for side, sign in _SIDES.items():
        across = np.tile([sign, 0.0, 0.0], (frames, 1))
        put(f"shoulder_{side}", "shoulder_centre", across - 0.2 * up, 0.18 * actor.width)
        raised, forward = pose.raised[side], pose.forward[side]
        put(f"elbow_{side}", f"shoulder_{side}", _limb(raised, forward, sign), 0.28 * actor.arm)
        lower = _limb(raised + pose.elbow[side], forward, sign)
        put(f"wrist_{side}", f"elbow_{side}", lower, 0.25 * actor.arm)
        put(f"hand_{side}", f"wrist_{side}", lower, 0.08 * actor.arm)
        put(f"hip_{side}", "hip_centre", across - 0.3 * up, 0.1 * actor.width)
        put(f"knee_{side}", f"hip_{side}", _limb(pose.hip[side], np.full(frames, 1.5), sign), 0.42 * actor.leg)
        shin = _limb(pose.hip[side] - pose.knee[side], np.full(frames, 1.5), sign)
        put(f"ankle_{side}", f"knee_{side}", shin, 0.4 * actor.leg)
        put(f"foot_{side}", f"ankle_{side}", np.tile([0.0, -0.3, -1.0], (frames, 1)), 0.1 * actor.leg)
    joints = np.stack([place[name] for name in _SKELETON.names], axis=1)
    ground = joints[:, :, 1].min(axis=1)
    joints[:, :, 1] -= ground[:, None]
    return joints


def _limb(raised: Times, forward: Times, sign: float) -> NDArray[np.float64]:
    """(T, 3) the direction of a limb that is raised from hanging: to the side at ``forward`` 0, to the front at pi / 2."""
    side, front = np.sin(raised) * np.cos(forward), np.sin(raised) * np.sin(forward)
    return np.stack([sign * side, -np.cos(raised), -front], axis=1)
