"""UNIPEN text files: the pen's components, and the segments that say which of them are characters (Guyon et al. 1994)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import open_text
from seqloom.data.ink.character import Character, as_stroke, check_shared
from seqloom.errors import DataError

__all__ = ["looks_like_unipen", "read_unipen"]

_DEPTH = 8  # files that include each other
_PLACES = re.compile(r"[-\d:,]+")
_RANGE = re.compile(r"(\d{1,9})(?::(\d{1,9}))?(?:-(\d{1,9})(?::(\d{1,9}))?)?")
_KEYWORD = re.compile(r"\s*\.([A-Z][A-Z_0-9]*)\b\s*(.*)")
_KNOWN = ("VERSION", "COORD", "HIERARCHY", "PEN_DOWN", "DATA_SOURCE", "INCLUDE", "COMMENT", "SEGMENT", "KEYWORD")


def looks_like_unipen(head: str) -> bool:
    """Whether the beginning of a text has a line with one of the usual keywords first."""
    first = next((line for line in head.split("\n") if line.strip()), "")
    match = _KEYWORD.fullmatch(first.rstrip())
    return match is not None and match[1] in _KNOWN


@dataclass
class _Page:
    """What a file and those that it includes say."""

    coordinates: list[str] = field(default_factory=lambda: ["X", "Y"])
    components: list[tuple[bool, list[list[float]]]] = field(default_factory=list)
    segments: list[tuple[str, str, str]] = field(default_factory=list)  # place, writer, text
    writer: str = ""
    interval: float = 0.0


def read_unipen(path: str, level: str = "CHARACTER", encoding: str = "utf-8") -> Iterator[Character]:
    """The segments of a level, in the order of the file. Movements of the lifted pen belong to none.

    ``.INCLUDE`` names a file beside this one or below.

    Raises:
        DataError: a line is not as the format has it, or a segment names what the file does not have; names the line.
    """
    page = _Page()
    _read(path, page, encoding, Path(path).resolve().parent, 0)
    columns = _columns(page, path)
    arrays = [_component(points, columns, page.interval) if down else None for down, points in page.components]
    there, taken = sum(len(points) for _, points in page.components), 0
    for where, writer, text in page.segments:
        head, quote, rest = text.partition('"')
        named, *others = head.split() or [""]
        if named != level:
            continue
        places = list(takewhile(_PLACES.fullmatch, others))
        label, closed, _ = rest.rpartition('"')
        if not places or len(others) > len(places) + 1 or (quote and not closed):
            raise DataError(f'{where}: the segment is {text[:80]!r}; expected a level, components, quality and "label"')
        strokes = []
        for stroke in _strokes("".join(places), arrays, where):
            taken += len(stroke)
            check_shared(taken, there, path)
            strokes.append(stroke)
        quality = others[-1] if len(others) > len(places) else ""
        yield Character(strokes, label or None, writer, where, quality)


def _read(path: str, page: _Page, encoding: str, root: Path, depth: int) -> None:
    keyword = ""
    for number, line in open_text(path, encoding, expected="UNIPEN keywords and coordinates"):
        match = _KEYWORD.fullmatch(line)
        if match is None:
            if keyword in ("PEN_DOWN", "PEN_UP"):
                _point(line, page, f"{path}:{number}")
            elif keyword == "SEGMENT" and line.strip() and page.segments:
                place, writer, text = page.segments[-1]
                page.segments[-1] = (place, writer, f"{text} {line.strip()}")
            continue
        keyword, rest = match[1], match[2].strip()
        where = f"{path}:{number}"
        if keyword in ("PEN_DOWN", "PEN_UP"):
            page.components.append((keyword == "PEN_DOWN", []))
            if rest:
                _point(rest, page, where)
        elif keyword == "COORD":
            page.coordinates = rest.upper().split()
        elif keyword == "WRITER_ID":
            page.writer = rest
        elif keyword == "POINTS_PER_SECOND":
            page.interval = 1.0 / _number(rest, where)
        elif keyword == "SEGMENT":
            page.segments.append((where, page.writer, rest))
        elif keyword == "INCLUDE":
            _read(_included(rest, where, root, depth), page, encoding, root, depth + 1)
            keyword = ""


def _number(text: str, where: str) -> float:
    try:
        value = float(text.split()[0])
    except (ValueError, IndexError):
        value = 0.0
    if not 0 < value < 1e9:
        raise DataError(f"{where}: {text[:40]!r} points in a second; expected a number above 0")
    return value


def _included(name: str, where: str, root: Path, depth: int) -> str:
    path = (root / name).resolve()
    if depth >= _DEPTH:
        raise DataError(f"{where}: files include each other more than {_DEPTH} deep; expected fewer")
    if not name or not path.is_relative_to(root):
        raise DataError(f"{where}: includes {name[:100]!r}; expected a file beside this one or below")
    return str(path)


def _point(line: str, page: _Page, where: str) -> None:
    if not line.strip():
        return
    try:
        values = [float(text) for text in line.split()]
    except ValueError:
        raise DataError(f"{where}: {line.strip()[:60]!r}; expected the numbers {' '.join(page.coordinates)}") from None
    if len(values) < len(page.coordinates) or not page.components:
        raise DataError(
            f"{where}: {len(values)} numbers; expected {len(page.coordinates)}: {' '.join(page.coordinates)}"
        )
    page.components[-1][1].append(values[: len(page.coordinates)])


def _columns(page: _Page, path: str) -> list[int]:
    names = page.coordinates
    if "X" not in names or "Y" not in names:
        raise DataError(f"{path}: .COORD names {' '.join(names)}; expected X and Y among them")
    return [names.index("X"), names.index("Y"), *([names.index("T")] if "T" in names else [])]


def _component(points: list[list[float]], columns: list[int], interval: float) -> NDArray[np.float64]:
    width = max((len(point) for point in points), default=0)
    if not points or any(len(point) != width for point in points) or max(columns) >= width:
        kept = [[point[column] for column in columns] for point in points if len(point) > max(columns)]
        return np.array(kept, dtype=np.float64).reshape(-1, len(columns))
    array = np.array(points, dtype=np.float64)[:, columns]
    if len(columns) == 2 and interval:
        array = np.column_stack([array, interval * np.arange(len(array))])
    return array


def _strokes(places: str, arrays: list[NDArray[np.float64] | None], where: str) -> Iterator[NDArray[np.float64]]:
    for text in places.split(","):
        match = _RANGE.fullmatch(text)
        if match is None:
            raise DataError(f"{where}: {text[:40]!r} names no components; expected 3, 3-5 or 3:0-5:17")
        first, last = int(match[1]), int(match[3] or match[1])
        begin = int(match[2]) if match[2] else 0
        end = int(match[4]) if match[4] else None
        if match[2] and match[3] is None:
            end = begin
        if not first <= last < len(arrays):
            raise DataError(f"{where}: components {text}, but the file has {len(arrays)}, counted from 0")
        for index in range(first, last + 1):
            array = arrays[index]
            if array is None:
                continue
            stop = len(array) if index < last or end is None else end + 1
            part = array[begin if index == first else 0 : stop]
            if len(part):
                yield as_stroke(part, where)
