"""Ink of any format, as labelled series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.data.features import Flat
from seqloom.data.files import STDIN, first_bytes
from seqloom.data.ink.archive import read_npz
from seqloom.data.ink.character import Character
from seqloom.data.ink.config import InkFormat, InkReading
from seqloom.data.ink.inkml import read_inkml
from seqloom.data.ink.jsons import characters_of, read_json, read_json_lines
from seqloom.data.ink.strokes import joined
from seqloom.data.ink.unipen import looks_like_unipen, read_unipen
from seqloom.data.labelled import LabelledData, Series, of_part, part_named, split_part
from seqloom.data.source import Source
from seqloom.errors import DataError

__all__ = ["DOUBTFUL", "ink_format", "read_ink"]

DOUBTFUL = ("?", "BAD", "LG")
"""What UNIPEN marks as doubtful, bad, or left over."""

_GLANCE = 1 << 16
_FOLDERS = {".inkml": "inkml", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".npz": "npz", ".dat": "unipen"}


def read_ink(source: Any, reading: InkReading | None = None, part: str = "") -> LabelledData[Series]:
    """Characters with their labels and writers.

    Each is a series with the columns x, y (growing upwards), perhaps t (from 0), and pen_up. There is t where all have it.
    ``facts`` has ``format``, ``channels``, ``y_down`` (of the source) and ``doubtful`` (how many are marked so).

    Args:
        source: a file; a folder of files, whose folders are the labels of what has none; a list of characters, each a list of
            strokes, (strokes, label), or a mapping with strokes or drawing; or one character.
        part: ``train``, ``dev`` or ``test`` of a file that holds several; also behind the name: ``digits.npz:test``.
    Raises:
        DataError: something is not ink; names where.
    """
    reading = reading or InkReading()
    place = Source.of(source, reading.encoding)
    if not place.is_named:
        format: InkFormat = "json"
        characters = list(characters_of(_in_memory(place.place), "input", reading.label, reading.group))
    else:
        path, named = split_part(place.path())
        part = part or named
        format = ink_format(path) if reading.format == "auto" else reading.format
        if format == "npz":
            return of_part(_good(read_npz(path, reading), reading), part, path)
        characters = list(_characters(path, format, reading))
    y_down = reading.y_down == "yes" or (reading.y_down == "auto" and format in ("json", "jsonl", "inkml"))
    return of_part(_good(_series(characters, y_down, format, reading), reading), part, place.name)


def _in_memory(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.ndim not in (2, 3):
            raise DataError(
                f"the array has the shape {value.shape}; expected a stroke (n, 2 or 3) or characters (N, n, 2 or 3)"
            )
        return [[value]] if value.ndim == 2 else [[one] for one in value]
    if isinstance(value, Iterator):
        return list(value)
    return value


def ink_format(path: str) -> InkFormat:
    """The format of a file, by what is in it; that of a folder's first file with a known ending.

    Raises:
        DataError: it cannot be read, or is none of the formats.
    """
    if Path(path).is_dir():
        return ink_format(str(_files(path)[0]))
    if path == STDIN:
        return "jsonl"
    head, name = first_bytes(path, _GLANCE)
    if head.startswith(b"PK"):
        return "npz"
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return "inkml"
    if text.startswith(("[", "{")):
        lines = [line for line in text.split("\n")[:2] if line.strip()]
        return "jsonl" if path.endswith(("l", "ndjson")) or (len(lines) > 1 and _whole(lines[0])) else "json"
    if looks_like_unipen(text):
        return "unipen"
    raise DataError(f"{name}: neither UNIPEN, InkML, JSON nor NPZ; expected ink in one of these formats")


def _whole(line: str) -> bool:
    """Whether a line holds a whole JSON value, so that the next one is another."""
    return line.count("[") == line.count("]") and line.count("{") == line.count("}") and line.strip()[-1] in "]}"


def _files(path: str) -> list[Path]:
    found = sorted(one for one in Path(path).rglob("*") if one.suffix.lower() in _FOLDERS and one.is_file())
    if not found:
        raise DataError(f"{path}: no file ends in {', '.join(_FOLDERS)}; expected a folder of ink")
    return found


def _characters(path: str, format: InkFormat, reading: InkReading) -> Iterator[Character]:
    if Path(path).is_dir():
        for file in _files(path):
            # A folder of class folders says the label; one of them alone does not.
            folder = file.parent.name if file.parent != Path(path) else None
            one: InkFormat = _FOLDERS[file.suffix.lower()]  # type: ignore[assignment]
            for character in _characters(str(file), one, reading):
                yield character if character.label is not None or folder is None else _labelled(character, folder)
    elif format == "unipen":
        yield from read_unipen(path, reading.level, reading.encoding)
    elif format == "inkml":
        yield from read_inkml(path, reading.label, reading.group)
    elif format == "jsonl":
        yield from read_json_lines(path, reading.label, reading.group, reading.encoding)
    elif format == "json":
        yield from read_json(path, reading.label, reading.group)
    else:
        raise DataError(f"{path}: an archive inside a folder; name the archive itself")


def _labelled(character: Character, label: str) -> Character:
    from dataclasses import replace

    return replace(character, label=label)


def _series(characters: Sequence[Character], y_down: bool, format: str, reading: InkReading) -> LabelledData[Series]:
    widths = {stroke.shape[1] for one in characters for stroke in one.strokes if len(stroke)}
    timed = widths == {3} and reading.time == "auto"
    examples = [
        Series(
            values=_values(one, timed, y_down),
            target=one.label,
            group=one.group,
            where=one.where,
            record={**(one.record or {}), **({"quality": one.quality} if one.quality else {})} or None,
        )
        for one in characters
    ]
    parts: dict[str, list[int]] = {}
    for index, one in enumerate(characters):
        if one.part:
            parts.setdefault(part_named(one.part), []).append(index)
    channels = ["x", "y", "t", "pen_up"] if timed else ["x", "y", "pen_up"]
    return LabelledData(examples, {"format": format, "channels": channels, "y_down": y_down}, parts)


def _values(character: Character, timed: bool, y_down: bool) -> Flat:
    strokes = [stroke[:, : 3 if timed else 2] for stroke in character.strokes if len(stroke)]
    if not strokes:
        return np.zeros((0, 4 if timed else 3), np.float32)
    if timed:  # float32 has no room for the seconds since 1970
        strokes = [stroke - [0, 0, strokes[0][0, 2]] for stroke in strokes]
    if y_down:
        strokes = [stroke * ([1, -1, 1][: stroke.shape[1]]) for stroke in strokes]
    return joined(strokes)


def _good(data: LabelledData[Series], reading: InkReading) -> LabelledData[Series]:
    """Without the doubtful ones, where they are not wanted."""
    doubtful = {index for index, one in enumerate(data.examples) if (one.record or {}).get("quality") in DOUBTFUL}
    facts = {**data.facts, "doubtful": len(doubtful)}
    if reading.quality == "all" or not doubtful:
        return LabelledData(data.examples, facts, data.parts)
    kept = [index for index in range(len(data.examples)) if index not in doubtful]
    place = {index: position for position, index in enumerate(kept)}
    parts = {name: [place[index] for index in indices if index in place] for name, indices in data.parts.items()}
    return LabelledData([data.examples[index] for index in kept], facts, parts)
