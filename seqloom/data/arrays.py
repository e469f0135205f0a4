"""Arrays in NPZ archives, read without pickle and within bounds, and the usual arrays beside the data: labels, groups, parts."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seqloom.data.features import Offsets
from seqloom.data.labelled import part_named
from seqloom.errors import DataError
from seqloom.outside import MISFITS, first_line

__all__ = ["Arrays", "labels_of", "offsets_of", "parts_of", "read_arrays", "shapes_of"]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_MOST = 8 * 2**30  # bytes of all arrays
_RATIO = 1000  # zeros are packed well
_DAMAGE = (OSError, EOFError, zipfile.BadZipFile, NotImplementedError, *MISFITS)


def shapes_of(path: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the arrays of an archive, from their heads alone; empty where it is none. Never raises."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _head(archive, member)[0] for name, member in _members(archive)}
    except _DAMAGE:
        return {}


def _members(archive: zipfile.ZipFile) -> list[tuple[str, zipfile.ZipInfo]]:
    return [(one.filename.removesuffix(".npy"), one) for one in archive.infolist() if one.filename.endswith(".npy")]


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        return shape, dtype


def read_arrays(path: str) -> dict[str, NDArray[Any]]:
    """All arrays of an NPZ archive.

    Raises:
        DataError: it is missing, damaged, holds Python objects, or far more than its size lets expect.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            whole, packed = 0, 0
            for name, member in _members(archive):
                shape, dtype = _head(archive, member)
                if dtype.hasobject:
                    raise DataError(
                        f"{path}: {name} holds Python objects, which are not read; expected arrays of numbers and texts"
                    )
                size = math.prod(shape) * dtype.itemsize
                if size > member.file_size:
                    raise DataError(f"{path}: {name} is cut short: {member.file_size:,} bytes for the shape {shape}")
                whole, packed = whole + member.file_size, packed + member.compress_size
            if whole > _MOST or whole > _RATIO * packed + 2**20:
                raise DataError(
                    f"{path} unpacks to {whole:,} bytes; expected an archive of fewer, or no more than {_RATIO} times its size"
                )
        with np.load(path, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{path}: no readable NPZ archive ({first_line(error)})") from None


def offsets_of(array: NDArray[Any], steps: int, path: str) -> Offsets:
    """(S + 1,) where each sequence begins, and the last one ends; also without the last one.

    Raises:
        DataError: they do not rise from 0 to the number of steps.
    """
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise DataError(f"{path}: offsets are {array.dtype} of shape {array.shape}; expected whole numbers")
    offsets = array.astype(np.int64)
    if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] > steps:
        raise DataError(
            f"{path}: offsets run from {offsets[0]} to {offsets[-1]}; expected them to rise from 0 to {steps}"
        )
    return offsets if offsets[-1] == steps else np.append(offsets, steps)


def labels_of(arrays: Arrays, names: Sequence[str], count: int, path: str) -> list[str]:
    """The first array of these names, as text; numbers are looked up in ``NAME_names`` where that is there. Empty without one.

    Raises:
        DataError: it is not one text or whole number for each sequence.
    """
    name = next((name for name in names if name in arrays), None)
    if name is None:
        return []
    array = arrays[name]
    if array.shape != (count,) or array.dtype.kind not in "iubUSf":
        raise DataError(
            f"{path}: {name} is {array.dtype} of shape {array.shape}; expected {count} texts or whole numbers"
        )
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.floor(array))).all():
            raise DataError(f"{path}: {name} holds numbers that are not whole; expected classes")
        array = array.astype(np.int64)
    if array.dtype.kind == "S":
        return [one.decode("utf-8", "replace") for one in array.tolist()]
    table = arrays.get(f"{name}_names")
    if array.dtype.kind in "iu" and table is not None and table.ndim == 1 and count:
        if array.min() < 0 or array.max() >= len(table):
            raise DataError(
                f"{path}: {name} runs from {array.min()} to {array.max()}, but {name}_names has {len(table)}"
            )
        array = table[array]
    return [str(one) for one in array.tolist()]


def parts_of(arrays: Arrays, count: int, path: str) -> dict[str, Sequence[int]]:
    """What ``split`` or ``part`` says: 0 train, 1 dev, 2 test, or their names.

    Raises:
        DataError: there is not one for each sequence, or it is another.
    """
    found = labels_of(arrays, ("split", "part"), count, path)
    numbered = {"0": "train", "1": "dev", "2": "test"}
    parts: dict[str, Sequence[int]] = {}
    named = {one: numbered.get(one) or part_named(one) for one in set(found)}
    for one, part in named.items():
        if not part:
            raise DataError(f"{path}: split holds {one[:40]!r}; expected 0, 1, 2 or train, dev, test")
    for part in ("train", "dev", "test"):
        indices = [index for index, one in enumerate(found) if named[one] == part]
        if indices:
            parts[part] = indices
    return parts
