"""Ink in NPZ archives: displacements or places of all points one after another, or characters of equally many points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seqloom.data.arrays import Arrays, labels_of, offsets_of, parts_of, read_arrays
from seqloom.data.features import Flat, Offsets
from seqloom.data.ink.character import LARGEST
from seqloom.data.ink.config import InkReading
from seqloom.data.labelled import LabelledData, Series, part_named
from seqloom.errors import DataError

__all__ = ["GROUPS", "LABELS", "holds_ink", "read_npz"]

LABELS = ("label", "labels", "y", "target", "class")
GROUPS = ("writer", "writers", "group", "groups", "user", "subject")
_CHARACTERS = ("x", "X", "strokes", "points", "data")

_FLAT = ({"dx", "dy", "pen_up", "offsets"}, {"x", "y", "pen_up", "offsets"})


def holds_ink(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the names of the arrays are those of flat ink; arrays (N, T, 2) might be anything."""
    return any(keys <= shapes.keys() for keys in _FLAT)


def read_npz(path: str, reading: InkReading) -> LabelledData[Series]:
    """The characters of an archive.

    Either ``dx, dy`` or ``x, y`` (perhaps ``t``) of all points with ``pen_up`` and ``offsets``; or arrays (N, T, 2 or 3) as
    ``x`` or ``train_x`` and ``test_x``, whose pen is never lifted and whose rows of NaN are padding. Beside them ``label``,
    ``writer`` and ``writer_names``, ``quality``, ``split`` (0 train, 1 dev, 2 test), ``start`` (the first point of each).

    Raises:
        DataError: the archive is damaged, or its arrays do not fit each other.
    """
    arrays = read_arrays(path)
    y_down = reading.y_down == "yes"
    if holds_ink({name: array.shape for name, array in arrays.items()}):
        flat, offsets = _flat(arrays, path)
        parts = parts_of(arrays, len(offsets) - 1, path)
        return _data(path, flat, offsets, arrays, parts, reading, y_down)
    prefixes = [
        name.removesuffix("_x") for name in arrays if name.endswith("_x") and part_named(name.removesuffix("_x"))
    ]
    if prefixes:
        return _joined(path, [(part_named(one), _of_prefix(arrays, one)) for one in prefixes], reading, y_down)
    return _joined(path, [("", arrays)], reading, y_down)


def _of_prefix(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(f"{prefix}_"): array for name, array in arrays.items() if name.startswith(f"{prefix}_")}


def _flat(arrays: Arrays, path: str) -> tuple[Flat, Offsets]:
    names = ("x", "y") if {"x", "y"} <= arrays.keys() else ("dx", "dy")
    names = (*names, *(("t",) if "t" in arrays else ()), "pen_up")
    lengths = {name: arrays[name].shape for name in names}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        shapes = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise DataError(f"{path}: the shapes are {shapes}; expected as many numbers in each")
    for name in names:
        if arrays[name].dtype.kind not in "iufb":
            raise DataError(f"{path}: {name} is {arrays[name].dtype}; expected numbers")
        if not np.isfinite(arrays[name]).all():
            place = int(np.argmin(np.isfinite(arrays[name])))
            raise DataError(f"{path}: {name}[{place}] is {arrays[name][place]}; expected finite numbers")
    offsets = offsets_of(arrays["offsets"], len(arrays["pen_up"]), path)
    columns = {name: arrays[name].astype(np.float64) for name in names}
    if "dx" in names:
        starts = arrays.get("start")
        if starts is not None and starts.shape != (len(offsets) - 1, 2):
            raise DataError(f"{path}: start has the shape {starts.shape}; expected {(len(offsets) - 1, 2)}")
        for axis, name in enumerate(("dx", "dy")):
            columns[name] = _summed(
                columns[name], offsets, None if starts is None else starts[:, axis].astype(np.float64)
            )
    flat = np.stack([columns[name] for name in names], axis=1)
    flat[:, -1] = flat[:, -1] > 0
    ends = offsets[1:][np.diff(offsets) > 0] - 1
    flat[ends, -1] = 1.0
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


def _joined(path: str, parts: Sequence[tuple[str, Arrays]], reading: InkReading, y_down: bool) -> LabelledData[Series]:
    """Arrays of characters of equally many points, of one part or of several."""
    examples: list[Series] = []
    places: dict[str, Sequence[int]] = {}
    facts: Mapping[str, object] = {}
    for part, arrays in parts:
        flat, offsets = _rows(arrays, path)
        found = _data(path, flat, offsets, arrays, {}, reading, y_down, len(examples))
        if facts and facts["channels"] != found.facts["channels"]:
            raise DataError(f"{path}: some parts have time and others not; expected the same in all")
        facts = found.facts
        if part:
            places[part] = [*places.get(part, ()), *range(len(examples), len(examples) + len(found.examples))]
        else:
            places.update(parts_of(arrays, len(found.examples), path))
        examples += found.examples
    return LabelledData(examples, facts, places)


def _rows(arrays: Arrays, path: str) -> tuple[Flat, Offsets]:
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


def _data(
    path: str,
    flat: Flat,
    offsets: Offsets,
    arrays: Arrays,
    parts: Mapping[str, Sequence[int]],
    reading: InkReading,
    y_down: bool,
    before: int = 0,
) -> LabelledData[Series]:
    if y_down:
        flat = flat * np.array([1, -1, *[1] * (flat.shape[1] - 2)], np.float32)
    count = len(offsets) - 1
    labels = labels_of(arrays, LABELS if reading.label == "auto" else (reading.label,), count, path)
    groups = labels_of(arrays, GROUPS if reading.group == "auto" else (reading.group,), count, path)
    quality = labels_of(arrays, ("quality",), count, path)
    examples = [
        Series(
            values=flat[offsets[index] : offsets[index + 1]],
            target=labels[index] if labels else None,
            group=groups[index] if groups else "",
            where=f"{path}[{before + index}]",
            record={"quality": quality[index]} if quality else None,
        )
        for index in range(count)
    ]
    channels = ("x", "y", "t", "pen_up") if flat.shape[1] == 4 else ("x", "y", "pen_up")
    return LabelledData(examples, {"format": "npz", "channels": channels, "y_down": y_down}, parts)
