"""``.ts`` files of the UEA and UCR archives, as aeon and sktime write them: a header of tags, then a line for each series.

A channel is a list of numbers with commas, channels are separated by colons, and the class or the target comes last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from seqloom.data.files import open_text
from seqloom.data.labelled import LabelledData, Series, Target
from seqloom.data.series.assembly import Found, assembled, numbers
from seqloom.data.series.reading import SeriesReading
from seqloom.errors import DataError, did_you_mean

__all__ = ["read_ts"]

_FLAGS = ("timestamps", "univariate", "missing", "equallength", "targetlabel", "classlabel")
_OTHERS = ("problemname", "dimension", "dimensions", "serieslength", "data", "frequency", "horizon")


@dataclass
class _Header:
    flags: dict[str, bool] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    dimensions: int = 0
    length: int = 0


def read_ts(path: str, reading: SeriesReading, encoding: str) -> LabelledData[Series]:
    """The series of a ``.ts`` file.

    Raises:
        DataError: a tag or a line is wrong; names the line.
    """
    header, found, inside = _Header(), [], False
    labelled = reading.label != "none"
    for number, line in open_text(path, encoding):
        text = line.strip()
        where = f"{path}:{number}"
        if not text or text.startswith(("#", "%")):
            continue
        if inside:
            found.append(_series(text, header, where, labelled))
        elif text.startswith("@"):
            inside = _tag(text, header, where)
        else:
            raise DataError(f"{where}: expected a tag such as @classLabel, or @data before the first series")
    if not inside:
        raise DataError(f"{path} has no @data; expected it before the first series")
    facts = {"declared_equal": header.flags.get("equallength", False)}
    return assembled(found, reading, path, "ts", facts=facts)


def _tag(text: str, header: _Header, where: str) -> bool:
    """Takes a tag in; whether it is the last one."""
    name, *values = text[1:].split() if text[1:2].strip() else [""]
    name = name.lower()
    if name in _FLAGS:
        flag = values[0].lower() if values else ""
        if flag not in ("true", "false"):
            raise DataError(f"{where}: @{name} is {flag!r}; expected true or false")
        header.flags[name] = flag == "true"
        if name == "classlabel":
            header.classes = tuple(values[1:])
        if name == "timestamps" and flag == "true":
            raise DataError(
                f"{where}: series with timestamps are not read from .ts files; write them as a CSV with the columns "
                "case, t and one for each channel"
            )
    elif name in ("dimension", "dimensions", "serieslength"):
        if len(values) != 1 or not values[0].isdecimal() or not 0 < len(values[0]) < 10:
            raise DataError(f"{where}: @{name} is {' '.join(values)!r}; expected one whole number")
        if name == "serieslength":
            header.length = int(values[0])
        else:
            header.dimensions = int(values[0])
    elif name not in _OTHERS:
        raise DataError(f"{where}: @{name} is not a known tag{did_you_mean(name, (*_FLAGS, *_OTHERS))}")
    return name == "data"


def _series(text: str, header: _Header, where: str, labelled: bool) -> Found:
    fields = text.split(":")
    target: Target = None
    if header.flags.get("classlabel") or header.flags.get("targetlabel"):
        if len(fields) < 2:
            raise DataError(f"{where}: one field; expected channels and, after the last colon, the answer")
        answer = fields.pop().strip()
        if header.flags.get("targetlabel"):
            target = numbers([answer], where, "target")
            if np.isnan(target).any():
                target = None
        elif labelled and answer != "?":
            if header.classes and answer not in header.classes:
                raise DataError(f"{where}: the class is {answer!r}{did_you_mean(answer, header.classes)}")
            target = answer
    if header.dimensions and len(fields) != header.dimensions:
        raise DataError(f"{where}: {len(fields)} channels; @dimensions says {header.dimensions}")
    if header.flags.get("univariate") and len(fields) != 1:
        raise DataError(f"{where}: {len(fields)} channels; @univariate says 1")
    channels = [
        numbers(one.split(",") if one.strip() else [], where, f"channel {index + 1}, value")
        for index, one in enumerate(fields)
    ]
    lengths = {len(channel) for channel in channels}
    if len(lengths) > 1:
        shown = ", ".join(str(len(channel)) for channel in channels[:10])
        raise DataError(f"{where}: the channels have {shown} values; expected as many in each")
    (length,) = lengths
    if header.flags.get("equallength") and header.length and length != header.length:
        raise DataError(f"{where}: {length} steps; @seriesLength says {header.length}")
    return Found(np.stack(channels, axis=1), target, where)
