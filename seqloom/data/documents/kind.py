"""Documents as a kind of data: what the verb ``check`` takes and does for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from seqloom.data.documents.config import DocumentFormat, DocumentReading
from seqloom.data.files import DAMAGE, STDIN
from seqloom.errors import ConfigError, DataError

if TYPE_CHECKING:
    from seqloom.data.check_report import CheckReport

__all__ = ["DocumentCheck", "DocumentKind"]

_GLANCE = 50
_TABLES = {"csv": ",", "tsv": "\t"}
# What tagged sentences have beside their text.
_TAGGED_KEYS = frozenset(("tokens", "words", "tags", "entities", "spans"))
_LONG = 20
_MOST_FILES = 3


@dataclass(frozen=True)
class DocumentCheck:
    """Options of ``seqloom check`` for documents."""

    data: Annotated[
        Path, "the file or folder to check, compressed or not; or what the files of the classes have in common"
    ]
    dev: Annotated[Path | None, "development data, compared with it: shared texts, unknown labels, shared groups"] = (
        None
    )
    test: Annotated[Path | None, "test data, compared with both"] = None
    as_: Annotated[DocumentFormat, "format of the files; auto recognises it and says what it found"] = "auto"
    text: Annotated[str, "column or key of the text, by name or number from 0; several as title,description"] = ""
    label: Annotated[str, "column or key of the class; none where there are no classes"] = ""
    group: Annotated[str, "column or key of who or what a text is from, such as an author"] = ""
    several: Annotated[str, "what stands between classes where texts have several, such as a comma"] = ""
    header: Annotated[Literal["auto", "yes", "no"], "whether the first row of a table names its columns"] = "auto"
    encoding: Annotated[str, "character encoding of the files"] = "utf-8"
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


class DocumentKind:
    """Texts with classes, in any of the formats that `seqloom.data.documents.read.read_documents` reads."""

    name: ClassVar[str] = "documents"
    formats: ClassVar[tuple[str, ...]] = tuple(name for name in get_args(DocumentFormat) if name != "auto")
    check_options: ClassVar[type] = DocumentCheck

    def recognises(self, path: Path) -> bool:
        """Whether it is a table with a column of texts and one of classes, or another format that nothing else has."""
        if str(path) == STDIN:
            return False
        try:
            return _is_folder(path) if not path.is_file() else _is_file(path)
        except (DataError, ConfigError, *DAMAGE):
            return False

    def check(self, options: DocumentCheck) -> "CheckReport":
        """What the data hold and what is wrong with them."""
        from seqloom.data.documents.check import check

        reading = DocumentReading(
            format=options.as_,
            text=options.text,
            label=options.label,
            group=options.group,
            several=options.several,
            header=options.header,
            encoding=options.encoding,
        )
        named = {"data": options.data, "dev": options.dev, "test": options.test}
        return check({split: path for split, path in named.items() if path is not None}, reading, options.limit)


def _is_folder(path: Path) -> bool:
    from seqloom.data.class_folders import class_folders, files_in
    from seqloom.data.documents.folders import class_files, part_files
    from seqloom.data.location import aligned_files

    if aligned_files(path) is not None:
        return False
    if files := class_files(path):
        return all(_is_text(one.file) for one in files[:_MOST_FILES])
    if not path.is_dir():
        return False
    if parts := part_files(path):
        return all(_is_file(file) for file in parts.values())
    found = [folder for folders in class_folders(path).values() for folder in folders]
    if len(found) < 2:
        return False
    firsts = [next(iter(files_in(folder)), None) for folder in found[:_MOST_FILES]]
    return all(first is not None and _is_text(first) for first in firsts)


def _is_text(file: Path) -> bool:
    from seqloom.data.documents.folders import unpacked_name
    from seqloom.data.files import open_bytes

    ending = unpacked_name(file.name.lower()).rpartition(".")
    if ending[1] and ending[2] in ("csv", "tsv", "ts", "arff", "json", "jsonl", "xml", "inkml", "conll", "conllu"):
        return False  # a series or ink in each file, or tagged sentences
    stream, _ = open_bytes(file)
    with stream:
        head = stream.read(4096)
    return bool(head) and b"\0" not in head and not _is_numbers(head)


def _is_numbers(head: bytes) -> bool:
    return sum(byte in b"0123456789.,;+-eE \t\r\n" for byte in head) > 0.9 * len(head)


def _is_file(path: Path) -> bool:
    from seqloom.data.documents.read import recognised_format
    from seqloom.data.files import open_text

    form = recognised_format(str(path))
    if form in _TABLES:
        return _is_table(path, form)
    lines = [line for _, line in islice(open_text(path, expected=None), _GLANCE) if line.strip()]
    if form == "jsonl":
        return bool(lines) and all(map(_is_record, lines))
    return form == "fasttext"


def _is_table(path: Path, form: str) -> bool:
    """Whether names of a header say what is what, or a column of classes and one of long texts are not to be mistaken."""
    from seqloom.data.documents.tables import find_columns, first_rows

    rows = first_rows(str(path), str(path), "utf-8", _TABLES[form])
    if any(len(row) != len(rows[0][1]) for _, row in rows) or len(rows[0][1]) < 2:
        return False
    columns = find_columns(rows, DocumentReading(), str(path))
    if columns.label is None or columns.label in columns.text:
        return False
    filled = [fields for _, fields in (rows[1:] if columns.names else rows)]
    return bool(filled) and (bool(columns.names) or _are_texts(columns.text, filled))


def _are_texts(text: Sequence[int], rows: Sequence[Sequence[str]]) -> bool:
    lengths = sum(len(row[index]) for row in rows for index in text)
    return lengths > _LONG * len(rows) and not any(_is_numbers(row[text[-1]].encode()) for row in rows[:_GLANCE])


def _is_record(line: str) -> bool:
    from seqloom.data.documents.records import LABEL_NAMES, TEXT_NAMES
    from seqloom.data.tagged.jsonl import json_record

    record = json_record(line)
    label = next((record[name] for name in LABEL_NAMES if name in record), None)
    names = isinstance(label, str | int | float) or (
        isinstance(label, list) and all(isinstance(one, str) for one in label)
    )
    return any(isinstance(record.get(name), str) for name in TEXT_NAMES) and names and not _TAGGED_KEYS & record.keys()
