"""Arrays in one file (``.npz``) that hold sequences: which rows are whose, and what is said of each.

A file is cut into sections: those named by a prefix of their arrays (``train_x``, ``test_x``), or one of all. Inside a section
the sequences lie one after the other with ``offsets`` or ``lengths``, or in rows of the same length. Pickled objects are
never read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import PARTS, part_named
from seqloom.data.location import locate
from seqloom.errors import DataError, did_you_mean
from seqloom.outside import MISFITS, first_line, limit, raising

__all__ = ["GROUPS", "LABELS", "VALUES", "Section", "is_archive", "read_archive", "read_sections", "sections"]

VALUES = ("x", "X", "xyz", "values", "feat", "features", "data")
LABELS = ("y", "label", "labels", "action", "class")
GROUPS = ("group", "groups", "writer", "subject", "user", "speaker")
"""What arrays of values, of classes and of groups are called, where a person does not say."""

_PLACES = ("offsets", "lengths")
_MAGIC = b"PK\x03\x04"


def is_archive(path: str | Path) -> bool:
    """Whether a file begins as an archive of arrays does; never raises."""
    try:
        with open(path, "rb") as file:
            return Path(path).suffix == ".npz" and file.read(4) == _MAGIC
    except (OSError, ValueError):
        return False


def read_archive(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by name.

    Raises:
        DataError: the file is missing, damaged, unpacks to more than the limit ``ARCHIVE``, or holds Python objects.
    """
    place = Path(locate(path))
    try:
        if not place.is_file():
            raise DataError(f"{path}: there is no such file; check the path")
        with zipfile.ZipFile(place) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            size = sum(entry.file_size for entry in entries)
            if size > limit("ARCHIVE"):
                raise DataError(
                    f"{path} unpacks to {size:,} bytes, more than {limit('ARCHIVE'):,}; {raising('ARCHIVE')}"
                )
            if not entries:
                raise DataError(f"{path} holds no arrays; expected those that numpy.savez writes")
            return {
                entry.filename.removesuffix(".npy"): _array(archive.read(entry), f"{path}: {entry.filename}")
                for entry in entries
            }
    except DataError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, *MISFITS) as problem:
        raise DataError(f"{path} is damaged or no .npz file ({first_line(problem)}); write it again") from None


def _array(data: bytes, name: str) -> NDArray[Any]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects, which are never unpickled; write numbers or texts")
    if any(size < 0 for size in shape):
        raise ValueError(f"a shape of {shape}")
    count = 1
    for size in shape:
        count *= size  # of whole numbers, which do not overflow
    if count * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"{name} should have {count * dtype.itemsize:,} bytes and has {len(data) - stream.tell():,}")
    if not count or not dtype.itemsize:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(data, dtype, count, stream.tell())
    return flat.reshape(shape[::-1]).transpose() if fortran else flat.reshape(shape)


@dataclass(frozen=True)
class Section:
    """Sequences of an archive, and the arrays that say something of them.

    Attributes:
        name: as messages call it: the file, and the part after a colon.
        part: ``train``, ``dev`` or ``test`` where the prefix of the arrays says so; else empty.
        arrays: by name, without the prefix.
    """

    name: str
    part: str
    arrays: Mapping[str, NDArray[Any]]

    def key(self, candidates: Sequence[str], chosen: str = "") -> str:
        """The array that a person chose, or the first of the candidates that is there; empty where none is.

        Raises:
            DataError: the chosen one is not there, or several candidates are.
        """
        if chosen:
            if chosen not in self.arrays:
                raise DataError(f"{self.name} has no array {chosen!r}{did_you_mean(chosen, self.arrays)}")
            return chosen
        found = [name for name in candidates if name in self.arrays]
        if len(found) > 1:
            raise DataError(f"{self.name} has the arrays {' and '.join(map(repr, found))}; name the one that is meant")
        return found[0] if found else ""

    def offsets(self, rows: int) -> NDArray[np.int64] | None:
        """(S + 1,) where each sequence begins in so many rows; none where neither ``offsets`` nor ``lengths`` tell.

        Raises:
            DataError: they are no whole numbers, not in order, or of other rows.
        """
        given = [name for name in _PLACES if name in self.arrays]
        if len(given) > 1:
            raise DataError(f"{self.name} has offsets and lengths; expected one of them")
        if not given:
            return None
        bounds = self._whole(given[0], 1).astype(np.int64)
        if given == ["lengths"]:
            if (bounds < 0).any() or float(bounds.sum(dtype=np.float64)) != rows:
                raise DataError(f"{self.name}: the lengths sum to {bounds.sum()}; expected {rows}, the number of rows")
            bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(bounds)])
        steps = np.diff(bounds)
        if not len(bounds) or bounds[0] != 0 or bounds[-1] != rows or (steps < 0).any():
            first, last = (int(bounds[0]), int(bounds[-1])) if len(bounds) else (None, None)
            raise DataError(
                f"{self.name}: the offsets go from {first} to {last}; expected them in order from 0 to {rows}, "
                "the number of rows"
            )
        return bounds

    def cut(self, key: str) -> list[NDArray[Any]]:
        """The rows (T, ...) of each sequence: of flat rows, or of (S, T, ...) with the ``lengths`` that count, if any.

        Raises:
            DataError: the array has no rows, or ``offsets`` or ``lengths`` do not fit it.
        """
        array = self.arrays[key]
        if not array.ndim:
            raise DataError(f"{self.name}: {key} is a single value; expected a row for each step")
        if "lengths" in self.arrays and array.ndim > 1:
            lengths = self._whole("lengths", 1)
            flat = float(lengths.sum(dtype=np.float64)) == len(array)
            if len(lengths) == len(array) and not (
                flat and array.ndim == 2 and array.shape[1] < lengths.max(initial=0)
            ):
                wrong = np.flatnonzero((lengths < 0) | (lengths > array.shape[1]))
                if len(wrong):
                    raise DataError(
                        f"{self.name}: lengths[{wrong[0]}] is {lengths[wrong[0]]}; expected 0 to {array.shape[1]}"
                    )
                return [rows[:length] for rows, length in zip(array, lengths.tolist(), strict=True)]
        bounds = self.offsets(len(array))
        if bounds is None:
            if array.ndim < 2:
                raise DataError(f"{self.name}: {key} is flat, and neither offsets nor lengths say where series begin")
            return list(array)
        return [array[start:end] for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]

    def per_sequence(self, key: str, count: int) -> NDArray[Any]:
        """An array of a value or a row for each of so many sequences.

        Raises:
            DataError: it has another length.
        """
        array = self.arrays[key]
        if not array.ndim or len(array) != count:
            raise DataError(
                f"{self.name}: {key} has the shape {array.shape}; expected {count} values, one for each sequence"
            )
        return array

    def texts(self, key: str, count: int) -> list[str]:
        """What an array calls each sequence: texts, whole numbers, or indices of ``{key}_names``.

        Raises:
            DataError: it has another length, fractions, or an index beyond the names; says which.
        """
        array = self.per_sequence(key, count)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(f"{self.name}: {key} has the shape {array.shape}; expected one value for each sequence")
        if array.dtype.kind in "US":
            return _texts(array)
        if array.dtype.kind == "f":
            odd = np.flatnonzero(~(np.isfinite(array) & (array == np.rint(array))))
            if len(odd):
                raise DataError(
                    f"{self.name}: {key}[{odd[0]}] is {array[odd[0]]}; expected whole numbers or texts, as names of "
                    "classes; real values are targets"
                )
        elif array.dtype.kind not in "iub":
            raise DataError(f"{self.name}: {key} is of the type {array.dtype}; expected whole numbers or texts")
        numbers = [int(value) for value in array.tolist()]
        if f"{key}_names" not in self.arrays:
            return [str(number) for number in numbers]
        names = _texts(self.arrays[f"{key}_names"].reshape(-1))
        for index, number in enumerate(numbers):
            if not 0 <= number < len(names):
                raise DataError(f"{self.name}: {key}[{index}] is {number}, and {key}_names has {len(names)} names")
        return [names[number] for number in numbers]

    def split(self, count: int) -> list[str]:
        """The part of each sequence: that of the section, or what an array ``split`` says; empty where nothing does.

        Raises:
            DataError: the array has another length, or a value that names no part.
        """
        if self.part or "split" not in self.arrays:
            return [self.part] * count
        array = self.per_sequence("split", count)
        if array.ndim == 1 and array.dtype.kind in "US":
            named = [part_named(text) for text in _texts(array)]
        else:
            numbers = self._whole("split", 1).tolist()
            named = [list(PARTS)[number] if 0 <= number < len(PARTS) else "" for number in numbers]
        for index, part in enumerate(named):
            if not part:
                raise DataError(
                    f"{self.name}: split[{index}] is {str(array[index])!r}; expected 0, 1, 2 or train, dev, test"
                )
        return named

    def kept(self, count: int) -> NDArray[np.int64]:
        """The sequences that an array of booleans ``used`` does not leave out.

        Raises:
            DataError: it has another length.
        """
        if "used" not in self.arrays or self.arrays["used"].dtype != bool:
            return np.arange(count)
        return np.flatnonzero(self.per_sequence("used", count).reshape(count, -1)[:, 0])

    def names(self, *keys: str) -> list[str]:
        """The texts of the first of these arrays that is there, such as the names of channels; else none."""
        found = next((self.arrays[key] for key in keys if key in self.arrays), None)
        return [] if found is None or found.dtype.kind not in "US" else _texts(found.reshape(-1))

    def number(self, key: str) -> float | None:
        """The single number of an array, such as ``rate``; none where it is not there.

        Raises:
            DataError: it is no positive number.
        """
        if key not in self.arrays:
            return None
        array = self.arrays[key]
        value = float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "iuf" else float("nan")
        if not (np.isfinite(value) and value > 0):
            raise DataError(f"{self.name}: {key} is {_short(array)}; expected one positive number")
        return value

    def _whole(self, key: str, dimensions: int) -> NDArray[Any]:
        array = self.arrays[key]
        if array.ndim != dimensions or array.dtype.kind not in "iu":
            raise DataError(f"{self.name}: {key} is {_short(array)}; expected a list of whole numbers")
        return array


def sections(arrays: Mapping[str, NDArray[Any]], name: str) -> list[Section]:
    """The sections of an archive. Arrays whose name has no prefix belong to all.

    >>> [one.name for one in sections({"train_x": np.zeros((2, 5, 1)), "test_x": np.zeros((1, 5, 1))}, "a.npz")]
    ['a.npz:train', 'a.npz:test']
    """
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    shared: dict[str, NDArray[Any]] = {}
    for key, array in arrays.items():
        prefix, _, rest = key.partition("_")
        part = part_named(prefix)
        if not part:
            shared[key] = array
            continue
        own = parts.setdefault(part, {})
        # The values themselves may be called by the part alone.
        if (rest or VALUES[0]) in own:
            raise DataError(f"{name} has two arrays for {rest or 'the values'} of its part {part}; remove one")
        own[rest or VALUES[0]] = array
    if not parts:
        return [Section(name, "", shared)]
    return [Section(f"{name}:{part}", part, {**shared, **parts[part]}) for part in PARTS if part in parts]


def read_sections(path: str | Path) -> list[Section]:
    """The sections of an ``.npz`` file. Raises as `read_archive` and `sections`."""
    return sections(read_archive(path), str(path))


def _texts(array: NDArray[Any]) -> list[str]:
    if array.dtype.kind == "S":
        return [bytes(value).decode("utf-8", "replace") for value in array.tolist()]
    return [str(value) for value in array.tolist()]


def _short(array: NDArray[Any]) -> str:
    return repr(array.item()) if array.size == 1 else f"{array.dtype} of the shape {array.shape}"
