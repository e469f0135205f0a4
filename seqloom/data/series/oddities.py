"""What can be wrong with the values of series: padding, gaps, channels that never change, units that do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.findings import Finding
from seqloom.data.labelled import Series

__all__ = ["channel_findings", "length_findings", "unit_findings"]

_TAIL = 3  # so many equal steps at the end are taken for padding
_JUMP = float(np.log(8.0))
_APART = float(np.log(4.0))  # with nobody between
_LEVEL = 3.0  # how many deviations a level is from 0 that is held
_SIDE = 8  # steps on each side of a jump
_MOST = 2000  # series that are looked through for jumps inside them
_FACTORS = {9.80665: "g and m/s2", 180 / np.pi: "degrees and radians", 1000.0: "a unit and its thousandth"}


def length_findings(split: str, series: Sequence[Series], facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Series without steps, unequal lengths, and padding that makes lengths equal."""
    if not series:
        return
    lengths = np.array([len(one.values) for one in series])
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        message = f"{split}: {len(empty):,} of {len(series):,} series have no steps, the first here"
        yield Finding("error", "empty series", series[int(empty[0])].where, message)
    if lengths.min() != lengths.max():
        shortest = series[int(lengths.argmin())]
        declared = facts.get("declared_equal") and not facts.get("trimmed")
        said = ", though the file says that they are equally long" if declared else ""
        message = f"{split}: the series have {lengths.min():,} to {lengths.max():,} steps{said}; the shortest here"
        yield Finding("warning" if declared else "note", "lengths", shortest.where, message)
    if facts.get("trimmed"):
        message = f"{split}: {facts['trimmed']:,} series end in steps without any value, which are left out"
        serious = bool(facts.get("declared_equal")) and facts["trimmed"] > len(series) / 2
        yield Finding("warning" if serious else "note", "padding", series[0].where, message)
    if lengths.min() == lengths.max() or facts.get("declared_equal"):
        yield from _padding(split, series)


def _padding(split: str, series: Sequence[Series]) -> Iterator[Finding]:
    tails = np.array([_tail(one.values) for one in series])
    padded = np.flatnonzero(tails >= _TAIL)
    if len(padded) <= len(series) / 2:
        return
    one = series[int(padded[0])]
    zeros = not np.nan_to_num(one.values[-1]).any()
    message = (
        f"{split}: the series are equally long, but {len(padded):,} of {len(series):,} end in "
        f"{'zeros' if zeros else 'repetitions of one step'}, {int(np.median(tails[padded]))} steps in the middle; this looks "
        "like padding, which the network would read as data"
    )
    yield Finding("warning", "padding", one.where, message)


def _tail(values: NDArray[np.float32]) -> int:
    """How many steps at the end are equal; 0 where all are, or where the last one only repeats."""
    other = np.flatnonzero((np.nan_to_num(values) != np.nan_to_num(values[-1:])).any(axis=1))
    return len(values) - 1 - int(other[-1]) if len(other) else 0


def channel_findings(split: str, series: Sequence[Series], channels: Sequence[str]) -> Iterator[Finding]:
    """Missing values, and channels that never change, in all series or in some."""
    filled = [one for one in series if len(one.values)]
    if not filled:
        return
    missing = np.array([int(np.isnan(one.values).sum()) for one in filled])
    if missing.any():
        share = missing.sum() / sum(one.values.size for one in filled)
        first = filled[int(np.flatnonzero(missing)[0])]
        message = (
            f"{split}: {missing.sum():,} values are missing ({100 * share:.2g} %) in {np.count_nonzero(missing):,} of "
            f"{len(filled):,} series, the first here"
        )
        yield Finding("note", "missing values", first.where, message)
    low = np.stack([_reduced(np.fmin, one.values) for one in filled])
    high = np.stack([_reduced(np.fmax, one.values) for one in filled])
    still = ~(low < high)
    for index, channel in enumerate(channels):
        gone = np.isnan(low[:, index])
        if gone.all():
            yield Finding("warning", "constant channel", filled[0].where, f"{split}: channel {channel} has no values")
            continue
        lowest, highest = np.nanmin(low[:, index]), np.nanmax(high[:, index])
        if lowest == highest:
            message = f"{split}: channel {channel} is always {lowest:g}; leave it out"
            yield Finding("warning", "constant channel", filled[0].where, message)
            continue
        long = np.array([len(one.values) >= _SIDE for one in filled])
        some = np.flatnonzero(still[:, index] & long)
        if 0 < len(some) < len(filled) / 2:
            message = (
                f"{split}: channel {channel} never changes in {len(some):,} of {len(filled):,} series, the first here"
            )
            yield Finding("note", "still channel", filled[int(some[0])].where, message)


def _reduced(function: np.ufunc, values: NDArray[np.float32]) -> NDArray[np.float32]:
    reduced: NDArray[np.float32] = function.reduce(values, axis=0)
    return reduced


def unit_findings(splits: Mapping[str, Sequence[Series]], channels: Sequence[str]) -> Iterator[Finding]:
    """Channels that are at least 8 times larger in some series than in others of their class, or change so inside one.

    Series are compared by group; where no groups are known by split, else one by one.
    """
    series = [(split, one) for split, examples in splits.items() for one in examples if len(one.values)]
    if len(series) < 2:
        return
    values = [one for _, one in series]
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.stack([np.sqrt(np.nanmean(np.square(one.values, dtype=np.float64), axis=0)) if len(one.values) else
                          np.zeros(len(channels)) for one in _quiet(values)])  # fmt: skip
        scales = np.log(sizes)
    classes = np.array([one.target if isinstance(one.target, str) else "" for one in values])
    if all(one.group for one in values):
        names = np.array([one.group for one in values])
    elif len(splits) > 1:
        names = np.array([split for split, _ in series])
    else:
        names = np.array([str(index) for index in range(len(values))])
    for index, channel in enumerate(channels):
        jump = _jump(scales[:, index], classes, names)
        if jump is not None:
            factor, large, known = jump
            # The fewer ones are more likely to be the wrong ones.
            more = large.sum() <= (known & ~large).sum()
            rows = np.flatnonzero(large if more else known & ~large)
            which = sorted(set(names[rows].tolist()))
            place = values[int(rows[0])].where
            many = f"{len(rows):,} of {len(values):,} series"
            who = (
                f"{many} ({', '.join(which[:3])}{' ...' if len(which) > 3 else ''})" if len(which) < len(rows) else many
            )
            size = "larger" if more else "smaller"
            message = f"channel {channel} is about {factor:.3g} times {size} in {who} than in the others{_hint(factor)}"
            yield Finding("warning", "unit jump", place, message)
    yield from _inside(values, channels)


def _quiet(values: Sequence[Series]) -> Iterator[Series]:
    """The same, where channels without values are zeros: their mean would be a warning."""
    for one in values:
        gone = np.isnan(one.values).all(axis=0)
        yield Series(values=np.where(gone, np.float32(0), one.values)) if gone.any() else one


def _jump(
    scales: NDArray[np.float64], classes: NDArray[Any], names: NDArray[Any]
) -> tuple[float, NDArray[Any], NDArray[Any]] | None:
    """How many times larger some names are, which rows are theirs, and which are known; none where no two sets are clear."""
    known = np.isfinite(scales)
    if known.sum() < 2:
        return None
    residual = np.full(len(scales), np.nan)
    for label in np.unique(classes):
        rows = (classes == label) & known
        if rows.any():
            # The middle between the extremes, not the median, which lies in one of two sets.
            residual[rows] = scales[rows] - (scales[rows].min() + scales[rows].max()) / 2
    unique, places = np.unique(names, return_inverse=True)
    middles = np.array([np.median(residual[(places == k) & known]) if ((places == k) & known).any() else np.nan
                        for k in range(len(unique))]) if len(unique) < len(names) else residual  # fmt: skip
    order = np.sort(middles[np.isfinite(middles)])
    if len(order) < 2:
        return None
    gaps = np.diff(order)
    cut = int(gaps.argmax())
    factor = float(np.median(order[cut + 1 :]) - np.median(order[: cut + 1]))
    single = len(unique) == len(names)
    # Single series differ by what happens in them; a unit is wrong in many.
    few = min(cut + 1, len(order) - cut - 1) < max(2, 0.05 * len(order)) if single else False
    if factor < _JUMP or gaps[cut] < _APART or few:
        return None
    split = (order[cut] + order[cut + 1]) / 2
    of_row = middles if single else middles[places]
    return float(np.exp(factor)), known & (of_row > split), known


def _hint(factor: float) -> str:
    near = next((what for known, what in _FACTORS.items() if 0.8 < factor / known < 1.25), "")
    return f": {near}?" if near else "; are the units the same?"


def _inside(series: Sequence[Series], channels: Sequence[str]) -> Iterator[Finding]:
    """A level that is held, and from some step on another one, at least 8 times larger or smaller."""
    for one in series[:_MOST]:
        values = np.nan_to_num(one.values.astype(np.float64))
        count = len(values)
        if count < 2 * _SIDE:
            continue
        steps = np.arange(_SIDE, count - _SIDE + 1)[:, None]
        sums, squares = np.cumsum(values, axis=0), np.cumsum(np.square(values), axis=0)
        before, after = sums[steps[:, 0] - 1] / steps, (sums[-1] - sums[steps[:, 0] - 1]) / (count - steps)
        spread = (
            squares[steps[:, 0] - 1] / steps - before**2,
            (squares[-1] - squares[steps[:, 0] - 1]) / (count - steps) - after**2,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            held = (np.abs(before) > _LEVEL * np.sqrt(np.maximum(spread[0], 0))) & (
                np.abs(after) > _LEVEL * np.sqrt(np.maximum(spread[1], 0))
            )
            ratio = np.abs(np.log(after / before))
        found = held & (before * after > 0) & (ratio >= _JUMP)
        for index in np.flatnonzero(found.any(axis=0)).tolist():
            best = int(np.where(found[:, index], ratio[:, index], 0).argmax())
            factor = float(np.exp(ratio[best, index]))
            message = (
                f"channel {channels[index]} changes its size about {factor:.3g} times at step {best + _SIDE} of this "
                f"series{_hint(factor)}"
            )
            yield Finding("warning", "unit jump", one.where, message)
