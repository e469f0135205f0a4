"""Tables with a row for each step: CSV files, and data frames of pandas.

A table in long form says in a column to which series a row belongs; without such a column it is one series.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import open_text
from seqloom.data.labelled import LabelledData, Series, Target, part_named
from seqloom.data.series.assembly import Found, assembled, numbers
from seqloom.data.series.reading import SeriesReading
from seqloom.data.series.stamps import rate_of, stamps, unit_of
from seqloom.errors import DataError, did_you_mean

__all__ = ["CASES", "Table", "frame", "glance", "read_table", "series_of", "table_of"]

CASES = ("case", "case_id", "series", "series_id", "sequence", "sequence_id", "id")
TIMES: tuple[str, ...] = (
    "t",
    "time",
    "timestamp",
    "timestamps",
    "step",
    "time_s",
    "time_ms",
    "timestamp_s",
    "timestamp_ms",
)
TIMES += ("time_us", "time_ns", "timestamp_us", "timestamp_ns", "t_s", "t_ms", "t_us", "t_ns", "datetime", "date")
CLASSES = ("label", "labels", "class", "y", "action", "activity")
MAKERS = ("group", "groups", "subject", "user", "writer", "speaker")
PART = "split"
"""What columns are called, in lower case, where a person does not say."""

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Attributes:
        columns: by name, texts or numbers.
        place: of a row.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    rows: int
    place: Callable[[int], str]


@dataclass(frozen=True)
class Roles:
    """Which column of a table says what; empty where none does."""

    case: str
    time: str
    label: str
    group: str
    part: str
    targets: tuple[str, ...]
    channels: tuple[str, ...]


def read_table(path: str, reading: SeriesReading, encoding: str) -> LabelledData[Series]:
    """The series of a CSV file with a header.

    Raises:
        DataError: the table is wrong; names the line.
    """
    return series_of(table_of(path, encoding, header=True), reading)


def frame(data: Any, reading: SeriesReading) -> LabelledData[Series]:
    """The series of a pandas data frame in long form."""
    columns = {str(name): data[name].tolist() for name in data.columns}
    if len(columns) < len(data.columns):
        raise DataError("the data frame has two columns of one name; rename one")
    return series_of(Table("<frame>", columns, len(data), lambda row: f"<frame>[{row}]"), reading)


def glance(path: str, rows: int, header: bool | None) -> Table:
    """The first rows of a CSV file, see `table_of`."""
    return table_of(path, "utf-8", header, rows)


def table_of(path: str, encoding: str, header: bool | None, most: int | None = None) -> Table:
    """A CSV file as a table. Commas, semicolons and tabs are told apart by the first line.

    Args:
        header: whether the first line has the names of the columns; ``None`` where it is known by not being numbers.
        most: how many rows to read; all where there is no number.
    Raises:
        DataError: a row has another number of fields than the first, or two columns have one name; names the line.
    """
    rows: list[list[str]] = []
    places: list[int] = []
    delimiter = ","
    try:
        for number, line in open_text(path, encoding):
            if most is not None and len(rows) > most:
                break
            if not line.strip() or (not rows and line.startswith("#")):
                continue
            if not rows:
                delimiter = max(_DELIMITERS, key=line.count)
            # A field with a line break inside has no place in numbers, so a line is a row.
            fields = next(csv.reader([line], delimiter=delimiter, strict=True))
            if rows and len(fields) != len(rows[0]):
                raise DataError(f"{path}:{number}: {len(fields)} fields; expected {len(rows[0])}, as in the first row")
            rows.append([field.strip() for field in fields])
            places.append(number)
    except csv.Error as problem:
        raise DataError(f"{path}:{number}: no row of a CSV file ({problem})") from None
    if not rows:
        raise DataError(f"{path} is empty; expected rows of numbers")
    names = [str(index) for index in range(len(rows[0]))]
    if header or (header is None and any(not _numeric(field) for field in rows[0])):
        names = rows.pop(0)
        first = places.pop(0)
        if all(_numeric(name) for name in names):
            raise DataError(f"{path}:{first}: expected a header with the names of the columns; found numbers")
        for index, name in enumerate(names):
            if not name or name in names[:index]:
                found = f"the name {name!r} twice" if name else f"no name of column {index + 1}"
                raise DataError(f"{path}:{first}: the header has {found}; expected one name for each column")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    return Table(path, columns, len(rows), lambda row: f"{path}:{places[row]}")


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "?"
    return True


def roles_of(table: Table, reading: SeriesReading, cases: bool = True) -> Roles:
    """Which column says what.

    Raises:
        DataError: a column that a person named is not there, several go by a usual name, or no channel is left.
    """
    case = _column(table, reading.case, CASES, "case") if cases else ""
    time = _column(table, reading.time, TIMES, "time")
    for target in reading.targets:
        if target not in table.columns:
            raise DataError(f"{table.name} has no column {target!r}{did_you_mean(target, table.columns)}")
    label = "" if reading.targets and not reading.label else _column(table, reading.label, CLASSES, "label")
    group = _column(table, reading.group, MAKERS, "group")
    part = next((name for name in table.columns if name.lower() == PART), "")
    taken = {case, time, label, group, part, *reading.targets}
    # A column of a usual name that is not to be what it is called is no channel either, unless a person says so.
    asked = ((reading.case, CASES), (reading.time, TIMES), (reading.label, CLASSES), (reading.group, MAKERS))
    hidden = {name for chosen, names in asked if chosen == "none" for name in names}
    hidden |= set(CLASSES) if reading.targets and not reading.label else set()
    channels = tuple(
        name for name in table.columns if name not in taken and (name.lower() not in hidden or name in reading.channels)
    )
    wanted = tuple(name for name in channels if name in reading.channels)
    if not channels:
        raise DataError(f"{table.name} has no column left for the values; it has {', '.join(table.columns)}")
    return Roles(case, time, label, group, part, reading.targets, wanted or channels)


def _column(table: Table, chosen: str, usual: Sequence[str], what: str) -> str:
    if chosen == "none":
        return ""
    if chosen:
        if chosen not in table.columns:
            raise DataError(f"{table.name} has no column {chosen!r}{did_you_mean(chosen, table.columns)}")
        return chosen
    found = [name for name in table.columns if name.lower() in usual]
    if len(found) > 1:
        raise DataError(
            f"{table.name} has the columns {' and '.join(map(repr, found))}; name the one that is the {what}, "
            f"such as --data.{what} {found[0]}"
        )
    return found[0] if found else ""


def series_of(table: Table, reading: SeriesReading) -> LabelledData[Series]:
    """The series of a table.

    Raises:
        DataError: a value is no number, a class or group changes inside a series, a time does not advance; names the row.
    """
    roles = roles_of(table, reading)
    if not table.rows:
        raise DataError(f"{table.name} has a header and no rows")
    found, unit = found_in(table, roles, reading)
    facts = {"time_unit": unit} if roles.time else {}
    return assembled(found, reading, table.name, "csv", roles.channels, facts=facts)


def found_in(table: Table, roles: Roles, reading: SeriesReading) -> tuple[list[Found], str]:
    """The series of a table, and the unit of its times; empty where they are no times."""
    values = np.stack([_channel(table, name) for name in roles.channels], axis=1)
    if not roles.case:
        cases = [np.arange(table.rows)]
    else:
        order: dict[Any, list[int]] = {}
        for row, case in enumerate(table.columns[roles.case]):
            order.setdefault(case, []).append(row)
        cases = [np.array(rows) for rows in order.values()]
    targets = np.stack([_channel(table, name) for name in roles.targets], axis=1) if roles.targets else None
    if targets is not None and np.isnan(targets).any():
        row = int(np.flatnonzero(np.isnan(targets).any(axis=1))[0])
        raise DataError(f"{table.place(row)}: a target is missing; expected a number in {', '.join(roles.targets)}")
    stepwise = targets is not None and _stepwise(targets, cases, roles, reading)
    times, unit = _times(table, roles, cases, reading)
    found = []
    for rows in cases:
        first = table.place(int(rows[0]))
        target: Target = _one_text(table, roles.label, rows) or None if roles.label else None
        if targets is not None:
            target = targets[rows] if stepwise else targets[rows[0]]
            if not stepwise and (targets[rows] != targets[rows[0]]).any():
                raise DataError(f"{first}: the target changes inside this series, and target_per is series")
        group, part = _one_text(table, roles.group, rows), _one_text(table, roles.part, rows)
        if part and not part_named(part):
            raise DataError(f"{first}: the column {roles.part!r} says {part[:40]!r}; expected train, dev or test")
        rate, jitter = (None, 0.0) if times is None else rate_of(times[rows], unit)
        found.append(Found(values[rows], target, first, group, part_named(part) if part else "", rate, jitter))
    return found, unit


def _stepwise(targets: NDArray[Any], cases: list[NDArray[Any]], roles: Roles, reading: SeriesReading) -> bool:
    if reading.target_per != "auto":
        return reading.target_per == "step"
    return not roles.case or any((targets[rows] != targets[rows[0]]).any() for rows in cases)


def _channel(table: Table, name: str) -> NDArray[np.float32]:
    try:
        return numbers(table.columns[name], "")
    except DataError:
        pass
    for row, value in enumerate(table.columns[name]):
        try:
            numbers([value], "")
        except DataError:
            raise DataError(
                f"{table.place(row)}: {name} is {str(value)[:40]!r}; expected a number, or ? where it is missing; name "
                "the channels to leave this column out"
            ) from None
    raise AssertionError("one of the values is no number")


def _one_text(table: Table, column: str, rows: NDArray[Any]) -> str:
    if not column:
        return ""
    values = table.columns[column]
    first = values[int(rows[0])]
    for row in rows.tolist():
        if values[row] != first:
            raise DataError(
                f"{table.place(row)}: {column} is {str(values[row])[:40]!r}, and {str(first)[:40]!r} where this series "
                f"begins; expected one {column} for a series"
            )
    if isinstance(first, float) and first.is_integer():
        first = int(first)
    return str(first)


def _times(
    table: Table, roles: Roles, cases: list[NDArray[Any]], reading: SeriesReading
) -> tuple[NDArray[np.float64] | None, str]:
    if not roles.time:
        return None, ""
    texts = table.columns[roles.time]
    try:
        times, dates = stamps(texts, _Places(table))
    except DataError as problem:
        if reading.time:
            raise
        raise DataError(f"{problem}; if {roles.time!r} is no time, say time none") from None
    gaps = []
    for rows in cases:
        steps = np.diff(times[rows])
        if (steps <= 0).any():
            row = int(rows[int(np.flatnonzero(steps <= 0)[0]) + 1])
            raise DataError(
                f"{table.place(row)}: the time {texts[row]} does not come after {texts[int(rows[list(rows).index(row) - 1])]}; "
                "expected the steps of a series in order"
            )
        gaps.append(steps)
    intervals = np.concatenate(gaps)
    if dates:
        return times, "s"
    if reading.time_unit != "auto":
        return times, reading.time_unit
    whole = bool((times == np.rint(times)).all())
    return times, unit_of(roles.time, float(np.median(intervals)), whole) if len(intervals) else ""


class _Places(Sequence[str]):
    def __init__(self, table: Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.rows

    def __getitem__(self, row: Any) -> Any:
        return self._table.place(row)
