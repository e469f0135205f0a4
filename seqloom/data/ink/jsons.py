"""Strokes as JSON: lists of points, records of strokes with a label, drawings as Quick, Draw! publishes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import open_text
from seqloom.data.ink.character import Character, as_stroke
from seqloom.data.labelled import part_named
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, parse_json, read_text

__all__ = ["GROUPS", "LABELS", "character_of", "characters_of", "read_json", "read_json_lines"]

LABELS = ("label", "word", "class", "target", "character", "y")
GROUPS = ("writer", "group", "user", "subject", "writer_id")

_EXPECTED = "expected a list of strokes, each a list of points [x, y], or a mapping with them as strokes or drawing"


def read_json_lines(path: str, label: str, group: str, encoding: str) -> Iterator[Character]:
    """A character in each line that is not blank."""
    for number, line in open_text(path, encoding, expected="a JSON value in each line"):
        if line.strip():
            where = f"{path}:{number}"
            try:
                value = parse_json(line)
            except UnreadableError as error:
                raise DataError(f"{where}: no JSON ({error.reason}); {_EXPECTED}") from None
            yield character_of(value, where, label, group)


def read_json(path: str, label: str, group: str) -> Iterator[Character]:
    """One character, or a list of them."""
    try:
        value = parse_json(read_text(Path(path), "JSON"))
    except UnreadableError as error:
        raise DataError(f"{path}{f':{error.line}' if error.line else ''}: {error.reason}; {_EXPECTED}") from None
    yield from characters_of(value, path, label, group)


def characters_of(value: Any, name: str, label: str, group: str) -> Iterator[Character]:
    """The character or the characters that a value holds."""
    if isinstance(value, Mapping | Character) or _is_answered(value) or _is_strokes(value):
        yield character_of(value, name, label, group)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, one in enumerate(value):
            yield character_of(one, f"{name}[{position}]", label, group)
    else:
        raise DataError(f"{name}: the value is a {type(value).__name__}; {_EXPECTED}")


def character_of(value: Any, where: str, label: str = "auto", group: str = "auto") -> Character:
    """One character: a list of strokes, (strokes, label), or a mapping.

    Raises:
        DataError: it is none of these, or a stroke is not a list of points.
    """
    if isinstance(value, Character):
        return value
    if _is_answered(value):
        return Character(_strokes(value[0], where), None if value[1] is None else str(value[1]), where=where)
    if not isinstance(value, Mapping):
        return Character(_strokes(value, where), where=where)
    if "drawing" in value:
        strokes = [
            _columns(one, f"{where}, stroke {index}") for index, one in enumerate(_listed(value["drawing"], where))
        ]
    elif "strokes" in value:
        strokes = _strokes(value["strokes"], where)
    else:
        raise DataError(f"{where}: the mapping has the keys {', '.join(map(str, value))[:100]}; {_EXPECTED}")
    return Character(
        strokes,
        _text(value, LABELS if label == "auto" else (label,), where),
        _text(value, GROUPS if group == "auto" else (group,), where) or "",
        where,
        _text(value, ("quality",), where) or "",
        part_named(_text(value, ("split", "part"), where) or ""),
        record={key: one for key, one in value.items() if key not in ("strokes", "drawing")},
    )


def _is_answered(value: Any) -> bool:
    """Whether it is (strokes, label)."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and (value[1] is None or isinstance(value[1], str | int | np.integer))
    )


def _text(record: Mapping[str, Any], keys: Sequence[str], where: str) -> str | None:
    value = next((record[key] for key in keys if record.get(key) is not None), None)
    if value is not None and not isinstance(value, str | int):
        raise DataError(f"{where}: {' or '.join(keys)} is a {type(value).__name__}; expected a text")
    return None if value is None else str(value)


def _is_strokes(value: Any) -> bool:
    """Whether it is one character: a list of lists of points, not a list of characters."""
    if isinstance(value, np.ndarray) or not isinstance(value, Sequence):
        return False
    first = next(
        (stroke for stroke in value if isinstance(stroke, np.ndarray) or (isinstance(stroke, Sequence) and stroke)),
        None,
    )
    if isinstance(first, np.ndarray):
        return first.ndim == 2
    point = first[0] if first is not None and not isinstance(first, str) else None
    return isinstance(point, Mapping) or (
        isinstance(point, Sequence | np.ndarray) and len(point) > 0 and isinstance(point[0], int | float | np.number)
    )


def _listed(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise DataError(f"{where}: the strokes are a {type(value).__name__}; {_EXPECTED}")
    return value  # type: ignore[return-value]


def _strokes(value: Any, where: str) -> list[NDArray[np.float64]]:
    if isinstance(value, np.ndarray) and value.ndim == 2:
        value = [value]
    found = []
    for index, one in enumerate(_listed(value, where)):
        place = f"{where}, stroke {index}"
        if isinstance(one, Sequence) and one and isinstance(one[0], Mapping):
            one = [_named_point(point, place) for point in one]
        found.append(as_stroke(one, place))
    return [stroke for stroke in found if len(stroke)]


def _named_point(point: Any, where: str) -> list[Any]:
    if not isinstance(point, Mapping) or "x" not in point or "y" not in point:
        raise DataError(f"{where}: a point is {str(point)[:60]}; expected x, y and perhaps t")
    time = point.get("t", point.get("time"))
    return [point["x"], point["y"], *([] if time is None else [time])]


def _columns(stroke: Any, where: str) -> NDArray[np.float64]:
    """A stroke as [[x...], [y...]] or with times as a third list."""
    if not isinstance(stroke, Sequence) or len(stroke) not in (2, 3):
        raise DataError(
            f"{where}: expected two or three lists, [x...], [y...] and perhaps [t...], as drawings have them"
        )
    if len({len(one) if isinstance(one, Sequence) else -1 for one in stroke}) != 1:
        raise DataError(f"{where}: the lists of x, y and t are not equally long")
    return as_stroke(list(zip(*stroke, strict=True)), where)
