"""CoNLL columns: one token per line, an empty line after each sentence, any number of columns.

The first token's line decides for the file: with a tab in it, each tab separates two columns, else runs of spaces do.
Columns that are not asked for, comments and ``-DOCSTART-`` lines are kept in ``Sentence.rows`` and written back as they
were. A comment ``# intent = X`` before a sentence is its label.

A line that begins with ``#`` before a sentence's first token is a comment, unless it has the file's width and a tag that
other lines have: ``#`` and ``#hashtag`` are tokens too. A first line of nothing but usual names of columns, such as
``word<TAB>label``, is a header, and no token.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from seqloom.data.files import open_text
from seqloom.data.tagged.comments import label_in, with_label
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError

__all__ = [
    "column_sentences",
    "format_columns",
    "header_columns",
    "named_columns",
    "parse_columns",
    "read_columns",
    "token_column",
    "with_field",
]

Lines = Iterable[tuple[int, str]]

_DOCUMENT = "-DOCSTART-"
_GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*=(.*)")
_FIELD = re.compile(r"[^ \t]+")
_TOKEN_NAMES = frozenset(("word", "words", "token", "tokens", "form", "text"))
_TAG_NAMES = frozenset(
    (
        "tag",
        "tags",
        "label",
        "labels",
        "pos",
        "upos",
        "xpos",
        "pos_tag",
        "ner",
        "ner_tag",
        "ner_tags",
        "entity",
        "iob",
        "bio",
    )
)
_OTHER_NAMES = frozenset(("id", "sentence", "sentence_id", "sentence #", "sent_id", "lemma", "chunk", "feats", "index"))
_SPAN = re.compile(r"[BIESMLU]-\S+")
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")
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


def named_columns(line: str) -> list[str] | None:
    """The names of the columns in the first line of CoNLL-U Plus, in lower case.

    >>> named_columns("# global.columns = ID FORM UPOS"), named_columns("# id = 1")
    (['id', 'form', 'upos'], None)
    """
    found = _GLOBAL_COLUMNS.fullmatch(line.strip())
    return found[1].lower().split() if found is not None else None


def header_columns(fields: Sequence[str]) -> bool:
    """Whether fields are nothing but usual names of columns, a token's and a tag's among them, and no token and its tag.

    >>> header_columns(["word", "label"]), header_columns(["word", "NN"])
    (True, False)
    """
    names = [field.strip().lower() for field in fields]
    known = len(set(names)) == len(names) and all(name in _TOKEN_NAMES | _TAG_NAMES | _OTHER_NAMES for name in names)
    return known and not _TOKEN_NAMES.isdisjoint(names) and not _TAG_NAMES.isdisjoint(names)


def token_column(names: Sequence[str]) -> int:
    """The place of the first column whose name is usual for tokens; that of FORM where there is one."""
    return names.index("form") if "form" in names else next(i for i, name in enumerate(names) if name in _TOKEN_NAMES)


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


def column_sentences(
    lines: Lines,
    source: str,
    *,
    text: int = 0,
    tag: int | None = -1,
    identity: int | None = None,
    with_tags: bool = True,
    trailing: list[str] | None = None,
) -> Iterator[Sentence]:
    """As `read_columns`, from numbered lines.

    Args:
        identity: the column of ids; lines with a range (``3-4``) or an empty node (``8.1``) in it are no tokens.
        with_tags: whether what stands in the tag's column is a tag; elsewhere it may be empty, too.
        trailing: takes the lines behind the last sentence; None: that sentence is held back until it can keep them.
    """
    reader = _Reader(source, text, tag, identity, with_tags)
    reader.trailing = trailing
    for number, row in lines:
        if not row.strip(" \t"):
            yield from reader.end_sentence(row)
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
            rows[index] = with_field(rows[index], tag, new, sentence.tabs)
        yield from with_label(rows, sentence.label, sentence.token_rows[0])


def with_field(row: str, column: int | None, value: str, tabs: bool | None = None) -> str:
    """A row with another value in one column, or with one more column; separators stay as they are.

    Args:
        tabs: whether each tab separates two columns rather than runs of spaces and tabs; None: where the row has one.

    >>> with_field("Ann NNP\\tO", -1, "B-PER", tabs=False)
    'Ann NNP\\tB-PER'
    """
    if column is None:
        between = "\t" if "\t" in row or " " not in row else " "
        return f"{row}{value}" if row.endswith((" ", "\t")) else f"{row}{between}{value}"
    if "\t" in row if tabs is None else tabs:
        fields = row.split("\t")
        fields[column] = value
        return "\t".join(fields)
    match = list(_FIELD.finditer(row))[column]
    return row[: match.start()] + value + row[match.end() :]


class _Reader:
    """The sentence under way, and what the file's first token settled."""

    def __init__(self, source: str, text: int, tag: int | None, identity: int | None, with_tags: bool) -> None:
        self.source, self.text, self.tag, self.identity, self.with_tags = source, text, tag, identity, with_tags
        asked = tuple(place for place in (text, tag, identity) if place is not None)
        front, back = max(asked) + 1, -min(asked)
        self.needed = max(front, 0) + max(back, 0)
        self.exact = text < 0 or (tag is not None and tag < 0)
        self.tabs = False
        self.width = self.width_line = 0
        self.document = 0
        self.known: set[str] = set()  # tags of lines that are certainly tokens
        self.leading: list[tuple[int, str]] = []  # lines that begin with '#' before a sentence's first other line
        self.later: list[tuple[int, str]] = []  # the sentence's lines after them, while those are undecided
        self.rows: list[str] = []
        self.trailing: list[str] | None = None
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
        if self.leading or (row[0] == "#" and not self.tokens):
            (self.leading if row.startswith("#") and not self.later else self.later).append((number, row))
            self._learn(row)
        else:
            self._add(number, row)

    def _learn(self, row: str) -> None:
        """What a line after the leading ones tells of the file: its width, and a tag that tokens have."""
        if not self.later:
            return
        fields = self._fields(row)
        if not self.width:
            self.tabs, self.width, self.width_line = "\t" in row, len(fields), self.later[0][0]
        if self.tag is not None and len(fields) == self.width:
            self.known.add(fields[self.tag])

    def _settle(self) -> None:
        """Decides about the leading lines, now that the sentence is complete."""
        leading, later, self.leading, self.later = self.leading, self.later, [], []
        for number, row in leading:
            self._lead(number, row)
        for number, row in later:
            self._add(number, row)

    def _lead(self, number: int, row: str) -> None:
        if not self.tokens:
            label = label_in(row, f"{self.source}:{number}", self.label)
            if label != self.label or self._is_comment(row):
                self.label = label
                self.rows.append(row)
                return
        self._add(number, row)

    def _fields(self, row: str) -> list[str]:
        return row.split("\t") if self.tabs or (not self.width and "\t" in row) else _FIELD.findall(row)

    def _is_comment(self, row: str) -> bool:
        fields = self._fields(row)
        if self.width and len(fields) != self.width:
            return True
        if len(fields) < self.needed or (not self.width and " = " in row):
            return True
        if "\t" in row:
            return " " in fields[0] or (fields[0] != "#" and not self._is_known(fields))
        return self.width > 1 and not self._is_known(fields)

    def _is_known(self, fields: Sequence[str]) -> bool:
        return self.tag is None or fields[self.tag] in self.known or bool(_SPAN.fullmatch(fields[self.tag]))

    def _is_aside(self, fields: Sequence[str]) -> bool:
        """Whether a line is a range of words or an empty node, or the header of the file."""
        if self.identity is not None and _NO_WORD.fullmatch(fields[self.identity]):
            return True
        return self.last is None and not self.tokens and len(fields) > 1 and header_columns(fields)

    def _add(self, number: int, row: str) -> None:
        fields = self._fields(row)
        if not self.width:
            self.tabs, self.width, self.width_line = "\t" in row, len(fields), number
        if len(fields) < self.needed or (self.exact and len(fields) != self.width):
            raise DataError(self._wrong_width(number, row, len(fields)))
        if (self.identity is not None or self.last is None) and self._is_aside(fields):
            self.rows.append(row)
            return
        token, tag = fields[self.text], None
        if self.tag is not None:
            tag = fields[self.tag].strip(" ") if self.tabs else fields[self.tag]
        if not token or (tag == "" and self.with_tags):
            what = "tag" if token else "token"
            raise DataError(f"{self.source}:{number}: the {what}'s column is empty; the line is {_short(row)}")
        self.line = self.line or number
        self.token_rows.append(len(self.rows))
        self.rows.append(row)
        self.tokens.append(token)
        if tag is not None:
            self.tags.append(tag)
            self.known.add(tag)

    def _wrong_width(self, number: int, row: str, count: int) -> str:
        separator = "a tab" if self.tabs else "spaces"
        columns = "1 column" if count == 1 else f"{count} columns"
        if self.width > 2 and self.width_line < number:
            expected = f"{self.width} as in line {self.width_line}"
        else:
            expected = f"{self.needed} ({'token, tag' if self.needed == 2 else 'up to the last that was asked for'})"
        where = f"{self.source}:{number}"
        return f"{where}: {columns}, expected {expected} separated by {separator}; the line is {_short(row)}"

    def end_sentence(self, blank: str | None = None) -> Iterator[Sentence]:
        self._settle()
        if blank is not None:
            self.rows.append(blank)
        if not self.tokens:
            return
        if self.last is not None and self.trailing is None:
            yield self.last
        tags = tuple(self.tags) if self.tag is not None and self.with_tags else None
        self.last = Sentence(
            tuple(self.tokens),
            tags,
            line=self.line,
            source=self.source,
            document=self.document,
            rows=tuple(self.rows),
            token_rows=tuple(self.token_rows),
            label=self.label,
            tabs=self.tabs,
        )
        self._clear()
        if self.trailing is not None:
            yield self.last

    def end_file(self) -> Iterator[Sentence]:
        yield from self.end_sentence()
        if self.last is None:
            raise DataError(f"{self.source} has no sentences; expected {_EXPECTED}")
        if self.trailing is not None:
            self.trailing += self.rows
            return
        yield replace(self.last, rows=self.last.rows + tuple(self.rows))


def _short(row: str) -> str:
    return repr(row if len(row) <= 60 else row[:57] + "...")
