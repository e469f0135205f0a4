"""CoNLL columns: one token per line, an empty line after each sentence, any number of columns.

The first token's line decides for the file: with a tab in it, each tab separates two columns, else runs of spaces do.
Columns that are not asked for, comments and ``-DOCSTART-`` lines are kept in ``Sentence.rows`` and written back as they
were. A comment ``# intent = X`` before a sentence is its label.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from seqloom.data.files import open_text
from seqloom.data.tagged.comments import label_in, with_label
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError

__all__ = ["column_sentences", "format_columns", "parse_columns", "read_columns", "with_field"]

Lines = Iterable[tuple[int, str]]

_DOCUMENT = "-DOCSTART-"
_FIELD = re.compile(r"[^ \t]+")
_EXPECTED = "columns: a token and its tag per line, an empty line after each sentence"


def parse_columns(text: str) -> dict[str, int]:
    """What ``--columns text=0,tag=3`` means; negative numbers count from the end.

    Raises:
        ConfigError: not a list of ``name=index``, or names without ``text``.

    >>> parse_columns("text=0,tag=-1")
    {'text': 0, 'tag': -1}
    """
    columns: dict[str, int] = {}
    for part in text.split(","):
        name, equals, index = part.partition("=")
        if not equals or not re.fullmatch(r"\s*-?\d+\s*", index, re.ASCII):
            raise ConfigError(f"columns: {part!r} is not name=index; expected such as text=0,tag=-1")
        columns[name.strip()] = int(index)
    if "text" not in columns:
        raise ConfigError(f"columns: {text!r} does not say where the tokens are; expected such as text=0,tag=-1")
    return columns


def read_columns(
    path: str | Path, *, text: int = 0, tag: int | None = -1, encoding: str = "utf-8"
) -> Iterator[Sentence]:
    """Sentences of a column file.

    Args:
        text: the token's column, from 0; negative from the end.
        tag: the tag's column, or ``None`` for a file without tags.
    Raises:
        DataError: a line has fewer columns than asked for or, where columns count from the end, another number than
            the first line; an empty token or tag; no sentence at all. Names the line.
    """
    return column_sentences(open_text(path, encoding, expected=_EXPECTED), str(path), text=text, tag=tag)


def column_sentences(lines: Lines, source: str, *, text: int = 0, tag: int | None = -1) -> Iterator[Sentence]:
    """As `read_columns`, from numbered lines."""
    reader = _Reader(source, text, tag)
    for number, row in lines:
        if not row.strip(" \t"):
            reader.rows.append(row)
            yield from reader.end_sentence()
        elif row.startswith(_DOCUMENT):
            yield from reader.end_sentence()
            reader.document += 1
            reader.rows.append(row)
        else:
            reader.add(number, row)
    yield from reader.end_file()


def format_columns(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], *, tag: int | None = -1
) -> Iterator[str]:
    """The lines of the input file with other tags in the tag's column; all else is as it was.

    Args:
        sentences: as they were read; those without rows are written as two columns with a tab. Their labels are
            written into the comment ``# intent = X``, which is added where there is none.
        tags: one sequence for each sentence.
        tag: the column to overwrite, or ``None`` to add one behind the last.
    Raises:
        ValueError: not one tag per token; names the sentence.

    >>> sentence = Sentence(["EU"], ("O",), rows=("EU  NNP O", ""), token_rows=(0,))
    >>> list(format_columns([sentence], [["B-ORG"]]))
    ['EU  NNP B-ORG', '']
    """
    for sentence, chosen in zip(sentences, tags, strict=True):
        if len(chosen) != len(sentence.tokens):
            raise ValueError(f"{sentence.where()}: {len(chosen)} tags for {len(sentence.tokens)} tokens")
        if not sentence.token_rows:
            yield from with_label((), sentence.label, 0)
            yield from (f"{token}\t{new}" for token, new in zip(sentence.tokens, chosen, strict=True))
            yield ""
            continue
        rows = list(sentence.rows)
        for index, new in zip(sentence.token_rows, chosen, strict=True):
            rows[index] = with_field(rows[index], tag, new)
        yield from with_label(rows, sentence.label, sentence.token_rows[0])


def with_field(row: str, column: int | None, value: str) -> str:
    """A row with another value in one column, or with one more column; separators stay as they are."""
    if column is None:
        return f"{row}\t{value}" if "\t" in row or " " not in row else f"{row} {value}"
    if "\t" in row:
        fields = row.split("\t")
        fields[column] = value
        return "\t".join(fields)
    match = list(_FIELD.finditer(row))[column]
    return row[: match.start()] + value + row[match.end() :]


class _Reader:
    """The sentence under way, and what the file's first token settled."""

    def __init__(self, source: str, text: int, tag: int | None) -> None:
        self.source, self.text, self.tag = source, text, tag
        asked = (text,) if tag is None else (text, tag)
        front, back = max(asked) + 1, -min(asked)
        self.needed = max(front, 0) + max(back, 0)
        self.exact = text < 0 or (tag is not None and tag < 0)
        self.tabs = False
        self.width = self.width_line = 0
        self.document = 0
        self.rows: list[str] = []
        self.last: Sentence | None = None  # held back, so that trailing lines of the file can be added to it
        self._clear()

    def _clear(self) -> None:
        self.rows = []
        self.line = 0
        self.label: str | None = None
        self.tokens: list[str] = []
        self.tags: list[str] = []
        self.token_rows: list[int] = []

    def add(self, number: int, row: str) -> None:
        fields = row.split("\t") if self.tabs or (not self.width and "\t" in row) else _FIELD.findall(row)
        if row.startswith("#") and not self.tokens:
            label = label_in(row, f"{self.source}:{number}", self.label)
            if label != self.label or self._is_comment(row, len(fields)):
                self.label = label
                self.rows.append(row)
                return
        if not self.width:
            self.tabs, self.width, self.width_line = "\t" in row, len(fields), number
        if len(fields) < self.needed or (self.exact and len(fields) != self.width):
            raise DataError(self._wrong_width(number, row, len(fields)))
        token, tag = fields[self.text], fields[self.tag] if self.tag is not None else None
        if not token or tag == "":
            what = "tag" if token else "token"
            raise DataError(f"{self.source}:{number}: the {what}'s column is empty; the line is {_short(row)}")
        self.line = self.line or number
        self.token_rows.append(len(self.rows))
        self.rows.append(row)
        self.tokens.append(token)
        if tag is not None:
            self.tags.append(tag)

    def _is_comment(self, row: str, fields: int) -> bool:
        # '#' is a token too, so a line is a comment only where it cannot be a token's line.
        return fields != self.width if self.width else " = " in row or fields < self.needed

    def _wrong_width(self, number: int, row: str, count: int) -> str:
        separator = "a tab" if self.tabs else "spaces"
        columns = "1 column" if count == 1 else f"{count} columns"
        if self.width > 2 and self.width_line < number:
            expected = f"{self.width} as in line {self.width_line}"
        else:
            expected = f"{self.needed} ({'token, tag' if self.needed == 2 else 'up to the last that was asked for'})"
        where = f"{self.source}:{number}"
        return f"{where}: {columns}, expected {expected} separated by {separator}; the line is {_short(row)}"

    def end_sentence(self) -> Iterator[Sentence]:
        if not self.tokens:
            return
        if self.last is not None:
            yield self.last
        tags = tuple(self.tags) if self.tag is not None else None
        self.last = Sentence(
            tuple(self.tokens),
            tags,
            line=self.line,
            source=self.source,
            document=self.document,
            rows=tuple(self.rows),
            token_rows=tuple(self.token_rows),
            label=self.label,
        )
        self._clear()

    def end_file(self) -> Iterator[Sentence]:
        yield from self.end_sentence()
        if self.last is None:
            raise DataError(f"{self.source} has no sentences; expected {_EXPECTED}")
        yield replace(self.last, rows=self.last.rows + tuple(self.rows))


def _short(row: str) -> str:
    return repr(row if len(row) <= 60 else row[:57] + "...")
