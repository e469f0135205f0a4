"""How characters are changed in training: turned, sheared, stretched, bent, with points left out and strokes shifted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqloom.data.ink.config import PenAugmentation
from seqloom.data.ink.strokes import Indices, Ink, Reals

__all__ = ["distorted", "thinned", "warps"]

_WAVES = 2  # plane waves of random direction that bend a character
_SLOWEST, _FASTEST = 0.3, 1.0  # of their periods in a character


def thinned(ink: Ink, augmentation: PenAugmentation, random: np.random.Generator) -> Ink:
    """Without some of the points between the ends of strokes."""
    if not augmentation.drop:
        return ink
    kept = random.random(len(ink.points)) >= augmentation.drop
    begins = ink.begins
    kept[begins] = True
    kept[begins - 1] = True  # the last point of the stroke before, and of the last one by the index -1
    time = None if ink.time is None else ink.time[kept]
    speed = None if ink.speed is None else ink.speed[kept]
    return Ink(ink.points[kept], time, speed, ink.stroke[kept], ink.character)


def distorted(ink: Ink, augmentation: PenAugmentation, random: np.random.Generator) -> Ink:
    """Normalised characters, turned, sheared and stretched each in its own way, bent, and their strokes shifted."""
    characters = int(ink.character[-1]) + 1 if len(ink.character) else 0
    counts = np.bincount(ink.owner, minlength=characters)
    a, b, c, d = (np.repeat(one, counts) for one in _maps(characters, augmentation, random).reshape(characters, 4).T)
    x, y = ink.points.T
    points = np.stack([a * x + b * y, c * x + d * y], axis=1)
    if augmentation.elastic:
        points += _bend(points, counts, augmentation.elastic, random)
    if augmentation.jitter:
        points += random.normal(0.0, augmentation.jitter, (len(ink.character), 2))[ink.stroke]
    return replace(ink, points=points)


def _maps(count: int, augmentation: PenAugmentation, random: np.random.Generator) -> Reals:
    """(count, 2, 2) stretching after shearing after turning."""
    angle = np.radians(augmentation.rotation) * random.uniform(-1, 1, count)
    shear = augmentation.shear * random.uniform(-1, 1, count)
    stretch = 1 + augmentation.scale * random.uniform(-1, 1, (count, 2))
    cosine, sine = np.cos(angle), np.sin(angle)
    maps = np.stack([cosine + shear * sine, -sine + shear * cosine, sine, cosine], axis=1).reshape(count, 2, 2)
    return maps * stretch[:, :, None]


def _bend(points: Reals, counts: Indices, size: float, random: np.random.Generator) -> Reals:
    """(N, 2) a smooth shift of the plane in which each character lies."""
    shift = np.zeros_like(points)
    x, y = points.T
    for _ in range(_WAVES):
        angle, phase = 2 * np.pi * random.random((2, len(counts)))
        frequency = 2 * np.pi * random.uniform(_SLOWEST, _FASTEST, len(counts))
        strength = random.normal(0.0, size, (len(counts), 2))
        waves = (np.cos(angle) * frequency, np.sin(angle) * frequency, phase, *strength.T)
        along, across, phase, right, up = (np.repeat(one, counts) for one in waves)
        wave = np.sin(along * x + across * y + phase)
        shift[:, 0] += wave * right
        shift[:, 1] += wave * up
    return shift


def warps(ink: Ink, augmentation: PenAugmentation, random: np.random.Generator) -> Reals | None:
    """(P, 2) for `resampled`; none where nothing is warped."""
    return random.uniform(-augmentation.warp, augmentation.warp, (len(ink.character), 2)) if augmentation.warp else None
