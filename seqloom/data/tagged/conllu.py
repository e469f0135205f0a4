"""CoNLL-U: ten columns, comments, multiword ranges (``3-4``), empty nodes (``8.1``), ``SpaceAfter=No``.

Ranges and empty nodes are no tokens; they stay in ``Sentence.rows`` and are written back. The words of a range have its
place in the text: each its part where they spell it (``It's``), else all of it (``al`` of ``a`` and ``el``). A comment
``# intent = X`` is the sentence's label. The older CoNLL-X files have the same ten columns and are read too. Format:
universaldependencies.org/format.html.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from seqloom.data.files import open_text
from seqloom.data.tagged.columns import Lines, with_field
from seqloom.data.tagged.comments import label_in, with_label
from seqloom.data.tagged.offsets import word_offsets
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError, did_you_mean

__all__ = ["FIELDS", "conllu_sentences", "format_conllu", "read_conllu"]

FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")

_ID = re.compile(r"[0-9]+(?:-[0-9]+|\.[0-9]+)?")
_LONGEST_ID = 40
_DIGITS = frozenset("0123456789")
_EXPECTED = "CoNLL-U: ten columns separated by tabs, an empty line after each sentence"
_MISSING = "_"
_TEXT = re.compile(r"#\s*text\s*=\s*(.*)")


def read_conllu(path: str | Path, *, tag: str = "upos", encoding: str = "utf-8") -> Iterator[Sentence]:
    """Sentences of a CoNLL-U file.

    Args:
        tag: the column that holds the tags, by its name in `FIELDS`. A sentence where every one is ``_`` has no tags.
    Raises:
        DataError: a line without ten columns, with a broken id or an empty form; a tag that is missing while others of
            the sentence are given; no sentence at all. Names the line.
        ConfigError: no such column.
    """
    _column(tag)
    return conllu_sentences(open_text(path, encoding, expected=_EXPECTED), str(path), tag=tag)


def conllu_sentences(
    lines: Lines, source: str, *, tag: str = "upos", with_tags: bool = True, trailing: list[str] | None = None
) -> Iterator[Sentence]:
    """As `read_conllu`, from numbered lines.

    Args:
        with_tags: false: whatever the tag's column holds, it is no tag.
        trailing: takes the lines behind the last sentence; None: that sentence is held back until it can keep them.
    """
    reader = _Reader(source, _column(tag), with_tags)
    reader.trailing = trailing
    for number, row in lines:
        if row and row[0] in _DIGITS:  # as most lines
            reader.add(number, row)
        elif not row.strip(" \t"):
            reader.rows.append(row)
            if reader.tokens:
                yield from reader.end_sentence()
        elif row.startswith("#"):
            reader.comment(number, row)
        else:
            reader.add(number, row)
    yield from reader.end_sentence()
    if reader.last is None:
        raise DataError(f"{source} has no sentences; expected {_EXPECTED}")
    if trailing is not None:
        trailing += reader.rows
        return
    yield replace(reader.last, rows=reader.last.rows + tuple(reader.rows))


def format_conllu(sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], *, tag: str = "upos") -> Iterator[str]:
    """The lines of the input file with other tags in one column; all else is as it was.

    Sentences that do not come from such a file are written with ``_`` in every other column.

    Raises:
        ValueError: not one tag per token; names the sentence.

    >>> print("\\n".join(format_conllu([Sentence(("Hi",))], [["INTJ"]])).expandtabs(2).rstrip())
    1 Hi  _ INTJ  _ _ _ _ _ _
    """
    column = _column(tag)
    for sentence, chosen in zip(sentences, tags, strict=True):
        if len(chosen) != len(sentence.tokens):
            raise ValueError(f"{sentence.where()}: {len(chosen)} tags for {len(sentence.tokens)} tokens")
        own = bool(sentence.token_rows) and sentence.rows[sentence.token_rows[0]].count("\t") == len(FIELDS) - 1
        rows = list(sentence.rows) if own else _blank_rows(sentence)
        places = sentence.token_rows if own else range(len(sentence.tokens))
        for index, new in zip(places, chosen, strict=True):
            rows[index] = with_field(rows[index], column, new, tabs=True)
        yield from with_label(rows, sentence.label, next((i for i, row in enumerate(rows) if "\t" in row), 0))


def _column(tag: str) -> int:
    if tag not in FIELDS:
        raise ConfigError(f"{tag!r} is not a column of CoNLL-U{did_you_mean(tag, FIELDS)}")
    return FIELDS.index(tag)


def _blank_rows(sentence: Sentence) -> list[str]:
    spaces = sentence.space_after or (True,) * len(sentence.tokens)
    rows = []
    for index, (token, space) in enumerate(zip(sentence.tokens, spaces, strict=True), start=1):
        fields = [str(index), token, *[_MISSING] * 7, _MISSING if space else "SpaceAfter=No"]
        rows.append("\t".join(fields))
    return [*rows, ""]


class _Reader:
    def __init__(self, source: str, column: int, with_tags: bool) -> None:
        self.source, self.column, self.with_tags = source, column, with_tags
        self.document = 0
        self.trailing: list[str] | None = None
        self.last: Sentence | None = None  # held back, so that trailing lines of the file can be added to it
        self._clear()

    def _clear(self) -> None:
        self.rows: list[str] = []
        self.label: str | None = None
        self.lines: list[int] = []
        self.tokens: list[str] = []
        self.tags: list[str] = []
        self.token_rows: list[int] = []
        self.spaces: list[bool] = []
        self.comments: list[str] = []
        self.range_end, self.range_space = 0, True
        # Of the text: form, whether a space follows, how many tokens it has; none where each is a token.
        self.units: list[tuple[str, bool, int]] | None = None

    def comment(self, number: int, row: str) -> None:
        self.document += row.startswith("# newdoc")
        if "intent" in row:
            self.label = label_in(row, f"{self.source}:{number}", self.label)
        if "text" in row:
            self.comments.append(row)
        self.rows.append(row)

    def add(self, number: int, row: str) -> None:
        fields = row.split("\t")
        if len(fields) == 10 and self.units is None:
            identity, form, misc = fields[0], fields[1], fields[9]
            if form and identity.isdecimal() and identity.isascii() and len(identity) <= _LONGEST_ID:
                self.token_rows.append(len(self.rows))
                self.rows.append(row)
                self.lines.append(number)
                self.tokens.append(form)
                self.tags.append(fields[self.column])
                self.spaces.append(
                    misc == _MISSING or "SpaceAfter=No" not in misc or "SpaceAfter=No" not in misc.split("|")
                )
                return
        self.add_other(number, row, fields)

    def add_other(self, number: int, row: str, fields: list[str]) -> None:
        """A line that is not a token of its own, or not right, or behind a range of the sentence."""
        if len(fields) != len(FIELDS):
            columns = "1 column" if len(fields) == 1 else f"{len(fields)} columns"
            shown = repr(row if len(row) <= 60 else row[:57] + "...")
            raise DataError(f"{self.source}:{number}: {columns}, expected 10 separated by tabs; the line is {shown}")
        identity, space = fields[0], "SpaceAfter=No" not in fields[9].split("|")
        if not _ID.fullmatch(identity):
            raise DataError(
                f"{self.source}:{number}: the id is {identity!r}; expected a number such as 3, a range 3-4 or a node 3.1"
            )
        if len(identity) > _LONGEST_ID:
            raise DataError(
                f"{self.source}:{number}: the id has {len(identity)} characters; expected a number such as 3"
            )
        self.rows.append(row)
        if not fields[1]:
            raise DataError(f"{self.source}:{number}: FORM is empty; expected a word")
        if "-" in identity:
            self.range_end, self.range_space = int(identity.partition("-")[2]), space
            self.units = self._units()
            self.units.append((fields[1], space, 0))
        elif "." not in identity:
            self.units = self._units()
            if int(identity) <= self.range_end:  # inside a multiword token only its own end can carry the space
                space = self.range_space if int(identity) == self.range_end else False
                form, after, count = self.units[-1]
                self.units[-1] = form, after, count + 1
            else:
                self.units.append((fields[1], space, 1))
            self.token_rows.append(len(self.rows) - 1)
            self.lines.append(number)
            self.tokens.append(fields[1])
            self.tags.append(fields[self.column])
            self.spaces.append(space)

    def _units(self) -> list[tuple[str, bool, int]]:
        if self.units is not None:
            return self.units
        return [(form, space, 1) for form, space in zip(self.tokens, self.spaces, strict=True)]

    def end_sentence(self) -> Iterator[Sentence]:
        if not self.tokens:
            return
        if self.last is not None and self.trailing is None:
            yield self.last
        if not self.with_tags:
            self.tags = [_MISSING] * len(self.tokens)
        missing = [index for index, tag in enumerate(self.tags) if tag in (_MISSING, "")]
        # In the column of features '_' says that a word has none; in the others that nobody has said.
        if 0 < len(missing) < len(self.tags) and FIELDS[self.column] in ("upos", "xpos", "deprel"):
            name = FIELDS[self.column].upper()
            raise DataError(
                f"{self.source}:{self.lines[missing[0]]}: {name} is missing ('_') while other tokens of the sentence "
                f"have one; give it, or blank the whole sentence"
            )
        surface, offsets = self._surface()
        self.last = Sentence(
            tuple(self.tokens),
            tuple(self.tags) if len(missing) < len(self.tags) else None,
            line=self.lines[0],
            source=self.source,
            document=self.document,
            rows=tuple(self.rows),
            token_rows=tuple(self.token_rows),
            offsets=offsets,
            space_after=tuple(self.spaces),
            label=self.label,
            surface=surface,
        )
        self._clear()
        if self.trailing is not None:
            yield self.last

    def _surface(self) -> tuple[str | None, tuple[tuple[int, int], ...] | None]:
        """The text and the tokens' places in it, where the file says more of them than the tokens and their spaces do."""
        comments = [match[1] for row in self.comments if (match := _TEXT.fullmatch(row))]
        if self.units is None:
            if not comments:
                return None, None
            spelt = [token + " " if space else token for token, space in zip(self.tokens, self.spaces, strict=True)]
            if comments[0] == "".join(spelt).rstrip(" "):
                return None, None
        units = [unit for unit in self._units() if unit[2]]
        # The blank behind the last word goes; one that is part of a word stays.
        text = "".join([form + " " if space else form for form, space, _ in units])
        text = text[:-1] if units and units[-1][1] else text
        if len(units) == len(self.tokens) == len(self._units()) and (not comments or comments[0] == text):
            return None, None
        forms = [form for form, _, _ in units]
        places = None
        if comments:
            try:
                places = word_offsets(comments[0], forms)
                text = comments[0]
            except ValueError:  # the comment is of another text, and the words are what is tagged
                pass
        offsets, first = [], 0
        for (form, _, count), (start, end) in zip(units, places or word_offsets(text, forms), strict=True):
            parts = self.tokens[first : first + count]
            first += count
            if "".join(parts) == form:
                ends = [start + sum(map(len, parts[: place + 1])) for place in range(count)]
                offsets += list(zip([start, *ends], ends, strict=False))
            else:
                offsets += [(start, end)] * count
        return text, tuple(offsets)
