"""Times of steps: how many steps there are in a second, and how even they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import DataError

__all__ = ["TimeUnit", "rate_of", "stamps", "unit_of"]

TimeUnit = Literal["s", "ms", "us", "ns", ""]

_UNITS: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def stamps(texts: Sequence[Any], where: Sequence[str]) -> tuple[NDArray[np.float64], bool]:
    """Times as numbers, and whether they are dates, which become seconds.

    Raises:
        DataError: one is neither a number nor a date; names its place.
    """
    try:
        times = np.array(texts, np.float64)
        if times.ndim == 1 and np.isfinite(times).all():
            return times, False
    except (ValueError, TypeError, OverflowError):
        pass
    times = np.empty(len(texts))
    dates = not _is_number(texts[0])
    for index, text in enumerate(texts):
        if not dates and _is_number(text):
            continue
        try:
            if not dates:
                raise ValueError(text)
            moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text).strip())
            times[index] = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise DataError(
                f"{where[index]}: the time is {str(text)[:40]!r}; expected a number or a date such as "
                "2026-12-01T09:30:00.02"
            ) from None
    return times, True


def _is_number(text: Any) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except (ValueError, TypeError, OverflowError):
        return False


def unit_of(column: str, interval: float, whole: bool) -> TimeUnit:
    """The unit of times, by the end of their column's name, else by their usual interval; empty for numbers of steps.

    A sensor takes 5 to 2,000 steps in a second, which tells s, ms, us and ns apart.

    >>> unit_of("timestamp", 20.0, True), unit_of("timestamp", 0.02, False), unit_of("t", 1.0, True), unit_of("t_us", 5.0, True)
    ('ms', 's', '', 'us')
    """
    end = column.lower().replace("(", "_").rstrip(")]").replace("[", "_").rpartition("_")[2]
    for unit, names in {"s": ("s", "sec", "seconds"), "ms": ("ms",), "us": ("us",), "ns": ("ns",)}.items():
        if "_" in column.replace("(", "_").replace("[", "_") and end in names:
            return unit  # type: ignore[return-value]
    if whole and interval == 1.0:
        return ""
    for unit, factor in _UNITS.items():
        if 5e-4 <= interval * factor <= 0.2:
            return unit  # type: ignore[return-value]
    return "s" if not whole else ""


def rate_of(times: NDArray[np.float64], unit: str) -> tuple[float | None, float]:
    """Steps in a second, and the deviation of the intervals as a share of the middle one; none of fewer than two steps."""
    intervals = np.diff(times)
    middle = float(np.median(intervals)) if len(intervals) else 0.0
    if not middle > 0 or not unit:
        return None, 0.0
    # The mean interval is exacter than the middle one, which is told apart from it by gaps.
    even = intervals[(intervals > 0.5 * middle) & (intervals < 1.5 * middle)]
    mean = float(even.mean()) if len(even) else middle
    return 1.0 / (mean * _UNITS[unit]), float(intervals.std() / middle)
