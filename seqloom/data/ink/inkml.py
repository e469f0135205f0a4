"""InkML (W3C recommendation of 2011): traces whose values are absolute or differences, and groups of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqloom.data.ink.character import Character, as_stroke, check_shared
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, first_line, read_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["LABELS", "WRITERS", "read_inkml"]

LABELS = ("truth", "label", "class")
WRITERS = ("writer", "writerid", "user")

_VALUE = re.compile(r"([!'\"]?)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[TF*?]|#[0-9A-Fa-f]+)\s*")
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_GROUPS = ("traceGroup", "traceView")


def read_inkml(path: str, label: str = "auto", group: str = "auto") -> Iterator[Character]:
    """The trace groups that have an annotation of their truth; without one, the whole ink as one character.

    Raises:
        DataError: it is no InkML, has a document type declaration, or a trace is not as its format says.
    """
    root = _parsed(path)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    if root.tag != "ink":
        raise DataError(f"{path}: the outermost element is <{root.tag[:40]}>; expected <ink>")
    labels, writers = (LABELS if label == "auto" else (label,)), (WRITERS if group == "auto" else (group,))
    writer = _annotation(root, writers) or ""
    traces = _Traces(root, path)
    groups = [one for one in root.iter() if one.tag in _GROUPS and _annotation(one, labels) is not None]
    groups = [
        one for one in groups if any(child.tag in ("trace", "traceView") for child in one) or one.get("traceDataRef")
    ]
    for position, one in enumerate(groups or [root]):
        where = f"{path}[{position}]" if groups else path
        yield Character(traces.of(one), _annotation(one, labels), _annotation(one, writers) or writer, where)


def _parsed(path: str) -> Element:
    from xml.etree.ElementTree import ParseError, XMLParser

    try:
        text = read_text(Path(path), "JSON")
    except UnreadableError as error:
        raise DataError(f"{path}{f':{error.line}' if error.line else ''}: {error.reason}; expected InkML") from None
    # Without a declaration there are no entities, and nothing that expands.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        line = text.count("\n", 0, max(text.find("<!DOCTYPE"), text.find("<!ENTITY"))) + 1
        raise DataError(f"{path}:{line}: a document type declaration; expected InkML without one, so take it out")
    parser = XMLParser()
    try:
        parser.feed(text)
        return parser.close()
    except ParseError as error:
        raise DataError(f"{path}:{error.position[0]}: {first_line(error)}; expected InkML") from None


def _annotation(element: Element, types: Sequence[str]) -> str | None:
    for child in element:
        if child.tag == "annotation" and child.get("type", "").lower() in [one.lower() for one in types]:
            text = (child.text or "").strip()
            if text:
                return text
    return None


class _Traces:
    """The traces of a document, by their names and inside groups."""

    def __init__(self, root: Element, path: str) -> None:
        self._path = path
        self._named = {name: one for one in root.iter() if (name := _name(one))}
        self._format = next(root.iter("traceFormat"), None)
        self._there = sum((one.text or "").count(",") + 1 for one in root.iter("trace"))
        self._taken = 0
        self._number = {id(one): index for index, one in enumerate(root.iter("trace"))}

    def of(self, group: Element) -> list[NDArray[np.float64]]:
        strokes: list[NDArray[np.float64]] = []
        seen: set[int] = set()
        for trace in self._within(group, 0, set(), set()):
            if id(trace) in seen or trace.get("type") == "penUp":
                continue
            seen.add(id(trace))
            stroke = self._stroke(trace)
            self._taken += len(stroke)
            check_shared(self._taken, self._there, self._path)
            if trace.get("continuation") in ("middle", "end") and strokes and len(stroke):
                strokes[-1] = np.concatenate([strokes[-1], stroke])
            elif len(stroke):
                strokes.append(stroke)
        return strokes

    def _within(self, element: Element, depth: int, above: set[int], visited: set[int]) -> Iterator[Element]:
        if depth > 50:
            raise DataError(f"{self._path}: groups of traces more than 50 deep; expected fewer")
        if id(element) in visited:  # groups that name each other twice would be visited again and again
            return
        visited.add(id(element))
        above = above | {id(element)}
        reference = element.get("traceDataRef", "").lstrip("#")
        if element.tag == "traceView" and reference:
            target = self._named.get(reference)
            if target is None or id(target) in above:
                raise DataError(
                    f"{self._path}: a traceView of {reference[:60]!r}, which is no trace or group of the file"
                )
            if target.tag == "trace":
                yield target
            else:
                yield from self._within(target, depth + 1, above, visited)
            return
        for child in element:
            if child.tag == "trace":
                yield child
            elif child.tag in _GROUPS:
                yield from self._within(child, depth + 1, above, visited)

    def _channels(self, trace: Element) -> list[str]:
        context = self._named.get(trace.get("contextRef", "").lstrip("#"))
        found = next(context.iter("traceFormat"), None) if context is not None else None
        if found is None and context is not None:
            found = self._named.get(context.get("traceFormatRef", "").lstrip("#"))
        found = self._format if found is None else found
        channels = [one.get("name", "") for one in found.iter("channel")] if found is not None else []
        return channels or ["X", "Y"]

    def _stroke(self, trace: Element) -> NDArray[np.float64]:
        where = f"{self._path}, trace {_name(trace) or self._number[id(trace)]}"
        channels = self._channels(trace)
        if "X" not in channels or "Y" not in channels:
            raise DataError(f"{where}: its channels are {' '.join(channels)[:100]}; expected X and Y among them")
        chosen = [channels.index(name) for name in ("X", "Y", "T") if name in channels]
        text = (trace.text or "").strip()
        if not text:
            return np.zeros((0, len(chosen)))
        rows = _decoded(text, len(channels), max(chosen) + 1, where)
        return as_stroke([[row[column] for column in chosen] for row in rows], where)


def _name(element: Element) -> str:
    return element.get(_ID) or element.get("id") or ""


def _decoded(text: str, width: int, needed: int, where: str) -> list[list[float]]:
    """The values of each point. A prefix holds for its channel until another: ! absolute, ' differences, \" of differences."""
    order = [""] * width
    value, speed = [0.0] * width, [0.0] * width
    rows = []
    for index, point in enumerate(text.strip().rstrip(",").split(",")):
        place, column = 0, 0
        point = point.strip()
        while place < len(point):
            match = _VALUE.match(point, place)
            if match is None or column >= width:
                raise DataError(
                    f"{where}, point {index}: {point[:60]!r}; expected {width} numbers, plain or after ! ' \""
                )
            place = match.end()
            order[column] = match[1] or order[column]
            _take(match[2], column, order[column], value, speed)
            column += 1
        if column < needed:
            raise DataError(f"{where}, point {index}: {column} values; expected {width}")
        rows.append(value.copy())
    return rows


def _take(text: str, column: int, order: str, value: list[float], speed: list[float]) -> None:
    if text in "T?F*":
        value[column] = {"T": 1.0, "F": 0.0}.get(text, value[column])
        return
    number = float(int(text[1:], 16)) if text[0] == "#" else float(text)
    if order == '"':
        speed[column] += number
        value[column] += speed[column]
    elif order == "'":
        speed[column] = number
        value[column] += number
    else:
        speed[column] = number - value[column]
        value[column] = number
