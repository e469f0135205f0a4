"""Documents from the files that people have: tables, JSON lines, lines with labels, folders and files of a class."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqloom.data.documents.config import DocumentReading
from seqloom.data.files import open_text
from seqloom.data.labelled import Document, LabelledData, Target, part_named
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError, did_you_mean
from seqloom.outside import UnreadableError, parse_json

__all__ = ["class_files", "documents_of", "line_document", "read_documents", "recognised_format"]

TEXT_NAMES = (
    "text",
    "sentence",
    "review",
    "content",
    "body",
    "comment",
    "document",
    "tweet",
    "message",
    "phrase",
    "utterance",
)
TEXT_PAIRS = (("title", "description"), ("title", "content"), ("title", "body"), ("title", "text"))
LABEL_NAMES = (
    "label", "labels", "class", "class_index", "category", "sentiment", "target", "tag", "intent", "polarity", "topic",
)  # fmt: skip
_LABEL = re.compile(r"__label__(\S+)\s*")
_GLANCE = 200
_CLASSES = 60
"""More different values than this in a column of a few hundred rows are no classes."""
_LONGEST_LABEL = 60
_COMPRESSED = (".gz", ".xz", ".bz2")


class _Columns(NamedTuple):
    text: tuple[int, ...]
    label: int | None
    group: int | None
    names: tuple[str, ...] | None  # of the header, where there is one


def read_documents(source: Source, reading: DocumentReading, part: str = "") -> LabelledData[Document]:
    """The documents of a source; ``facts`` has ``format`` and, of tables, ``columns``.

    Args:
        part: of a folder that has ``train`` and ``test``, the only one that is wanted.
    Raises:
        DataError: the source is wrong; names file and line.
        ConfigError: a column that is named is not there.
    """
    if not source.is_named:
        return LabelledData(documents_of(source.place), {"format": "objects"})
    path = source.path()
    form = reading.format if reading.format != "auto" else recognised_format(path, source.encoding)
    if form == "folder":
        return _folder(Path(path), reading, source.encoding)
    if form in ("csv", "tsv"):
        return _table(path, reading, source.encoding, "," if form == "csv" else "\t")
    lines = open_text(path, source.encoding, expected="a document in each line")
    if form == "jsonl":
        documents = [_record(line, f"{source.name}:{number}", reading) for number, line in lines if line.strip()]
    elif form == "fasttext":
        documents = [_labelled_line(line, f"{source.name}:{number}") for number, line in lines if line.strip()]
    else:
        documents = [Document(text=line, where=f"{source.name}:{number}") for number, line in lines]
    return LabelledData(documents, {"format": form})


def recognised_format(path: str, encoding: str = "utf-8") -> str:
    """The format of a file or folder, by its name, else by its first lines."""
    if Path(path).is_dir() or (class_files(path) and not Path(path).exists()):
        return "folder"
    name = path.lower()
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    ending = name.rpartition(".")[2]
    if ending in ("csv", "tsv", "jsonl"):
        return ending
    if ending in ("ndjson", "jsonlines"):
        return "jsonl"
    first = _first_lines(path, encoding)
    filled = [line for line in first if line.strip()]
    if filled and all(line.lstrip().startswith("{") for line in filled):
        return "jsonl"
    if filled and all("__label__" in line for line in filled):
        return "fasttext"
    if filled and all(line.count("\t") == filled[0].count("\t") > 0 for line in filled):
        return "tsv"
    return "lines"


def documents_of(objects: Any) -> list[Document]:
    """Documents of Python objects: texts, (text, label) pairs, mappings with ``text`` and ``label``, pandas tables, documents.

    Raises:
        DataError: one of them is another thing; names which.
    """
    if hasattr(objects, "to_dict") and hasattr(objects, "columns"):
        objects = objects.to_dict("records")
    if isinstance(objects, str | bytes) or not isinstance(objects, Iterable):
        raise DataError(f"the inputs are a {type(objects).__name__}; expected a list, of which each is a text")
    return [_object(item, f"input[{position}]") for position, item in enumerate(objects)]


def line_document(line: str, where: str, reading: DocumentReading) -> Document:
    """The document of one line of standard input: of JSON lines an object, else a text."""
    if reading.format == "jsonl" or (reading.format == "auto" and line.lstrip().startswith("{")):
        return _record(line, where, reading)
    return Document(text=line, where=where)


def class_files(path: str) -> dict[str, Path]:
    """Class -> file, of a folder or a prefix with a file of texts for each class, such as ``rt-polarity.pos`` and ``.neg``.

    A prefix is a path to which every file's name adds something: ``cls-mr/rt-polarity``.
    """
    place = Path(path)
    folder, prefix = (place, "") if place.is_dir() else (place.parent, place.name + ".")
    if not folder.is_dir():
        return {}
    files = {}
    for file in sorted(folder.iterdir()):
        name = file.name
        for ending in _COMPRESSED:
            name = name.removesuffix(ending)
        if not file.is_file() or not name.startswith(prefix) or name.lower().startswith(("readme", ".")):
            continue
        rest = name.removeprefix(prefix)
        stem, dot, ending = rest.rpartition(".")
        label = rest if prefix else (stem if dot and ending in ("txt", "text") else ending)
        files[label] = file
    return files if len(files) > 1 else {}


# Tables --------------------------------------------------------------------------------------------------------------------


def _table(path: str, reading: DocumentReading, encoding: str, separator: str) -> LabelledData[Document]:
    name = Path(path) if path != "-" else "<stdin>"
    rows = _rows(path, encoding, separator)
    first = [row for _, row in zip(range(_GLANCE), rows, strict=False)]
    if not first:
        raise DataError(f"{name} has no rows; expected a table of texts")
    columns = _columns(first, reading, str(name))
    documents = []

    def take(number: int, row: Sequence[str]) -> None:
        where = f"{name}:{number}"
        width = len(first[0][1])
        if len(row) != width:
            raise DataError(
                f"{where}: {len(row)} fields, but the first row has {width}; a field with a separator or a line break needs "
                "quotation marks around it"
            )
        target = None if columns.label is None else _target(row[columns.label], reading)
        record = tuple(row) if columns.names is None else dict(zip(columns.names, row, strict=True))
        documents.append(
            Document(
                text="\n".join(row[index] for index in columns.text),
                target=target,
                group="" if columns.group is None else row[columns.group],
                where=where,
                record=record,
            )
        )

    for number, row in first[1:] if columns.names else first:
        take(number, row)
    for number, row in rows:
        take(number, row)
    return LabelledData(documents, {"format": "csv" if separator == "," else "tsv", "columns": _said(columns)})


def _rows(path: str, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line where each row begins, and its fields; a quoted field may go over several lines."""
    begun = 1
    lines = (line + "\n" for _, line in open_text(path, encoding, expected="a table"))
    csv.field_size_limit(2**24)
    # Tables that are separated by tabs hold plain text: in them a quotation mark is a character like others.
    plain = separator == "\t"
    reader = (
        csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
        if plain
        else csv.reader(lines, delimiter=separator)
    )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{begun}: not a row of a table ({error})") from None
        if row:
            yield begun, row
        begun = reader.line_num + 1


def _columns(first: Sequence[tuple[int, Sequence[str]]], reading: DocumentReading, name: str) -> _Columns:
    header = [field.strip() for field in first[0][1]]
    low = [field.lower() for field in header]
    named = [
        one
        for one in (reading.text + "," + reading.label + "," + reading.group).split(",")
        if one and not one.isdigit()
    ]
    has_header = bool(named) or (
        any(one in low for one in (*TEXT_NAMES, "title")) and not any(len(field) > _LONGEST_LABEL for field in header)
    )

    def find(wanted: str) -> int:
        return _find(wanted, header if has_header else None, len(header), name)

    text = tuple(find(one) for one in reading.text.split(",") if one) if reading.text else None
    label = find(reading.label) if reading.label else None
    group = find(reading.group) if reading.group else None
    if text is None and has_header:
        text = next((tuple(low.index(one) for one in pair) for pair in TEXT_PAIRS if set(pair) <= set(low)), None)
        text = text or next(((low.index(one),) for one in TEXT_NAMES if one in low), None)
    if label is None and has_header:
        label = next((low.index(one) for one in LABEL_NAMES if one in low), None)
    if text is None or (label is None and not has_header):
        text, label = _guessed(first, text, label, name)
    columns = _Columns(text, label, group, tuple(header) if has_header else None)
    if not reading.text or (columns.label is not None and not reading.label):
        print(f"{name}: read as {_said(columns)}", file=sys.stderr)
    return columns


def _find(wanted: str, header: Sequence[str] | None, width: int, name: str) -> int:
    if wanted.isdigit() and (header is None or wanted not in header):
        if int(wanted) >= width:
            raise ConfigError(f"{name}: there is no column {wanted}; it has {width}, counted from 0")
        return int(wanted)
    low = [one.lower() for one in header or ()]
    if wanted.lower() not in low:
        raise ConfigError(
            f"{name}: there is no column {wanted!r}{did_you_mean(wanted, header or ())}; it has {', '.join(header or ())}"
        )
    return low.index(wanted.lower())


def _guessed(
    first: Sequence[tuple[int, Sequence[str]]], text: tuple[int, ...] | None, label: int | None, name: str
) -> tuple[tuple[int, ...], int | None]:
    """Text and label of a table that does not say what is what: one column of few short values, the others longer texts."""
    width = len(first[0][1])
    if width == 1:
        return (0,), None
    rows = [row for _, row in first if len(row) == width]
    few = [
        index
        for index in range(width)
        if index not in (text or ())
        and len({row[index] for row in rows}) <= min(_CLASSES, max(2, len(rows) // 2))
        and max(len(row[index]) for row in rows) <= _LONGEST_LABEL
    ]
    wide = [
        index for index in range(width) if sum(len(row[index]) for row in rows) > 12 * len(rows) and index not in few
    ]
    chosen = text or tuple(wide)
    if label is None and len(few) == 1:
        label = few[0]
    if not chosen or label is None:
        raise DataError(
            f"{name}: which of its {width} columns is the text and which the class cannot be told; name them with "
            "--data.text and --data.label, by name or by number from 0"
        )
    return chosen, label


def _said(columns: _Columns) -> str:
    def shown(index: int) -> str:
        return columns.names[index] if columns.names else str(index)

    label = f", label={shown(columns.label)}" if columns.label is not None else ""
    return f"text={','.join(map(shown, columns.text))}{label}"


def _target(value: str, reading: DocumentReading) -> Target:
    if reading.several:
        return tuple(one.strip() for one in value.split(reading.several) if one.strip())
    return value.strip() or None


# Other formats -------------------------------------------------------------------------------------------------------------


def _record(line: str, where: str, reading: DocumentReading) -> Document:
    try:
        record = parse_json(line)
    except UnreadableError as error:
        raise DataError(f"{where}: not JSON ({error}); expected an object with 'text' and 'label'") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: {str(record)[:60]!r} is no JSON object; expected one with 'text' and 'label'")
    return _mapped(record, where, reading)


def _mapped(record: Mapping[str, Any], where: str, reading: DocumentReading) -> Document:
    keys = reading.text.split(",") if reading.text else [next((one for one in TEXT_NAMES if one in record), "text")]
    texts = [record.get(key) for key in keys]
    if not all(isinstance(text, str) for text in texts):
        missing = next(key for key, text in zip(keys, texts, strict=True) if not isinstance(text, str))
        raise DataError(f"{where}: {missing!r} is no text; the object has {', '.join(map(repr, record)) or 'no keys'}")
    key = reading.label or next((one for one in LABEL_NAMES if one in record), "")
    group = record.get(reading.group) if reading.group else ""
    return Document(
        text="\n".join(map(str, texts)),
        target=_label(record.get(key), where, reading) if key else None,
        group="" if group is None else str(group),
        where=where,
        record=dict(record),
    )


def _label(value: Any, where: str, reading: DocumentReading) -> Target:
    if value is None:
        return None
    if isinstance(value, str):
        return _target(value, reading)
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list | tuple) and all(isinstance(one, str | int) for one in value):
        return tuple(map(str, value))
    raise DataError(f"{where}: the label is a {type(value).__name__}; expected a text, a number, or a list of texts")


def _labelled_line(line: str, where: str) -> Document:
    labels, place = [], 0
    while (found := _LABEL.match(line, place)) is not None:
        labels.append(found.group(1))
        place = found.end()
    target: Target = tuple(labels) if len(labels) > 1 else labels[0] if labels else None
    return Document(text=line[place:], target=target, where=where)


def _object(item: Any, where: str) -> Document:
    reading = DocumentReading()
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return Document(text=item, where=where)
    if isinstance(item, Mapping):
        return _mapped(item, where, reading)
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
        return Document(text=item[0], target=_label(item[1], where, reading), where=where)
    raise DataError(
        f"{where} is a {type(item).__name__}; expected a text, a (text, label) pair or a mapping with 'text'"
    )


def _folder(place: Path, reading: DocumentReading, encoding: str) -> LabelledData[Document]:
    """A folder for each class, or a file for each class; of these perhaps one set for each part."""
    if not place.is_dir() or not any(child.is_dir() for child in place.iterdir()):
        files = class_files(str(place))
        if not files:
            raise DataError(f"{place}: no folder for each class and no file for each class are there")
        print(f"{place}: the classes are {', '.join(files)}, a file each with a text in each line", file=sys.stderr)
        documents = [
            Document(text=line, target=label, where=f"{file}:{number}")
            for label, file in files.items()
            for number, line in open_text(file, encoding)
            if line.strip()
        ]
        return LabelledData(documents, {"format": "folder"})
    children = sorted(child for child in place.iterdir() if child.is_dir())
    parts = {child: part_named(child.name) for child in children}
    named = {child: part for child, part in parts.items() if part and any(one.is_dir() for one in child.iterdir())}
    if named:
        examples: list[Document] = []
        found: dict[str, list[int]] = {}
        for child, part in named.items():
            texts = _classes(child, encoding)
            found.setdefault(part, []).extend(range(len(examples), len(examples) + len(texts)))
            examples += texts
        return LabelledData(examples, {"format": "folder"}, found)
    return LabelledData(_classes(place, encoding), {"format": "folder"})


def _classes(place: Path, encoding: str) -> list[Document]:
    documents = []
    for folder in sorted(child for child in place.iterdir() if child.is_dir()):
        for file in sorted(child for child in folder.iterdir() if child.is_file() and not child.name.startswith(".")):
            text = "\n".join(line for _, line in open_text(file, encoding, expected=None))
            documents.append(Document(text=text, target=folder.name, where=str(file)))
    if not documents:
        raise DataError(
            f"{place}: its folders hold no files; expected a folder for each class, with a text in each file"
        )
    return documents


def _first_lines(path: str, encoding: str) -> list[str]:
    lines = open_text(path, encoding, expected="documents")
    return [line for _, (_, line) in zip(range(_GLANCE), lines, strict=False)]
