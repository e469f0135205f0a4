"""Ink in NPZ archives: displacements or places of all points one after another, or characters of equally many points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqloom.data.archive_shapes import Shapes
from seqloom.data.archives import Section, read_sections
from seqloom.data.features import Flat, Offsets
from seqloom.data.ink.character import LARGEST
from seqloom.data.ink.config import InkReading
from seqloom.data.labelled import LabelledData, Series
from seqloom.errors import DataError

__all__ = ["holds_ink", "read_npz"]

_LABELS = ("label", "labels", "y", "target", "class")
_GROUPS = ("writer", "writers", "group", "groups", "user", "subject")
_CHARACTERS = ("x", "X", "strokes", "points", "data")
_FLAT = (("dx", "dy"), ("x", "y"))


def holds_ink(shapes: Shapes) -> bool:
    """Whether the names of the arrays are those of flat ink; arrays (N, T, 2) might be anything."""
    return any({*names, "pen_up", "offsets"} <= shapes.keys() for names in _FLAT)


def read_npz(path: str, reading: InkReading) -> LabelledData[Series]:
    """The characters of an archive.

    Either ``dx, dy`` or ``x, y`` (perhaps ``t``) of all points with ``pen_up`` and ``offsets``; or arrays (N, T, 2 or 3) as
    ``x`` or ``train_x`` and ``test_x``, whose pen is never lifted and whose rows of NaN are padding. Beside them ``label``,
    ``writer`` and ``writer_names``, ``quality``, ``split`` (0 train, 1 dev, 2 test), ``start`` (the first point of each).

    Raises:
        DataError: the archive is damaged, or its arrays do not fit each other.
    """
    examples: list[Series] = []
    parts: dict[str, list[int]] = {}
    widths = set()
    for section in read_sections(path):
        is_flat = holds_ink({name: array.shape for name, array in section.arrays.items()})
        flat, offsets = _flat(section) if is_flat else _rows(section)
        flat = flat[:, [0, 1, -1]] if reading.time == "no" else flat
        if reading.y_down == "yes":
            flat = flat * np.array([1, -1, *[1] * (flat.shape[1] - 2)], np.float32)
        widths.add(flat.shape[1])
        for index, part in enumerate(section.split(len(offsets) - 1)):
            if part:
                parts.setdefault(part, []).append(len(examples) + index)
        examples += _series(section, flat, offsets, reading, is_flat)
    if len(widths) > 1:
        raise DataError(f"{path}: some parts have time and others not; expected the same in all")
    channels = ["x", "y", "t", "pen_up"] if widths == {4} else ["x", "y", "pen_up"]
    return LabelledData(examples, {"format": "npz", "channels": channels, "y_down": reading.y_down == "yes"}, parts)


def _series(section: Section, flat: Flat, offsets: Offsets, reading: InkReading, is_flat: bool) -> list[Series]:
    count = len(offsets) - 1
    # Among flat points y is the place of one.
    known = [name for name in _LABELS if not (is_flat and name == "y")]
    columns = [
        section.key(known, "" if reading.label == "auto" else reading.label),
        section.key(_GROUPS, "" if reading.group == "auto" else reading.group),
        section.key(("quality",)),
    ]
    labels, groups, quality = (section.texts(key, count) if key else None for key in columns)
    return [
        Series(
            values=flat[offsets[index] : offsets[index + 1]],
            target=labels[index] if labels else None,
            group=groups[index] if groups else "",
            where=f"{section.name}[{index}]",
            record={"quality": quality[index]} if quality else None,
        )
        for index in range(count)
    ]


def _flat(section: Section) -> tuple[Flat, Offsets]:
    arrays, path = section.arrays, section.name
    names = next(names for names in _FLAT if set(names) <= arrays.keys())
    names = (*names, *(("t",) if "t" in arrays else ()), "pen_up")
    shapes = {name: arrays[name].shape for name in names}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"{path}: the shapes are {listed}; expected as many numbers in each")
    for name in names:
        if arrays[name].dtype.kind not in "iufb":
            raise DataError(f"{path}: {name} is {arrays[name].dtype}; expected numbers")
        if not np.isfinite(arrays[name]).all():
            place = int(np.argmin(np.isfinite(arrays[name])))
            raise DataError(f"{path}: {name}[{place}] is {arrays[name][place]}; expected finite numbers")
    offsets = section.offsets(len(arrays["pen_up"]))
    assert offsets is not None  # there is an array of them
    columns = {name: arrays[name].astype(np.float64) for name in names}
    if "dx" in names:
        starts = arrays.get("start")
        if starts is not None and (starts.shape != (len(offsets) - 1, 2) or starts.dtype.kind not in "iuf"):
            raise DataError(f"{path}: start has the shape {starts.shape}; expected {(len(offsets) - 1, 2)}")
        for axis, name in enumerate(("dx", "dy")):
            begin = None if starts is None else starts[:, axis].astype(np.float64)
            columns[name] = _summed(columns[name], offsets, begin)
    flat = np.stack([columns[name] for name in names], axis=1)
    flat[:, -1] = flat[:, -1] > 0
    flat[offsets[1:][np.diff(offsets) > 0] - 1, -1] = 1.0
    _check_places(flat[:, :2], path)
    return _from_zero(flat, offsets).astype(np.float32), offsets


def _summed(steps: NDArray[np.float64], offsets: Offsets, starts: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Places from displacements; a character begins at its start, or at its first displacement from 0."""
    whole = np.concatenate([[0.0], np.cumsum(steps)])
    before = whole[offsets[:-1]]
    if starts is not None:  # the first displacement is that of the start
        present = np.diff(offsets) > 0
        first = np.zeros(len(starts))
        first[present] = steps[offsets[:-1][present]]
        before = before + first - starts
    found: NDArray[np.float64] = whole[1:] - np.repeat(before, np.diff(offsets))
    return found


def _from_zero(flat: NDArray[np.float64], offsets: Offsets) -> NDArray[np.float64]:
    """With times from the first one of each character, which float32 has room for."""
    if flat.shape[1] == 4:
        present = np.diff(offsets) > 0
        first = np.zeros(len(present))
        first[present] = flat[offsets[:-1][present], 2]
        flat[:, 2] -= np.repeat(first, np.diff(offsets))
    return flat


def _check_places(places: NDArray[np.float64], path: str) -> None:
    wrong = ~(np.abs(places) <= LARGEST).all(axis=1)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise DataError(f"{path}: point {index} is {places[index].tolist()}; expected numbers up to {LARGEST:g}")


def _rows(section: Section) -> tuple[Flat, Offsets]:
    arrays, path = section.arrays, section.name
    name = next((name for name in _CHARACTERS if name in arrays and arrays[name].ndim == 3), None)
    if name is None or arrays[name].shape[2] not in (2, 3) or arrays[name].dtype.kind not in "iuf":
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())[:200]
        raise DataError(
            f"{path}: the arrays are {shapes}; expected dx, dy or x, y with pen_up and offsets, or x of the shape (N, T, 2)"
        )
    array = arrays[name].astype(np.float64)
    known: NDArray[np.bool_] = np.isfinite(array[..., 0]) & np.isfinite(array[..., 1])
    lengths = np.zeros(len(array), np.int64)
    if array.shape[1]:
        lengths = np.where(known.any(axis=1), array.shape[1] - np.argmax(known[:, ::-1], axis=1), 0)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    flat = array[np.arange(array.shape[1])[None, :] < lengths[:, None]]
    _check_places(flat[:, :2], path)
    up = np.zeros((len(flat), 1))
    up[offsets[1:][np.diff(offsets) > 0] - 1] = 1.0
    return _from_zero(np.hstack([flat, up]), offsets).astype(np.float32), offsets
