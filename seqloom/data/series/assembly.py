"""What all readers of series end with: numbers, the channels that are kept, facts, parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import PARTS, LabelledData, Series, Target
from seqloom.data.series.reading import SeriesReading
from seqloom.errors import DataError, did_you_mean

__all__ = ["Found", "assembled", "numbers"]

_MISSING = ("?", "", "na", "nan", "null", "none")
_LARGEST = float(np.finfo(np.float32).max)
_ALIKE = 0.01  # rates that differ by less are one rate, measured


@dataclass
class Found:
    """A series as a file has it.

    Attributes:
        values: (T, D), before channels are chosen.
        rate: of its timestamps.
        jitter: deviation of its intervals, as a share of the middle one.
    """

    values: NDArray[np.float32]
    target: Target
    where: str
    group: str = ""
    part: str = ""
    rate: float | None = None
    jitter: float = 0.0


def numbers(texts: Sequence[Any], where: str, what: str = "value") -> NDArray[np.float32]:
    """Texts or numbers as (N,) float32; NaN where a value is missing: ``?``, empty, ``NaN``.

    Raises:
        DataError: one is no number or infinite; says which, after ``where``.

    >>> numbers(["1", "?", "2.5e1"], "a.ts:3")
    array([ 1., nan, 25.], dtype=float32)
    """
    try:
        # Python reads 1_000 as a number, and a data file that has it means something else.
        odd = any("_" in text for text in texts if isinstance(text, str))
        array = np.array(texts, np.float64) if len(texts) else np.zeros(0)
        if (
            not odd
            and array.ndim == 1
            and not np.isinf(array).any()
            and float(np.nanmax(np.abs(array), initial=0)) <= _LARGEST
        ):
            return array.astype(np.float32)
    except (ValueError, TypeError, OverflowError):
        pass
    result = np.empty(len(texts), np.float32)
    for index, text in enumerate(texts):
        result[index] = _number(text, f"{where}: {what} {index + 1}")
    return result


def _number(text: Any, what: str) -> float:
    if text is None or (isinstance(text, str) and text.strip().lower() in _MISSING):
        return float("nan")
    try:
        value = float(text)
    except (ValueError, TypeError, OverflowError):
        value = float("inf")
    if abs(value) > _LARGEST or (isinstance(text, str) and "_" in text):
        raise DataError(f"{what} is {_short(text)}; expected a number, or ? where it is missing")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def assembled(
    found: Sequence[Found],
    reading: SeriesReading,
    name: str,
    format: str,
    channels: Sequence[str] = (),
    rate: float | None = None,
    facts: Mapping[str, Any] | None = None,
) -> LabelledData[Series]:
    """The data of a file.

    Args:
        name: of the file, for messages.
        channels: names of the columns, where the file has them; else they are called by their numbers.
        rate: what the file says of it.
        facts: other facts.
    Raises:
        DataError: there are no series, they differ in their channels, or a channel that is wanted is not there.
    """
    if not found:
        raise DataError(f"{name} holds no series")
    width = found[0].values.shape[1]
    for one in found:
        if one.values.shape[1] != width:
            raise DataError(
                f"{one.where} has {one.values.shape[1]} channels, and {found[0].where} has {width}; expected one number"
            )
    names = [str(channel) for channel in channels] or [str(index) for index in range(width)]
    if len(names) != width:
        raise DataError(f"{name} names {len(names)} channels and has {width}; expected one name for each")
    kept = _chosen(names, reading.channels, name)
    trimmed = 0
    examples: list[Series] = []
    for one in found:
        values = one.values if kept == list(range(width)) else one.values[:, kept]
        target = one.target
        if reading.trim and len(values) and np.isnan(values[-1]).all():
            there = np.flatnonzero(~np.isnan(values).all(axis=1))
            length = int(there[-1]) + 1 if len(there) else 0
            if isinstance(target, np.ndarray) and target.ndim == 2 and len(target) == len(values):
                target = target[:length]
            values, trimmed = values[:length], trimmed + 1
        examples.append(Series(values=values, target=target, group=one.group, where=one.where))
    known: dict[str, Any] = {"format": format, "channels": tuple(names[index] for index in kept)}
    known |= _rates(found, reading.rate or rate)
    known["declared_equal"] = False
    known |= facts or {}
    if trimmed:
        known["trimmed"] = trimmed
    parts = {part: [index for index, one in enumerate(found) if one.part == part] for part in PARTS}
    return LabelledData(examples, known, {part: indices for part, indices in parts.items() if indices})


def _chosen(names: list[str], wanted: Sequence[str], place: str) -> list[int]:
    kept = []
    for channel in wanted:
        if channel in names:
            kept.append(names.index(channel))
        elif channel.isdecimal() and len(channel) < 9 and int(channel) < len(names):
            kept.append(int(channel))
        else:
            raise DataError(f"{place} has no channel {channel!r}{did_you_mean(channel, names)}")
    return kept or list(range(len(names)))


def _rates(found: Sequence[Found], declared: float | None) -> dict[str, Any]:
    """The rate that is said or, where all timestamps agree, theirs; ``rates`` is theirs for each series."""
    facts: dict[str, Any] = {}
    measured = [one.rate for one in found]
    there = [rate for rate in measured if rate is not None]
    if there:
        facts["rates"] = tuple(measured)
        facts["jitter"] = float(np.median([one.jitter for one in found if one.rate is not None]))
    if declared:
        facts["rate"] = declared
    elif there and max(there) - min(there) <= 2 * _ALIKE * max(there):
        middle = float(np.median(there))
        # Clocks are never exact: 99.98 steps in a second are 100.
        facts["rate"] = float(round(middle)) if abs(middle - round(middle)) <= _ALIKE * middle else middle
    return facts
