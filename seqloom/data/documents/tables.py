"""Documents of tables: which column is the text and which the class, by name, by number, or strictly guessed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from seqloom.data.documents.config import DocumentReading
from seqloom.data.documents.records import LABEL_NAMES, NO_LABEL, TEXT_NAMES, TEXT_PAIRS, target_of
from seqloom.data.files import open_text
from seqloom.data.labelled import Document, LabelledData
from seqloom.errors import ConfigError, DataError, did_you_mean
from seqloom.outside import limit

__all__ = ["Columns", "GuessError", "find_columns", "first_rows", "read_table"]

GLANCE = 200
"""Rows that are looked at before a table is read."""

Row = tuple[int, list[str]]
"""The line where a row begins, and its fields."""

_CLASSES = 60
"""More different values than this in a column of a few hundred rows are no classes."""
_LONGEST_LABEL = 60
_TEXT_LENGTH = 12


class GuessError(DataError):
    """A table does not say which of its columns is what."""


class Columns(NamedTuple):
    """Where a table has what.

    Attributes:
        names: those of the header; none where the table has no header.
        guessed: whether nothing says so, neither a person nor a name in the header.
    """

    text: tuple[int, ...]
    label: int | None
    group: int | None
    names: tuple[str, ...] | None
    guessed: bool

    def __str__(self) -> str:
        def shown(index: int) -> str:
            return self.names[index] if self.names else str(index)

        label = f", label={shown(self.label)}" if self.label is not None else ", without labels"
        group = f", group={shown(self.group)}" if self.group is not None else ""
        return f"text={','.join(map(shown, self.text))}{label}{group}"


class TableRow(NamedTuple):
    """A row of a table as it was.

    Attributes:
        names: of the columns; empty where the table has no header.
        fields: in their order.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...]


def read_table(path: str, name: str, reading: DocumentReading, encoding: str, separator: str) -> LabelledData[Document]:
    """The documents of a table; ``facts`` has its ``columns`` and whether they are ``guessed``.

    Raises:
        DataError: the table is wrong; names the line.
        ConfigError: a column that is named is not there.
    """
    first, rows = _opened(path, name, encoding, separator)
    columns = find_columns(first, reading, name)
    width = len(first[0][1])
    documents = []
    for number, row in chain(first[1:] if columns.names else first, rows):
        where = f"{name}:{number}"
        if len(row) != width:
            raise DataError(
                f"{where}: {len(row)} fields, but the first row has {width}; a field that contains a separator or a line "
                "break needs quotation marks around it, and those within it doubled"
            )
        documents.append(
            Document(
                text="\n".join([row[index] for index in columns.text]),
                target=None if columns.label is None else target_of(row[columns.label], where, reading),
                group="" if columns.group is None else row[columns.group],
                where=where,
                record=TableRow(tuple(columns.names or ()), tuple(row)),
            )
        )
    facts = {"format": "csv" if separator != "\t" else "tsv", "columns": str(columns), "guessed": columns.guessed}
    return LabelledData(documents, facts)


def first_rows(path: str, name: str, encoding: str, separator: str) -> list[Row]:
    """Rows for a glance. Raises as `read_table`."""
    return _opened(path, name, encoding, separator)[0]


def _opened(path: str, name: str, encoding: str, separator: str) -> tuple[list[Row], Iterator[Row]]:
    lines = (line for _, line in open_text(path, encoding, expected="a table of texts"))
    start = list(islice(lines, GLANCE))
    if separator == "," and start and "," not in start[0]:
        separator = next((other for other in (";", "\t") if other in start[0]), separator)
    whole = chain(start, lines)
    if separator == "\t":
        rows = _plain_rows(whole, start) if _is_plain(start) else _quoted_rows(whole, name, separator)
    else:
        rows = _quoted_rows(whole, name, separator)
    first = list(islice(rows, GLANCE))
    if not first:
        raise DataError(f"{name} has no rows; expected a table of texts")
    return first, rows


def _is_plain(lines: Sequence[str]) -> bool:
    """Whether each line is a row: tables separated by tabs seldom quote, and their texts are full of quotation marks."""
    widths = {line.count("\t") for line in lines if line}
    return len(widths) <= 1 or not any('\t"' in line or line.startswith('"') for line in lines)


def _plain_rows(lines: Iterable[str], start: Sequence[str]) -> Iterator[Row]:
    cut = [line.split("\t") for line in start if line]
    quoted = [
        index
        for index in range(len(cut[0]) if cut else 0)
        if len({len(row) for row in cut}) == 1 and all(_is_quoted(row[index]) for row in cut)
    ]
    for number, line in enumerate(lines, start=1):
        if line:
            row = line.split("\t")
            for index in quoted:
                if index < len(row) and _is_quoted(row[index]):
                    row[index] = row[index][1:-1].replace('""', '"')
            yield number, row


def _is_quoted(field: str) -> bool:
    return len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")


def _quoted_rows(lines: Iterable[str], name: str, separator: str) -> Iterator[Row]:
    """Rows whose quoted fields may go over several lines."""
    csv.field_size_limit(max(csv.field_size_limit(), limit("LINE")))
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator)
    begun = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{name}:{begun}: no row of a table ({error}); is a quotation mark that begins a field there never closed?"
            ) from None
        if row:
            yield begun, row
        begun = reader.line_num + 1


# Which column is what -----------------------------------------------------------------------------------------------------


def find_columns(first: Sequence[Row], reading: DocumentReading, name: str) -> Columns:
    """Text, label and group of a table of which the first rows are given.

    Raises:
        GuessError: nothing says which column is what, and the rows leave it open.
        ConfigError: a column that is named is not there.
    """
    fields = [field.strip() for field in first[0][1]]
    low = [field.lower() for field in fields]
    header = tuple(fields) if _has_header(low, reading) else None

    def find(wanted: str) -> int:
        return _find(wanted.strip(), header, len(fields), name)

    text = tuple(find(one) for one in reading.text.split(",")) if reading.text else None
    label = find(reading.label) if reading.label not in ("", NO_LABEL) else None
    group = find(reading.group) if reading.group else None
    if header and text is None:
        text = next((tuple(low.index(one) for one in pair) for pair in TEXT_PAIRS if set(pair) <= set(low)), None)
        text = text or next(((low.index(one),) for one in TEXT_NAMES if one in low), None)
    if header and label is None and not reading.label:
        label = next((low.index(one) for one in LABEL_NAMES if one in low), None)
    open_label = label is None and not header and not reading.label and not reading.text
    guessed = text is None or open_label
    if guessed:
        rows = [row for _, row in (first[1:] if header else first)]
        text, label = _guessed(rows, len(fields), text, label, reading.label == NO_LABEL, name)
    assert text is not None
    return Columns(text, label, group, header, guessed)


def _has_header(low: Sequence[str], reading: DocumentReading) -> bool:
    if reading.header != "auto":
        return reading.header == "yes"
    wanted = [one.strip() for one in f"{reading.text},{reading.label},{reading.group}".split(",") if one.strip()]
    if any(not one.isdigit() and one != NO_LABEL for one in wanted):
        return True
    known = {*TEXT_NAMES, *LABEL_NAMES, "title"}
    return len(set(low)) == len(low) and bool(known & set(low)) and max(map(len, low)) <= _LONGEST_LABEL


def _find(wanted: str, header: Sequence[str] | None, width: int, name: str) -> int:
    if header is not None:
        if wanted in header:
            return header.index(wanted)
        low = [one.lower() for one in header]
        if wanted.lower() in low:
            return low.index(wanted.lower())
    if not wanted.isdecimal():
        known = list(header or map(str, range(width)))
        raise ConfigError(f"{name}: there is no column {wanted!r}{did_you_mean(wanted, known)}")
    if len(wanted) > 6 or int(wanted) >= width:
        raise ConfigError(f"{name}: there is no column {wanted}; it has {width}, counted from 0")
    return int(wanted)


def _guessed(
    rows: Sequence[Sequence[str]],
    width: int,
    text: tuple[int, ...] | None,
    label: int | None,
    unlabelled: bool,
    name: str,
) -> tuple[tuple[int, ...], int | None]:
    """Text and label of a table that does not say what is what: one column of few short values, the others longer texts."""
    rows = [row for row in rows if len(row) == width]
    if width == 1:
        return (0,), None
    few, wide = [], []
    for index in range(width) if rows else ():
        values = [row[index] for row in rows]
        if max(map(len, values)) <= _LONGEST_LABEL and len(set(values)) <= min(_CLASSES, max(2, len(rows) // 2)):
            # A file that is sorted by class begins with one; what is the same everywhere may as well mean nothing.
            if len(set(values)) > 1 or (width == 2 and " " not in values[0]):
                few.append(index)
        elif sum(map(len, values)) > _TEXT_LENGTH * len(rows):
            wide.append(index)
    few = [index for index in few if index not in (text or ())]
    if label is None and not unlabelled and len(few) == 1:
        label = few[0]
    chosen = text or tuple(index for index in wide if index != label)
    if not chosen or (label is None and not unlabelled):
        likely = f" (classes may be in {' or '.join(map(str, few))})" if len(few) > 1 else ""
        raise GuessError(
            f"{name}: which of its {width} columns is the text and which the class cannot be told{likely}; name them, by name "
            "or by number from 0, as text=3 and label=0"
        )
    return chosen, label
