"""``.arff`` files of the UEA and UCR archives: a nominal class after numbers, or after a relational attribute of channels.

In a relational one the channels of a series stand in quotation marks, separated by the two characters ``\\n``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from seqloom.data.files import open_text
from seqloom.data.labelled import LabelledData, Series
from seqloom.data.series.assembly import Found, assembled, numbers
from seqloom.data.series.reading import SeriesReading
from seqloom.errors import DataError, did_you_mean

__all__ = ["read_arff"]

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.+)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")


@dataclass
class _Header:
    columns: int = 0
    relational: str = ""
    classes: list[str] | None = None
    real: bool = False
    inner: list[str] = field(default_factory=list)


def read_arff(path: str, reading: SeriesReading, encoding: str) -> LabelledData[Series]:
    """The series of an ``.arff`` file.

    Raises:
        DataError: an attribute or a line is wrong; names the line.
    """
    header, found, state = _Header(), [], "head"
    for number, line in open_text(path, encoding):
        text, where = line.strip(), f"{path}:{number}"
        if not text or text.startswith("%"):
            continue
        if state == "data":
            found.append(_series(text, header, where, reading.label != "none"))
        else:
            state = _declared(text, state, header, where)
    if state != "data":
        raise DataError(f"{path} has no @data; expected it before the first series")
    # These files have no way to write series of unequal length.
    return assembled(found, reading, path, "arff", facts={"declared_equal": True})


def _declared(text: str, state: str, header: _Header, where: str) -> str:
    word = text.split()[0].lower()
    if word == "@relation":
        return state
    if word == "@end" and state == "inner":
        return "head"
    if word == "@data" and state == "head":
        if not header.columns and not header.relational:
            raise DataError(f"{where}: no numeric or relational attribute stands before @data")
        return "data"
    match = _ATTRIBUTE.fullmatch(text)
    if match is None:
        raise DataError(f"{where}: expected @relation, @attribute, @end or @data; the line is {text[:40]!r}")
    name, kind = match[1].strip("'\""), match[2].strip()
    if state == "inner":
        if kind.lower() not in _NUMERIC:
            raise DataError(f"{where}: inside a relation an attribute is {kind[:40]!r}; expected numeric")
        header.inner.append(name)
        return state
    if header.classes is not None:
        raise DataError(f"{where}: the attribute {name!r} stands after the class; expected the class last")
    if kind.lower() == "relational":
        if header.relational or header.columns:
            raise DataError(f"{where}: a relational attribute beside others; expected it alone, before the class")
        header.relational = name
        return "inner"
    if kind.lower() in _NUMERIC:
        header.real = bool(header.relational)
        header.columns += not header.relational
        return state
    if kind.startswith("{") and kind.endswith("}"):
        header.classes = [one.strip().strip("'\"") for one in kind[1:-1].split(",")]
        return state
    raise DataError(f"{where}: {name!r} is {kind[:40]!r}; expected numeric, relational or classes in braces")


def _series(text: str, header: _Header, where: str, labelled: bool) -> Found:
    if header.relational:
        if text[0] not in "'\"" or (end := text.find(text[0], 1)) < 0:
            raise DataError(f"{where}: expected the channels in quotation marks, then the class")
        rows = [one for one in text[1:end].split("\\n") if one.strip()]
        answer = text[end + 1 :].strip().removeprefix(",").strip()
        channels = [numbers(one.split(","), where, f"channel {index + 1}, value") for index, one in enumerate(rows)]
        if not channels or len({len(channel) for channel in channels}) > 1:
            shown = ", ".join(str(len(channel)) for channel in channels[:10]) or "no"
            raise DataError(f"{where}: the channels have {shown} values; expected as many in each")
        values = np.stack(channels, axis=1)
        if header.inner and len(values) != len(header.inner):
            raise DataError(f"{where}: {len(values)} steps; the relation declares {len(header.inner)}")
    else:
        fields = text.split(",")
        answer = fields.pop().strip() if header.classes is not None else ""
        if len(fields) != header.columns:
            raise DataError(f"{where}: {len(fields)} numbers; expected {header.columns}, as many as attributes")
        values = numbers(fields, where)[:, None]
    answer = answer.strip("'\"")
    if header.relational and header.real:
        target = numbers([answer], where, "target")
        return Found(values, None if np.isnan(target).any() else target, where)
    if header.classes is None or not labelled or answer == "?":
        return Found(values, None, where)
    if answer not in header.classes:
        raise DataError(f"{where}: the class is {answer[:40]!r}{did_you_mean(answer, header.classes)}")
    return Found(values, answer, where)
