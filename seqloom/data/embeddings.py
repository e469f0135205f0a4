"""Word vectors as they are distributed: word2vec text and binary, GloVe text, compressed or not.

Only the rows that a vocabulary asks for are kept, so a file of gigabytes costs the memory of its used rows.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import DAMAGE, byte_lines, open_bytes
from seqloom.errors import DataError

__all__ = ["Coverage", "Embeddings", "first_words", "load_embeddings", "word_forms"]

_HEADER = re.compile(rb"(\d+) +(\d+) *\r?\n")
_DIGIT = re.compile(r"\d")
_LARGEST = 100_000  # numbers of a vector
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the words of a vocabulary were found in the file: each word counts once, at the first way that succeeds.

    Attributes:
        words: the words asked for.
        exact: found as they are.
        lower: found in lower case.
        digits: found in lower case with every digit a zero.
        entries: the vectors in the file.
        duplicates: vectors of words asked for that were left out because the same word had come before.
    """

    words: int
    exact: int
    lower: int
    digits: int
    entries: int
    duplicates: int

    @property
    def missing(self) -> int:
        """Words without a vector."""
        return self.words - self.exact - self.lower - self.digits

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each figure, as text."""
        parts = {"exact": self.exact, "lower case": self.lower, "digits as zero": self.digits, "missing": self.missing}
        share = max(self.words, 1)
        rows = [("words", f"{self.words:,}")]
        rows += [(name, f"{count:,} ({100 * count / share:.1f} %)") for name, count in parts.items()]
        return [*rows, ("vectors in the file", f"{self.entries:,}"), ("of them repeated", f"{self.duplicates:,}")]

    def to_dict(self) -> dict[str, int]:
        """The counts, for JSON."""
        names = ("words", "exact", "lower", "digits", "missing", "entries", "duplicates")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of a vocabulary's words.

    Attributes:
        vectors: (V, D) one row per word that was asked for; zeros where there is none.
        present: (V,) which rows come from the file.
        coverage: how the words were found.
    """

    vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    coverage: Coverage


def load_embeddings(path: str | Path, words: Sequence[str]) -> Embeddings:
    """Read the vectors of some words from a file of any of the usual formats.

    The format is recognised: a first line of two whole numbers is word2vec's, text or binary; without it the file is
    GloVe's. In text files the last D fields of a line are its numbers and all before them the word, which may hold
    spaces. Where a word comes twice, the first vector counts.

    A word is looked up as it is, then in lower case, then with its digits as zeros (Lample et al. 2016, code).

    Raises:
        DataError: a missing, empty or damaged file, or a line whose numbers are too few or none; names the line.
    """
    forms = [word_forms(word) for word in words]
    table = _Table(dict.fromkeys(form for some in forms for form in some))
    stream, name = open_bytes(path)
    with stream:
        try:
            size = _read(stream, name, table)
        except DAMAGE as problem:
            raise DataError(f"{name} is damaged or cut short ({problem}); fetch it again") from problem
    return _gather(forms, table, size)


def first_words(path: str | Path, count: int) -> list[str]:
    """The first words of a file of word vectors, which are the most frequent ones of the text it was made from.

    Words that are not UTF-8, and words that come again, are passed over.

    Raises:
        DataError: as `load_embeddings`.
    """
    table = _First(count)
    stream, name = open_bytes(path)
    with stream:
        try:
            _read(stream, name, table)
        except DAMAGE as problem:
            raise DataError(f"{name} is damaged or cut short ({problem}); fetch it again") from problem
    return list(table.words)


class _Table:
    """The vectors that are wanted, filled while the file goes by; words stay bytes, so no encoding can be wrong."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.vectors: dict[bytes, NDArray[np.float32] | None] = dict.fromkeys(map(_encoded, wanted))
        self.is_asked_for: Callable[[bytes], bool] = self.vectors.__contains__
        self.entries = self.duplicates = 0

    def wants(self, word: bytes) -> bool:
        self.entries += 1
        if word not in self.vectors:
            return False
        if self.vectors[word] is not None:
            self.duplicates += 1
            return False
        return True


class _First(_Table):
    """No vector is wanted; the first words are kept."""

    def __init__(self, count: int) -> None:
        super().__init__(())
        self.count, self.words = count, dict[str, None]()
        self.is_asked_for = lambda word: True

    def wants(self, word: bytes) -> bool:
        self.entries += 1
        if len(self.words) < self.count:
            with suppress(UnicodeDecodeError):
                self.words[word.decode("utf-8")] = None
        return False


def _read(stream: BinaryIO, name: str, table: _Table) -> int:
    reader = cast(BufferedReader, stream)  # every opener's object can peek
    head = reader.peek(_CHUNK)
    if not head:
        raise DataError(f"{name} is empty; expected word vectors as word2vec or GloVe write them")
    header = _HEADER.match(head)
    if header is None:
        lines = byte_lines(stream, name)
        first = list(islice(lines, 5))  # several: the first word alone might be one like 'area 51'
        size = min((_numbers_at_end(line) for line in first if line.strip()), default=0)
        if not size:
            raise DataError(f"{name}:1: the first lines do not end in numbers; expected a word and its vector per line")
        _read_text(chain(first, lines), name, table, size, first_line=1)
        return size
    if len(header[1]) > 15 or len(header[2]) > 15 or int(header[2]) > _LARGEST:
        raise DataError(f"{name}:1: the first line states an impossible number of vectors, or of numbers in each")
    count, size = int(header[1]), int(header[2])
    stream.readline()
    if _is_text(head[header.end() :]):
        _read_text(byte_lines(stream, name), name, table, size, first_line=2)
    else:
        _read_binary(stream, name, table, count, size)
    if table.entries < count:
        raise DataError(
            f"{name} ends after {table.entries} of the {count} vectors that its first line states; fetch it again"
        )
    return size


def _read_text(lines: Iterable[bytes], name: str, table: _Table, size: int, first_line: int) -> None:
    for number, line in enumerate(lines, start=first_line):
        line = line.strip()
        # Most lines are of words that nobody asked for: found without taking their numbers apart.
        if line.count(b" ") == size and (word := line[: line.index(b" ")]) and not table.is_asked_for(word):
            table.entries += 1
            continue
        fields = _fields(line)
        if not fields:
            continue
        if len(fields) <= size:
            raise DataError(f"{name}:{number}: {len(fields) - 1} numbers behind the word, expected {size}")
        word = b" ".join(fields[:-size])
        if not table.wants(word):
            continue
        try:
            vector = np.array([float(value) for value in fields[-size:]], np.float32)
        except ValueError as problem:
            raise DataError(f"{name}:{number}: {problem}; expected {size} numbers behind the word") from None
        table.vectors[word] = _finite(vector, f"{name}:{number}")


def _read_binary(stream: BinaryIO, name: str, table: _Table, count: int, size: int) -> None:
    width = 4 * size
    buffer, at = b"", 0
    for index in range(count):
        while (space := buffer.find(b" ", at)) < 0 or len(buffer) < space + 1 + width:
            more = stream.read(_CHUNK)
            if not more:
                return
            buffer, at = buffer[at:] + more, 0
        word = buffer[at:space].lstrip(b"\n")
        at = space + 1 + width
        if table.wants(word):
            vector = np.frombuffer(buffer, "<f4", size, space + 1).astype(np.float32)
            table.vectors[word] = _finite(vector, f"{name}, vector {index + 1}")


def _gather(forms: Sequence[tuple[str, str, str]], table: _Table, size: int) -> Embeddings:
    vectors = np.zeros((len(forms), size), np.float32)
    present = np.zeros(len(forms), bool)
    hits = {"exact": 0, "lower": 0, "digits": 0}
    for row, some in enumerate(forms):
        for way, form in zip(hits, some, strict=True):
            vector = table.vectors[_encoded(form)]
            if vector is not None:
                vectors[row], present[row] = vector, True
                hits[way] += 1
                break
    coverage = Coverage(len(forms), **hits, entries=table.entries, duplicates=table.duplicates)
    return Embeddings(vectors, present, coverage)


def word_forms(word: str) -> tuple[str, str, str]:
    """What a word is looked up as, in this order: as it is, in lower case, in lower case with its digits as zeros.

    >>> word_forms("iPhone5")
    ('iPhone5', 'iphone5', 'iphone0')
    """
    lower = word.lower()
    return word, lower, _DIGIT.sub("0", lower)


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


def _fields(line: bytes) -> list[bytes]:
    # Only the space separates; U+00A0 and its like are parts of words. Some writers use a tab behind the word.
    fields = line.strip().split(b" ")
    return fields if len(fields) > 1 else line.split()


def _numbers_at_end(line: bytes) -> int:
    """How many fields at the end are numbers; the first field is the word even where it looks like one."""
    count = 0
    for value in reversed(_fields(line)[1:]):
        if not _is_number(value):
            break
        count += 1
    return count


def _is_text(head: bytes) -> bool:
    """Whether the first vector is written in digits; the last field may be cut off by the end of the look ahead."""
    fields = _fields(head.partition(b"\n")[0])
    looked_at = fields[-4:-1] if len(fields) > 4 else fields[1:]
    return bool(looked_at) and all(map(_is_number, looked_at))


def _is_number(value: bytes) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _finite(vector: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    if not np.isfinite(vector).all():
        raise DataError(f"{where}: the vector holds a number that is not finite")
    return vector
