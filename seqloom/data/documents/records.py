"""Documents of single things: an object of JSON lines, a line with ``__label__``, and what Python has in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from seqloom.data.documents.config import DocumentReading
from seqloom.data.labelled import Document, Target
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, parse_json

__all__ = [
    "LABEL_NAMES",
    "NO_LABEL",
    "TEXT_NAMES",
    "TEXT_PAIRS",
    "documents_of",
    "labelled_line",
    "record_document",
    "target_of",
]

TEXT_NAMES = (
    *(
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
    ),
    *("review_body", "review_text", "comment_text", "headline", "question"),
)
"""What the column or key of a text is commonly called, likeliest first."""
TEXT_PAIRS = tuple(("title", name) for name in ("description", "content", "body", "text"))
LABEL_NAMES = (
    *(
        "label",
        "labels",
        "class",
        "class_index",
        "category",
        "sentiment",
        "target",
        "tag",
        "intent",
        "polarity",
        "topic",
    ),
    *("label_name", "classification", "class_name"),
)
"""What that of a class is commonly called, likeliest first."""
NO_LABEL = "none"

_LABEL = re.compile(r"\s*__label__(\S+)")


def record_document(line: str, where: str, reading: DocumentReading) -> Document:
    """The document of a line that is a JSON object.

    Raises:
        DataError: it is none, or has no text.
    """
    try:
        record = parse_json(line)
    except UnreadableError as error:
        raise DataError(f"{where}: not JSON ({error}); expected an object with 'text' and 'label'") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: {str(record)[:60]!r} is no JSON object; expected one with 'text' and 'label'")
    return _mapped(record, where, reading)


def labelled_line(line: str, where: str) -> Document:
    """The document of a line ``__label__x __label__y text``; one label is a class, several are several classes."""
    labels, place = [], 0
    while (found := _LABEL.match(line, place)) is not None:
        labels.append(found.group(1))
        place = found.end()
    target: Target = tuple(labels) if len(labels) > 1 else labels[0] if labels else None
    return Document(text=line[place:].strip(), target=target, where=where)


def documents_of(objects: Any, reading: DocumentReading | None = None) -> list[Document]:
    """Documents of Python objects: texts, (text, label) pairs, mappings with ``text`` and ``label``, pandas tables, documents.

    Raises:
        DataError: one of them is another thing; names which.
    """
    if hasattr(objects, "to_dict") and hasattr(objects, "columns"):
        objects = objects.to_dict("records")
    if isinstance(objects, str | bytes | Mapping) or not isinstance(objects, Iterable):
        raise DataError(f"the inputs are a {type(objects).__name__}; expected a list, of which each is a text")
    chosen = reading or DocumentReading()
    return [_object(item, f"input[{position}]", chosen) for position, item in enumerate(objects)]


def target_of(value: Any, where: str, reading: DocumentReading) -> Target:
    """The answer that a value of a file or of an object means: a class, several, or none.

    >>> target_of("a|b", "", DocumentReading(several="|")), target_of(3, "", DocumentReading())
    (('a', 'b'), '3')
    """
    if hasattr(value, "item") and not getattr(value, "shape", ()):
        value = value.item()
    if value is None or value != value:  # pandas has NaN where there is none
        return None
    if isinstance(value, str):
        if reading.several:
            return tuple(one.strip() for one in value.split(reading.several) if one.strip())
        return value.strip() or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple | set) and all(isinstance(one, str | int | float) for one in value):
        return tuple(str(target_of(one, where, DocumentReading())) for one in value)
    raise DataError(f"{where}: the label is a {type(value).__name__}; expected a text, a number, or a list of them")


def _mapped(record: Mapping[Any, Any], where: str, reading: DocumentReading) -> Document:
    keys = tuple(one.strip() for one in reading.text.split(",")) if reading.text else _text_keys(record)
    texts = [record.get(key) for key in keys]
    if not all(isinstance(text, str) for text in texts):
        missing = next(key for key, text in zip(keys, texts, strict=True) if not isinstance(text, str))
        known = ", ".join(map(repr, record)) or "no keys"
        raise DataError(f"{where}: {missing!r} is no text; the object has {known}")
    key = reading.label or next((one for one in LABEL_NAMES if one in record), "")
    group = record.get(reading.group) if reading.group else None
    return Document(
        text="\n".join(map(str, texts)),
        target=target_of(record.get(key), where, reading) if key and key != NO_LABEL else None,
        group="" if group is None else str(group),
        where=where,
        record=dict(record),
    )


def _text_keys(record: Mapping[Any, Any]) -> tuple[str, ...]:
    pair = next((pair for pair in TEXT_PAIRS if all(isinstance(record.get(one), str) for one in pair)), None)
    return pair or (next((one for one in TEXT_NAMES if one in record), TEXT_NAMES[0]),)


def _object(item: Any, where: str, reading: DocumentReading) -> Document:
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return Document(text=item, where=where)
    if isinstance(item, Mapping):
        return _mapped(item, where, reading)
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
        return Document(text=item[0], target=target_of(item[1], where, reading), where=where)
    raise DataError(
        f"{where} is a {type(item).__name__}; expected a text, a (text, label) pair or a mapping with 'text'"
    )
