"""Series that are Python objects: arrays, lists, pairs of values and label, data frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from seqloom.data.labelled import LabelledData, Series, Target
from seqloom.data.series.arrays import vectors
from seqloom.data.series.assembly import Found, assembled
from seqloom.data.series.reading import SeriesReading
from seqloom.data.series.tables import frame
from seqloom.errors import DataError

__all__ = ["read_objects"]

_EXPECTED = "an array (T, D), a pair of one and its label, or a Series"


def read_objects(place: Any, reading: SeriesReading) -> LabelledData[Series]:
    """The series of objects: a data frame in long form, an array (S, T, D), an iterable of arrays (T, D) or of pairs of an
    array and its label or targets, or a pair of an array or list of series and a list of their labels.

    Raises:
        DataError: one is another thing; names which.
    """
    if hasattr(place, "columns") and hasattr(place, "iloc"):
        return frame(place, reading)
    if isinstance(place, tuple) and len(place) == 2 and _is_labels(place[1]):
        values, labels = list(place[0]), list(place[1])
        if len(values) != len(labels):
            raise DataError(f"{len(values)} series and {len(labels)} labels were given; expected as many")
        place = list(zip(values, labels, strict=True))
    elif isinstance(place, np.ndarray) and place.ndim != 3:
        raise DataError(
            f"the array has the shape {place.shape}; expected (series, steps, channels), or a list of series"
        )
    if isinstance(place, str | bytes) or not isinstance(place, Iterable):
        raise DataError(f"the inputs are a {type(place).__name__}; expected a list, of which each is {_EXPECTED}")
    found = [_found(item, f"input[{position}]") for position, item in enumerate(place)]
    data = assembled(found, reading, "<objects>", "objects")
    if all(isinstance(item, Series) for item in place):
        kept = [replace(one, record=item.record) for one, item in zip(data.examples, place, strict=True)]
        return replace(data, examples=kept)
    return data


def _is_labels(item: Any) -> bool:
    """Whether it is a list of labels rather than one label."""
    return isinstance(item, list | tuple) or (
        isinstance(item, np.ndarray) and item.ndim > 0 and item.dtype.kind in "USiu"
    )


def _found(item: Any, where: str) -> Found:
    if isinstance(item, Series):
        return Found(vectors(np.asarray(item.values), where), item.target, item.where or where, item.group)
    target: Target = None
    if isinstance(item, tuple) and len(item) == 2:
        item, target = item[0], _target(item[1], where)
    try:
        values = np.asarray(item)
        if values.dtype.kind not in "iufb":
            values = np.asarray(item, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where} is a {type(item).__name__}; expected {_EXPECTED}") from None
    if values.ndim not in (1, 2):
        raise DataError(f"{where} has the shape {values.shape}; expected {_EXPECTED}")
    return Found(vectors(values, where), target, where)


def _target(answer: Any, where: str) -> Target:
    if answer is None or isinstance(answer, str):
        return answer or None
    if isinstance(answer, bool | int | np.integer | np.bool_):
        return str(int(answer))
    if isinstance(answer, tuple) and all(isinstance(one, str) for one in answer):
        return answer
    try:
        target = np.atleast_1d(np.asarray(answer, np.float32))
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where} has a {type(answer).__name__} for its label; expected a text, or numbers") from None
    if target.ndim > 2 or not np.isfinite(target).all():
        raise DataError(f"{where} has the target {str(answer)[:40]}; expected numbers, (K,) or (T, K)")
    return target
