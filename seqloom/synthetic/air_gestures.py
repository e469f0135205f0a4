"""AirGestures: shapes drawn in the air with a device that feels acceleration and turning, by users of different habits.

A path in space, differentiated twice, and gravity give what an accelerometer measures; how the device turns while it follows the
path gives the gyroscope. Users differ in how fast and how large they draw and in how they hold the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import LabelledData, Series

__all__ = ["CHANNELS", "GESTURES", "air_gestures"]

Path = NDArray[np.float64]
"""(T, 2) to the right and up, in sizes of the gesture."""

CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
"""Acceleration in metres per second squared, and angular rate in radians per second, about the axes of the device."""

_GRAVITY = 9.81
_ARM = 0.6  # metres from the shoulder, about which the device turns while it moves
_NOISE = (0.25, 0.05)  # of the two sensors, in their units


def _eased(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way of a hand from rest to rest with the least jerk (Flash & Hogan 1985)."""
    u = np.clip(u, 0, 1)
    eased: NDArray[np.float64] = u**3 * (10 - 15 * u + 6 * u**2)
    return eased


def _line(*corners: tuple[float, float]) -> Callable[[NDArray[np.float64]], Path]:
    """From corner to corner, slower at each."""
    points = np.array(corners, float)

    def path(u: NDArray[np.float64]) -> Path:
        legs = len(points) - 1
        leg = np.minimum((u * legs).astype(int), legs - 1)
        share = _eased(u * legs - leg)[:, None]
        place: Path = points[leg] * (1 - share) + points[leg + 1] * share
        return place

    return path


def _circle(u: NDArray[np.float64]) -> Path:
    angle = 2 * np.pi * _eased(u)
    return np.stack([np.sin(angle), np.cos(angle) - 1], axis=1) / 2


GESTURES: Mapping[str, Callable[[NDArray[np.float64]], Path]] = {
    "circle": _circle,
    "square": _line((0, 0), (1, 0), (1, -1), (0, -1), (0, 0)),
    "tick": _line((0, 0), (0.35, -0.5), (1, 0.5)),
    "zigzag": _line((0, 0), (1, 0), (0, -1), (1, -1)),
    "flick_left": _line((0, 0), (-1, 0), (0, 0)),
    "flick_right": _line((0, 0), (1, 0), (0, 0)),
    "flick_up": _line((0, 0), (0, 1), (0, 0)),
    "flick_down": _line((0, 0), (0, -1), (0, 0)),
}
"""The shapes, each over a time from 0 to 1."""


@dataclass(frozen=True)
class _User:
    """How a user draws: seconds for a leg of a path, metres, and radians of the device about its three axes."""

    pace: float
    size: float
    tilt: tuple[float, float, float]

    @classmethod
    def of(cls, random: np.random.Generator) -> _User:
        tilt = np.radians(random.normal(0.0, [12.0, 10.0, 15.0]))
        return cls(random.uniform(0.28, 0.5), random.uniform(0.2, 0.45), (tilt[0], tilt[1], tilt[2]))


def air_gestures(users: int = 12, repetitions: int = 10, seed: int = 0, rate: float = 50.0) -> LabelledData[Series]:
    """Each of the 8 gestures by each user so many times; the group of a gesture is its user.

    Args:
        rate: measurements in a second.
    Returns:
        Series of the columns `CHANNELS`, from about 0.7 to 3 seconds; ``facts`` has ``channels``, ``rate`` and ``units``.
    """
    random = np.random.default_rng(seed)
    people = [_User.of(random) for _ in range(users)]
    examples = []
    for number, user in enumerate(people):
        for gesture in GESTURES:
            for repetition in range(repetitions):
                values = _measured(user, gesture, rate, random).astype(np.float32)
                where = f"AirGestures[{number}, {gesture}, {repetition}]"
                examples.append(Series(values=values, target=gesture, group=f"user{number}", where=where))
    units = ["m/s^2"] * 3 + ["rad/s"] * 3
    return LabelledData(examples, {"format": "generated", "channels": list(CHANNELS), "rate": rate, "units": units})


_LEGS = {"circle": 3.0, "square": 4.0, "tick": 2.0, "zigzag": 3.0}


def _measured(user: _User, gesture: str, rate: float, random: np.random.Generator) -> NDArray[np.float64]:
    """(T, 6)"""
    seconds = user.pace * _LEGS.get(gesture, 2.0) * random.uniform(0.85, 1.15)
    rest = random.uniform(0.05, 0.2, 2)
    count = max(round((seconds + rest.sum()) * rate), 8)
    u = np.clip((np.arange(-2, count + 2) / rate - rest[0]) / seconds, 0, 1)
    u = u + 0.03 * random.uniform(-1, 1) * np.sin(2 * np.pi * u)
    flat = GESTURES[gesture](u) * user.size * random.uniform(0.85, 1.15)
    slant = np.radians(random.normal(0, 6))
    turned = flat @ np.array([[np.cos(slant), np.sin(slant)], [-np.sin(slant), np.cos(slant)]])
    depth = -np.square(turned).sum(axis=1) / (2 * _ARM)  # the hand moves on a sphere about the shoulder
    place = np.column_stack([turned, depth])
    acceleration = np.gradient(np.gradient(place, axis=0), axis=0) * rate**2
    tilt = np.array(user.tilt) + np.radians(random.normal(0, 4, 3))
    attitude = _rotations(place[:, 1] / _ARM, -place[:, 0] / _ARM) @ _fixed(tilt)
    felt = np.einsum("tji,tj->ti", attitude, acceleration + np.array([0.0, _GRAVITY, 0.0]))
    rates = _angular(attitude) * rate
    noise = random.normal(0.0, 1.0, (count, 6)) * np.repeat(_NOISE, 3)
    measured: NDArray[np.float64] = np.hstack([felt, rates])[2:-2] + noise
    return measured


def _rotations(pitch: NDArray[np.float64], yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3, 3) about the x axis, then about the vertical one."""
    zero, one = np.zeros_like(pitch), np.ones_like(pitch)
    c, s = np.cos(pitch), np.sin(pitch)
    about_x = np.stack([one, zero, zero, zero, c, -s, zero, s, c], axis=1).reshape(-1, 3, 3)
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=1).reshape(-1, 3, 3)
    turned: NDArray[np.float64] = about_y @ about_x
    return turned


def _fixed(tilt: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) about x, y and z."""
    (first,) = _rotations(tilt[:1], tilt[1:2])
    c, s = np.cos(tilt[2]), np.sin(tilt[2])
    turned: NDArray[np.float64] = first @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return turned


def _angular(attitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) turning from one measurement to the next about the device's own axes, in radians."""
    change = np.einsum("tji,tjk->tik", attitude, np.gradient(attitude, axis=0))
    return (
        np.stack(
            [change[:, 2, 1] - change[:, 1, 2], change[:, 0, 2] - change[:, 2, 0], change[:, 1, 0] - change[:, 0, 1]],
            axis=1,
        )
        / 2
    )
