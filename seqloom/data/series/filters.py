"""Filters over several series at once: each series as if it were alone, to the last bit, and no loop over steps.

``flat`` is (N, D), the steps of all series; ``first`` (N,), for each step that of its series' first step. All but `interpolated`
and `at` are causal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["at", "complete", "difference", "firsts", "held", "interpolated", "moving_mean", "one_pole"]

_NEGLIGIBLE = 1e-12


def firsts(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the first step of the series of each step."""
    return np.repeat(offsets[:-1], np.diff(offsets))


def _before(flat: NDArray[Any], first: NDArray[np.int64], steps: int, fill: float = 0.0) -> NDArray[Any]:
    """The values so many steps before, and ``fill`` where the series has not begun."""
    result = np.full_like(flat, fill)
    if steps < len(flat):
        inside = np.flatnonzero(np.arange(steps, len(flat)) - steps >= first[steps:]) + steps
        result[inside] = flat[inside - steps]
    return result


def difference(flat: NDArray[Any], first: NDArray[np.int64]) -> NDArray[Any]:
    """x[t] - x[t - 1], and 0 at the first step."""
    result = np.zeros_like(flat)
    inside = np.flatnonzero(np.arange(len(flat)) > first)
    result[inside] = flat[inside] - flat[inside - 1]
    return result


def moving_mean(flat: NDArray[Any], first: NDArray[np.int64], width: int) -> NDArray[Any]:
    """The mean of the last ``width`` steps, or of as many as there are. Cost: O(N D width)."""
    total = flat.astype(np.float64)
    for steps in range(1, min(width, len(flat))):
        total += _before(flat, first, steps)
    count = np.minimum(np.arange(len(flat)) - first + 1, width)
    mean: NDArray[Any] = (total / count[:, None]).astype(flat.dtype)
    return mean


def one_pole(flat: NDArray[Any], first: NDArray[np.int64], steps: float) -> NDArray[Any]:
    """y[t] = a y[t - 1] + (1 - a) x[t] with a = exp(-1 / steps), from y[0] = x[0].

    By doubling: after round k a value has the sum over its last 2^k steps. Cost: O(N D log T).
    """
    a = float(np.exp(-1.0 / steps))
    result = flat.astype(np.float64)
    result[np.arange(len(flat)) > first] *= 1.0 - a
    longest = int((np.arange(len(flat)) - first).max(initial=0)) + 1
    shift, power = 1, a
    while shift < longest and power > _NEGLIGIBLE:
        result += power * _before(result, first, shift)
        shift, power = 2 * shift, power * power
    return result.astype(flat.dtype)


def held(flat: NDArray[Any], first: NDArray[np.int64]) -> NDArray[Any]:
    """Each missing value is the last one before it; before the first value, that one; NaN where a channel has none."""
    return _filled(flat, first, _last_of(first), between=False)


def interpolated(flat: NDArray[Any], first: NDArray[np.int64]) -> NDArray[Any]:
    """Each missing value lies between the known ones around it; held at the ends; NaN where a channel has none."""
    return _filled(flat, first, _last_of(first), between=True)


def complete(series: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Series (T, D) without gaps: missing values are interpolated, and 0 where a channel has none."""
    whole = []
    for values in series:
        flat = np.asarray(values, np.float64)
        if np.isnan(flat).any():
            flat = np.nan_to_num(interpolated(flat, np.zeros(len(flat), np.int64)))
        whole.append(flat)
    return whole


def _last_of(first: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = np.append(np.flatnonzero(np.diff(first)), len(first) - 1) if len(first) else np.zeros(0, np.int64)
    sizes = np.diff(np.concatenate([np.array([-1]), ends]))
    return np.repeat(ends, sizes)


def _filled(flat: NDArray[Any], first: NDArray[np.int64], last: NDArray[np.int64], between: bool) -> NDArray[Any]:
    missing = np.isnan(flat)
    if not missing.any():
        return flat
    result = flat.copy()
    steps = np.arange(len(flat))
    for channel in np.flatnonzero(missing.any(axis=0)):
        there = ~missing[:, channel]
        before = np.maximum.accumulate(np.where(there, steps, -1))
        after = np.minimum.accumulate(np.where(there, steps, len(flat))[::-1])[::-1]
        has_before, has_after = before >= first, after <= last
        gaps = np.flatnonzero(~there & (has_before | has_after))
        left = np.where(has_before, before, after)[gaps]
        right = np.where(has_after, after, before)[gaps] if between else left
        share = (gaps - left) / np.maximum(right - left, 1)
        values = flat[:, channel].astype(np.float64)
        result[gaps, channel] = values[left] + share * (values[right] - values[left])
    return result


def at(
    flat: NDArray[Any], offsets: NDArray[np.int64], lengths: NDArray[np.int64], positions: NDArray[Any]
) -> NDArray[Any]:
    """Values between steps, linearly interpolated.

    Args:
        lengths: (S,) how many positions each series has.
        positions: (sum of lengths,) where, in steps from 0 to T - 1 of the own series.
    Returns:
        (sum of lengths, D).
    """
    start = np.repeat(offsets[:-1], lengths)
    end = np.repeat(offsets[1:] - 1, lengths)
    whole = np.floor(positions).astype(np.int64)
    left = np.minimum(start + whole, end)
    right = np.minimum(left + 1, end)
    share = (positions - whole)[:, None]
    low = flat[left].astype(np.float64)
    # A missing neighbour that has no share in a value leaves it alone.
    values: NDArray[Any] = np.where(share == 0, low, low + share * (flat[right] - low)).astype(flat.dtype)
    return values
