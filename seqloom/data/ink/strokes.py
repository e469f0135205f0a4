"""The strokes of many characters, laid one after another, and what is done to all of them in one pass.

Nothing here loops over characters or strokes: each function is a few passes over all points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Flat, Offsets

__all__ = ["Indices", "Ink", "Reals", "joined", "laid_out", "normalised", "resampled", "speeds", "strokes_of"]

Reals: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

_FASTEST = 100.0  # in median speeds of the character: two points of the same time are no infinite speed
_NEARLY = 1e-6  # a stroke of exactly four steps is not one of five for the last bit of its length


@dataclass(frozen=True)
class Ink:
    """Points without duplicates; every stroke has at least two.

    Attributes:
        points: (N, 2) x and y.
        time: (N,), where there is time.
        speed: (N,), once it is known.
        stroke: (N,) of which stroke a point is: 0 to P - 1, rising.
        character: (P,) of which character a stroke is, rising; characters without points have none.
    """

    points: Reals
    time: Reals | None
    speed: Reals | None
    stroke: Indices
    character: Indices

    @property
    def begins(self) -> Indices:
        """(P,) the first point of each stroke."""
        return _begins(self.stroke)

    @property
    def owner(self) -> Indices:
        """(N,) of which character each point is."""
        return self.character[self.stroke]


def _begins(rising: Indices) -> Indices:
    """Where a new value begins in an array that only rises."""
    return np.flatnonzero(np.diff(rising, prepend=-1))


def laid_out(flat: Flat, offsets: Offsets, timed: bool) -> Ink:
    """The strokes of series with the columns x, y, perhaps t, pen_up.

    Points that are not numbers and repeated points are left out; a stroke of one point becomes a dot of two equal points.
    """
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    lifted = flat[:, -1] > 0.5
    new = np.ones(len(flat), bool)
    new[1:] = lifted[:-1] | (owner[1:] != owner[:-1])
    stroke = np.cumsum(new) - 1
    kept = np.isfinite(flat[:, 0]) & np.isfinite(flat[:, 1])
    if timed:
        kept &= np.isfinite(flat[:, 2])
    if not kept.all():
        flat, stroke, owner = flat[kept], stroke[kept], owner[kept]
    moved = np.ones(len(flat), bool)
    moved[1:] = (flat[1:, 0] != flat[:-1, 0]) | (flat[1:, 1] != flat[:-1, 1]) | (stroke[1:] != stroke[:-1])
    flat, stroke, owner = flat[moved], stroke[moved], owner[moved]
    begins = _begins(stroke)
    lengths = np.diff(begins, append=len(flat))
    if (lengths == 1).any():
        twice = np.repeat(np.arange(len(flat)), np.repeat(np.where(lengths == 1, 2, 1), lengths))
        flat, owner = flat[twice], owner[twice]
        lengths = np.maximum(lengths, 2)
        begins = np.cumsum(lengths) - lengths
    time = flat[:, 2].astype(np.float64) if timed else None
    stroke = np.repeat(np.arange(len(begins)), lengths)
    return Ink(flat[:, :2].astype(np.float64), time, None, stroke, owner[begins])


def normalised(ink: Ink) -> Ink:
    """Each character with its bounding box around 0 and the larger side of it 1; of size 0 it is left as large as it is."""
    if not len(ink.points):
        return ink
    owner = ink.owner
    begins = _begins(owner)
    least, most = np.minimum.reduceat(ink.points, begins), np.maximum.reduceat(ink.points, begins)
    size = (most - least).max(axis=1)
    size[size == 0] = 1.0
    of_point = np.cumsum(np.diff(owner, prepend=owner[0]) != 0)
    return replace(ink, points=(ink.points - ((most + least) / 2)[of_point]) / size[of_point, None])


def speeds(ink: Ink) -> Ink:
    """With the speed at each point, in median speeds of its character; a stroke begins with the speed at its second point."""
    if ink.time is None or not len(ink.points):
        return replace(ink, speed=None if ink.time is None else np.zeros(0))
    begins = ink.begins
    way = np.zeros(len(ink.points))
    way[1:] = np.hypot(*np.diff(ink.points, axis=0).T)
    took = np.ones(len(way))
    took[1:] = np.diff(ink.time)
    inside = np.ones(len(way), bool)
    inside[begins] = False
    owner = ink.owner[inside]
    raw = way[inside] / np.maximum(took[inside], np.finfo(np.float64).tiny ** 0.5)
    order = np.lexsort((raw, owner))
    first = _begins(owner)
    count = np.diff(first, append=len(owner))
    ranked = raw[order]
    median = (ranked[first + (count - 1) // 2] + ranked[first + count // 2]) / 2
    median[median == 0] = 1.0
    speed = np.zeros(len(way))
    speed[inside] = np.minimum(raw / np.repeat(median, count), _FASTEST)
    speed[begins] = speed[begins + 1]
    return replace(ink, speed=speed)


def resampled(ink: Ink, delta: float, by_time: bool = False, warp: Reals | None = None) -> Ink:
    """Each stroke at equal distances along it of at most ``delta``, at least two points, its ends where they were.

    Args:
        by_time: at equal times instead, as many points.
        warp: (P, 2) in -1 to 1: how much closer the points are, along each stroke, in its middle and in its second half.
    """
    if not len(ink.points):
        return ink
    begins = ink.begins
    ends = np.append(begins[1:], len(ink.points)) - 1
    steps = np.zeros(len(ink.points))
    steps[1:] = np.hypot(*np.diff(ink.points, axis=0).T)
    steps[begins] = 0.0
    counts = np.maximum(np.ceil(np.add.reduceat(steps, begins) / delta - _NEARLY).astype(np.int64) + 1, 2)
    if by_time and ink.time is not None:
        steps[1:] = np.maximum(np.diff(ink.time), 0.0)
    # One rising line for all strokes: each begins one unit after the end of the one before it.
    steps[begins] = 1.0
    line = np.cumsum(steps)
    stroke = np.repeat(np.arange(len(begins)), counts)
    first = np.cumsum(counts) - counts
    share = (np.arange(len(stroke)) - first[stroke]) / (counts - 1)[stroke]
    if warp is not None:
        share = share + (warp[stroke, 0] * np.sin(np.pi * share) / np.pi + _second(share, warp[stroke, 1])) / 2
    at = line[begins][stroke] + share * (line[ends] - line[begins])[stroke]
    points = np.stack([np.interp(at, line, ink.points[:, axis]) for axis in (0, 1)], axis=1)
    last = first + counts - 1
    points[first], points[last] = ink.points[begins], ink.points[ends]
    speed = None if ink.speed is None else np.interp(at, line, ink.speed)
    return Ink(points, None, speed, stroke, ink.character)


def _second(share: Reals, by: Reals) -> Reals:
    return by * np.sin(2 * np.pi * share) / (2 * np.pi)


def joined(strokes: list[Reals]) -> Flat:
    """The series of one character: strokes of (n, 2 or 3) one after another, and pen_up at the last point of each."""
    strokes = [stroke for stroke in strokes if len(stroke)]
    if not strokes:
        return np.zeros((0, 3), np.float32)
    up = np.zeros((sum(map(len, strokes)), 1))
    up[np.cumsum([len(stroke) for stroke in strokes]) - 1] = 1.0
    return np.hstack([np.concatenate(strokes), up]).astype(np.float32)


def strokes_of(values: Flat) -> list[Flat]:
    """The strokes of a series, each (n, 2) or (n, 3), without pen_up."""
    ends = np.flatnonzero(values[:-1, -1] > 0.5) + 1
    return np.split(values[:, :-1], ends) if len(values) else []
