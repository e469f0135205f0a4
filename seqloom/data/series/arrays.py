"""Series in an ``.npz`` file, see `seqloom.data.archives`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.archives import GROUPS, LABELS, VALUES, Section, read_sections
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.series.assembly import Found, assembled
from seqloom.data.series.reading import SeriesReading
from seqloom.errors import DataError

__all__ = ["read_arrays", "vectors"]


def read_arrays(path: str, reading: SeriesReading) -> LabelledData[Series]:
    """The series of an ``.npz`` file. What the array ``used`` leaves out is said on the standard error.

    Raises:
        DataError: the file is damaged, or its arrays do not fit; names the array.
    """
    found: list[Found] = []
    names: list[str] = []
    rate = None
    equal = True
    for section in read_sections(path):
        key = section.key(VALUES, reading.values)
        if not key:
            raise DataError(
                f"{section.name} has the arrays {', '.join(section.arrays)}; name the one that holds the series, such as "
                f"--data.values {next(iter(section.arrays))}"
            )
        equal = equal and "offsets" not in section.arrays and "lengths" not in section.arrays
        found += _series(section, key, reading)
        names = names or section.names("channels", "names")
        rate = rate or section.number("rate")
    return assembled(found, reading, path, "npz", names, rate, {"declared_equal": equal})


def _series(section: Section, key: str, reading: SeriesReading) -> list[Found]:
    cut = section.cut(key)
    count = len(cut)
    labels = _named(section, LABELS, reading.label, count) if reading.label or not reading.targets else [""] * count
    groups = _named(section, GROUPS, reading.group, count)
    parts, kept = section.split(count), section.kept(count)
    targets = _targets(section, cut, reading) if reading.targets else None
    if len(kept) < count:
        print(f"{section.name}: {count - len(kept)} of {count} series are left out, as 'used' says", file=sys.stderr)
    return [
        Found(
            vectors(cut[index], f"{section.name}[{index}]"),
            targets[index] if targets is not None else labels[index] or None,
            f"{section.name}[{index}]",
            groups[index],
            parts[index],
        )
        for index in kept.tolist()
    ]


def _named(section: Section, usual: Sequence[str], chosen: str, count: int) -> list[str]:
    key = "" if chosen == "none" else section.key(usual, chosen)
    return section.texts(key, count) if key else [""] * count


def _targets(section: Section, cut: list[NDArray[Any]], reading: SeriesReading) -> list[NDArray[np.float32]]:
    """(K,) of each series or (T, K) of its steps."""
    columns: list[list[NDArray[np.float32]]] = []
    for name in reading.targets:
        array = section.arrays[section.key((), name)]
        if array.dtype.kind not in "iuf":
            raise DataError(f"{section.name}: {name} is of the type {array.dtype}; expected real values")
        steps = sum(len(rows) for rows in cut)
        ragged = "offsets" in section.arrays or "lengths" in section.arrays
        padded = array.ndim > 1 and len(array) == len(cut) and (not ragged or steps != len(array))
        stepwise = reading.target_per == "step" or (
            reading.target_per == "auto"
            and (
                (padded and not ragged and len(cut) > 0 and array.shape[1] == len(cut[0]))
                or (len(array) == steps and len(array) != len(cut))
            )
        )
        if stepwise:
            pieces = [np.asarray(one, np.float32).reshape(len(one), -1) for one in section.cut(name)]
            for index, (piece, rows) in enumerate(zip(pieces, cut, strict=False)):
                if len(piece) != len(rows):
                    raise DataError(f"{section.name}[{index}] has {len(rows)} steps and {len(piece)} targets in {name}")
        else:
            whole = section.per_sequence(name, len(cut)).astype(np.float32)
            pieces = list(whole.reshape(len(cut), -1))
        if len(pieces) != len(cut):
            raise DataError(f"{section.name}: {name} has targets for {len(pieces)} series; expected {len(cut)}")
        columns.append(pieces)
    result = []
    for index in range(len(cut)):
        pieces = [column[index] for column in columns]
        if len({piece.ndim for piece in pieces}) > 1:
            raise DataError(f"{section.name}: some targets belong to steps and some to series; expected one of the two")
        target = np.concatenate(pieces, axis=-1)
        if not np.isfinite(target).all():
            raise DataError(f"{section.name}[{index}]: a target is missing or infinite; expected numbers")
        result.append(target)
    return result


def vectors(rows: NDArray[Any], where: str) -> NDArray[np.float32]:
    """(T, ...) numbers as (T, D) float32; one number in each step where there are no further dimensions.

    Raises:
        DataError: they are no numbers, or infinite; names the step.
    """
    if rows.dtype.kind not in "iufb" or not rows.ndim:
        raise DataError(f"{where} is {rows.dtype} of the shape {rows.shape}; expected numbers, a row for each step")
    width = int(np.prod(rows.shape[1:], dtype=np.int64)) if rows.ndim > 1 else 1
    values = rows.reshape(len(rows), width).astype(np.float32)
    if rows.dtype.kind == "f" and np.isinf(values).any():
        step = int(np.flatnonzero(np.isinf(values).any(axis=1))[0])
        raise DataError(f"{where}: step {step} holds a number that is infinite or too large; expected numbers, or NaN")
    return values
