"""What is done to the frames of many sequences at once: gaps closed, coordinates smoothed, frames chosen and moved in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.features import Offsets

__all__ = ["filled", "missing", "owners", "smoothed", "taken", "warped"]

Joints = NDArray[np.float32]

# Rows: the least-squares parabola through five frames, read at each of them (Savitzky & Golay 1964).
_PARABOLA = np.array(
    [[31, 9, -3, -5, 3], [9, 13, 12, 6, -5], [-3, 12, 17, 12, -3], [-5, 6, 12, 13, 9], [3, -5, -3, 9, 31]], np.float32
) / np.float32(35)


def owners(offsets: Offsets) -> NDArray[np.int64]:
    """(N,) of which sequence each frame is."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def missing(joints: Joints) -> NDArray[np.bool_]:
    """(N, J) which joints are not known: all their coordinates are 0, as Kinect writes it, or one is no number."""
    unknown: NDArray[np.bool_] = (joints == 0).all(axis=2) | ~np.isfinite(joints).all(axis=2)
    return unknown


def filled(joints: Joints, offsets: Offsets, parents: Sequence[int]) -> Joints:
    """(N, J, C) with each missing joint between where it was last and where it is next; at the ends it stays.

    A joint that a sequence never knows is where its parent is; the root, and a sequence without any joint, are at 0.
    """
    gone = missing(joints)
    if not gone.any():
        return joints
    joints = np.where(gone[:, :, None], np.float32(0), joints)
    frames = np.arange(len(joints))[:, None]
    owner = owners(offsets)
    first, last = offsets[:-1][owner][:, None], offsets[1:][owner][:, None] - 1
    before = np.maximum.accumulate(np.where(gone, -1, frames), axis=0)
    after = np.minimum.accumulate(np.where(gone, len(joints), frames)[::-1], axis=0)[::-1]
    has_before, has_after = before >= first, after <= last
    low = np.where(has_before, before, np.where(has_after, after, frames))
    high = np.where(has_after, after, low)
    share = ((frames - low) / np.maximum(high - low, 1))[:, :, None].astype(np.float32)
    column = np.arange(joints.shape[1])[None, :]
    found = np.where(gone[:, :, None], joints[low, column] * (1 - share) + joints[high, column] * share, joints)
    never = gone & ~has_before & ~has_after
    for joint in _from_the_root(parents):
        if parents[joint] >= 0 and never[:, joint].any():
            found[:, joint] = np.where(never[:, joint, None], found[:, parents[joint]], found[:, joint])
    return found


def _from_the_root(parents: Sequence[int]) -> list[int]:
    depth = []
    for joint in range(len(parents)):
        steps, at = 0, joint
        while parents[at] >= 0:
            at, steps = parents[at], steps + 1
        depth.append(steps)
    return sorted(range(len(parents)), key=depth.__getitem__)


def smoothed(joints: Joints, offsets: Offsets) -> Joints:
    """Each coordinate on the parabola through the five frames around it; the first and last five frames have one parabola each.

    A parabola stays as it is, and so does a sequence of fewer than five frames.
    """
    lengths = np.diff(offsets)
    if not (lengths >= 5).any():
        return joints
    owner = owners(offsets)
    frames = np.arange(len(joints))
    long = lengths[owner] >= 5
    first = np.where(long, np.clip(frames - 2, offsets[:-1][owner], offsets[1:][owner] - 5), 0)
    row = np.where(long, frames - first, 0)
    flat = joints.reshape(len(joints), -1)
    # The middle of sequences is five shifted sums; only the ends need their own windows.
    found = flat.copy()
    if len(flat) >= 5:
        inner = sum(_PARABOLA[2, k] * flat[k : len(flat) - 4 + k] for k in range(5))
        found[2:-2] = np.where((long & (row == 2))[2:-2, None], inner, flat[2:-2])
    ends = np.flatnonzero(long & (row != 2))
    found[ends] = sum(_PARABOLA[row[ends], k, None] * flat[first[ends] + k] for k in range(5))
    return found.reshape(joints.shape)


def taken(joints: Joints, offsets: Offsets, kept: NDArray[np.bool_]) -> tuple[Joints, Offsets]:
    """Only some of the frames."""
    counts = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(kept, out=counts[1:])
    return joints[kept], counts[offsets]


def warped(
    joints: Joints, offsets: Offsets, tempo: NDArray[np.float64], warp: NDArray[np.float64]
) -> tuple[Joints, Offsets]:
    """Sequences faster or slower, with frames between the frames.

    Args:
        tempo: (S,) by what the number of frames is multiplied; a sequence that has one keeps one.
        warp: (S, 2) in -1 to 1: how much faster it runs at the beginning than at the end, and in its quarters.
    """
    lengths = np.diff(offsets)
    counts = np.where(lengths > 0, np.maximum(np.rint(lengths * tempo).astype(np.int64), 1), 0)
    moved = np.zeros_like(offsets)
    np.cumsum(counts, out=moved[1:])
    owner = owners(moved)
    share = (np.arange(len(owner)) - moved[:-1][owner]) / np.maximum(counts - 1, 1)[owner]
    first, second = warp[owner].T
    share = share + (first * np.sin(np.pi * share) / np.pi + second * np.sin(2 * np.pi * share) / (2 * np.pi)) / 2
    at = np.clip(share, 0, 1) * np.maximum(lengths - 1, 0)[owner]
    low = np.floor(at).astype(np.int64)
    part = (at - low).astype(np.float32)[:, None, None]
    begin = offsets[:-1][owner]
    high = np.minimum(low + 1, np.maximum(lengths - 1, 0)[owner])
    return joints[begin + low] * (1 - part) + joints[begin + high] * part, moved
