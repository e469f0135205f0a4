"""Segmented text, one sentence per line, its words separated by spaces; and plain text, one sentence per line.

Every line is a sentence, empty ones too, so that output lines stay aligned with input lines.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from seqloom.data.files import open_text
from seqloom.data.tagged.columns import Lines, column_sentences
from seqloom.data.tagged.offsets import tokenize
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.tagged.words import tags_to_words, words_to_tags
from seqloom.errors import DataError

__all__ = [
    "bmes_sentences",
    "format_bmes",
    "format_segmented",
    "plain_sentences",
    "read_bmes",
    "read_plain",
    "read_segmented",
    "segmented_sentences",
    "text_sentences",
]

_EXPECTED = "one sentence per line, words separated by spaces"


def read_segmented(path: str | Path, encoding: str = "utf-8") -> Iterator[Sentence]:
    """Words of each line. Any Unicode white space separates them, the ideographic space U+3000 too.

    Raises:
        DataError: as `open_text` does.
    """
    return segmented_sentences(open_text(path, encoding, expected=_EXPECTED), str(path))


def segmented_sentences(lines: Lines, source: str) -> Iterator[Sentence]:
    """As `read_segmented`, from numbered lines."""
    for number, line in lines:
        yield Sentence(tuple(line.split()), line=number, source=source, rows=(line,))


def read_plain(path: str | Path, encoding: str = "utf-8") -> Iterator[Sentence]:
    """Characters of each line, untouched; an empty file is no error, because nothing in gives nothing out.

    Raises:
        DataError: as `open_text` does.
    """
    return plain_sentences(open_text(path, encoding, expected=None), str(path))


def plain_sentences(lines: Lines, source: str) -> Iterator[Sentence]:
    """As `read_plain`, from numbered lines."""
    for number, line in lines:
        yield Sentence(line, line=number, source=source, rows=(line,))


def text_sentences(lines: Lines, source: str, *, whole: bool = False) -> Iterator[Sentence]:
    """Words and punctuation marks of each line of running text (`tokenize`), with their places in it.

    Args:
        whole: whether addresses, numbers with separators and the like are one token each.

    >>> next(text_sentences([(1, "Ann left  Rome.")], "x")).offsets
    ((0, 3), (4, 8), (10, 14), (14, 15))
    """
    for number, line in lines:
        offsets = tuple(tokenize(line, whole))
        tokens = tuple(line[start:end] for start, end in offsets)
        yield Sentence(tokens, line=number, source=source, rows=(line,), offsets=offsets)


def read_bmes(path: str | Path, encoding: str = "utf-8") -> Iterator[Sentence]:
    """Words from columns of characters and B, M, E, S tags, an empty line after each sentence.

    Raises:
        DataError: a line that is not two columns, or a tag that is none of the four; names the line.
    """
    lines = open_text(path, encoding, expected="characters and B, M, E, S tags in two columns")
    return bmes_sentences(lines, str(path))


def bmes_sentences(lines: Lines, source: str) -> Iterator[Sentence]:
    """As `read_bmes`, from numbered lines."""
    for sentence in column_sentences(lines, source, text=0, tag=1):
        tags = sentence.tags or ()
        for index, tag in enumerate(tags):
            if tag not in ("B", "M", "E", "S"):
                raise DataError(
                    f"{sentence.where(index)}: tag {tag!r} is none of B, M, E, S; for other tags read columns"
                )
        words = tuple(tags_to_words(sentence.tokens, tags))
        yield Sentence(words, line=sentence.line, source=sentence.source, rows=sentence.rows)


def format_segmented(sentences: Iterable[Sequence[str]], separator: str = " ") -> Iterator[str]:
    """One line for each sequence of words.

    >>> list(format_segmented([["我", "是"], []]))
    ['我 是', '']
    """
    for words in sentences:
        yield separator.join(words)


def format_bmes(sentences: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns of characters and tags, an empty line after each sentence.

    >>> list(format_bmes([["我", "中国"]]))
    ['我\\tS', '中\\tB', '国\\tE', '']
    """
    for words in sentences:
        for character, tag in zip("".join(words), words_to_tags(words), strict=True):
            yield f"{character}\t{tag}"
        yield ""
