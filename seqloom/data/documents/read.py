"""Documents from the files that people have: tables, JSON lines, lines with labels, folders and files of a class."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from seqloom.data.documents.config import DocumentReading
from seqloom.data.documents.folders import class_files, part_files, read_class_files, read_folder, unpacked_name
from seqloom.data.documents.records import documents_of, labelled_line, record_document
from seqloom.data.documents.tables import read_table
from seqloom.data.files import STDIN, open_text
from seqloom.data.labelled import Document, LabelledData
from seqloom.data.labelled_findings import class_counts
from seqloom.data.source import Source

__all__ = [
    "class_files",
    "documents_of",
    "line_document",
    "load_documents",
    "read_documents",
    "recognised_format",
]

_GLANCE = 200


def read_documents(source: Source, reading: DocumentReading, part: str = "") -> LabelledData[Document]:
    """The documents of a source. What had to be guessed is said on the standard error stream.

    ``facts`` has ``format``, ``documents`` (how many), ``labels`` (class -> how many), and of tables ``columns``.

    Args:
        part: of a folder that has ``train`` and ``test``, the only one that is wanted.
    Raises:
        DataError: the source is wrong; names file and line.
        ConfigError: a column that is named is not there.
    """
    data = load_documents(source, reading, part)
    if data.facts.get("guessed"):
        print(f"{source.name}: read as {data.facts['columns']}", file=sys.stderr)
    if "classes" in data.facts:
        print(f"{source.name}: the classes are {data.facts['classes']}", file=sys.stderr)
    return data


def load_documents(source: Source, reading: DocumentReading, part: str = "") -> LabelledData[Document]:
    """As `read_documents`, and says nothing."""
    if source.is_named:
        encoding = source.encoding if source.encoding != "utf-8" else reading.encoding
        data = _read(source.path(), source.name, reading, encoding, part)
    else:
        data = LabelledData(documents_of(source.place, reading), {"format": "objects"})
    counted = {"documents": len(data.examples), "labels": class_counts(data.examples)}
    return LabelledData(data.examples, {**data.facts, **counted}, data.parts)


def _read(path: str, name: str, reading: DocumentReading, encoding: str, part: str) -> LabelledData[Document]:
    form = reading.format if reading.format != "auto" else recognised_format(path, encoding)
    if form == "folder":
        return _folder(Path(path), reading, encoding, part)
    if form in ("csv", "tsv"):
        return read_table(path, name, reading, encoding, "," if form == "csv" else "\t")
    lines = open_text(path, encoding, expected="a document in each line")
    if form == "jsonl":
        documents = [record_document(line, f"{name}:{number}", reading) for number, line in lines if line.strip()]
    elif form == "fasttext":
        documents = [labelled_line(line, f"{name}:{number}") for number, line in lines if line.strip()]
    else:
        documents = [Document(text=line, where=f"{name}:{number}") for number, line in lines]
    return LabelledData(documents, {"format": form})


def _folder(place: Path, reading: DocumentReading, encoding: str, part: str) -> LabelledData[Document]:
    files = class_files(place)
    if files:
        return read_class_files(files, encoding, part)
    named = part_files(place)
    if not named:
        return read_folder(place, encoding, part)
    examples: list[Document] = []
    parts: dict[str, Sequence[int]] = {}
    facts: Mapping[str, Any] = {}
    of_file = DocumentReading(**{**vars(reading), "format": "auto"})
    for name, file in named.items():
        if part in ("", name):
            read = _read(str(file), str(file), of_file, encoding, "")
            parts[name] = range(len(examples), len(examples) + len(read.examples))
            examples += read.examples
            facts = facts or read.facts
    return LabelledData(examples, facts, parts)


def recognised_format(path: str, encoding: str = "utf-8") -> str:
    """The format of a file or folder, by its name, else by its first lines.

    Raises:
        DataError: there is no such file.
    """
    if path != STDIN and (Path(path).is_dir() or (not Path(path).exists() and class_files(path))):
        return "folder"
    ending = unpacked_name(path.lower()).rpartition(".")[2]
    if ending in ("csv", "tsv"):
        return ending
    if ending in ("jsonl", "ndjson", "jsonlines"):
        return "jsonl"
    lines = open_text(path, encoding, expected="documents")
    filled = [line for _, line in islice(lines, _GLANCE) if line.strip()] if path != STDIN else []
    if filled and all(line.lstrip().startswith("{") for line in filled):
        return "jsonl"
    if filled and all(line.lstrip().startswith("__label__") for line in filled):
        return "fasttext"
    if filled and all(line.count("\t") == filled[0].count("\t") > 0 for line in filled):
        return "tsv"
    return "lines"


def line_document(line: str, where: str, reading: DocumentReading) -> Document:
    """The document of one line of standard input: of JSON lines an object, with ``__label__`` its text, else a text."""
    if reading.format == "jsonl" or (reading.format == "auto" and line.lstrip().startswith("{")):
        return record_document(line, where, reading)
    if reading.format == "fasttext" or (reading.format == "auto" and line.lstrip().startswith("__label__")):
        return labelled_line(line, where)
    return Document(text=line, where=where)
