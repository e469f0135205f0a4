"""One character as the readers of the formats hand it over, before it becomes a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import DataError

__all__ = ["LARGEST", "Character", "as_stroke", "check_shared"]

LARGEST = 1e12  # of a coordinate: no tablet has more, and squares of it are numbers still

_SHARED = 20  # characters that a point may be in
_LATEST = 1e19  # of a time: nanoseconds since 1970


@dataclass(frozen=True)
class Character:
    """A character.

    Attributes:
        strokes: (n, 2) or (n, 3) each: x, y and perhaps t.
        quality: as the collectors marked it; empty where they did not.
        part: ``train``, ``dev`` or ``test``, where the file says it.
    """

    strokes: Sequence[NDArray[np.float64]]
    label: str | None = None
    group: str = ""
    where: str = ""
    quality: str = ""
    part: str = ""
    record: Any = None


def as_stroke(points: Any, where: str) -> NDArray[np.float64]:
    """(n, 2 or 3) of a list of points [x, y] or [x, y, t], or of an array.

    Raises:
        DataError: it is another thing, or a number is none or beyond all tablets; names the point.
    """
    expected = "expected a list of points, each [x, y] or [x, y, t]"
    try:
        stroke = np.asarray(points, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{where}: the points are not all lists of as many numbers; {expected}") from None
    if stroke.size == 0:
        return np.zeros((0, 2))
    if stroke.ndim != 2 or stroke.shape[1] not in (2, 3):
        raise DataError(f"{where}: the points have the shape {stroke.shape}; {expected}")
    wrong = ~(np.abs(stroke) <= [LARGEST, LARGEST, _LATEST][: stroke.shape[1]]).all(axis=1)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise DataError(
            f"{where}, point {index}: {stroke[index].tolist()} is no place; expected numbers up to {LARGEST:g}"
        )
    return stroke


def check_shared(taken: int, there: int, path: str) -> None:
    """Refuses characters that together have far more points than the file.

    Raises:
        DataError: they do: each point is in dozens of characters.
    """
    most = _SHARED * there + 10_000
    if taken > most:
        raise DataError(
            f"{path}: its characters have more than {most:,} points, and the file {there:,}; expected each in one"
        )
