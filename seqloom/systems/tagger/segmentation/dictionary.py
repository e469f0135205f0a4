"""Words and how often they occur: a base that is counted or loaded, and entries that a user adds on top.

A user entry never makes things worse. Its frequency is optional, can raise but never lower the count of a base word, and does
not change the probability of any other word. Its priority says how strong it is:

* ``force``: wherever it matches it is a word, for every method. Where forced words overlap, the leftmost wins, and the longest
  of those that begin there.
* ``prefer``: methods that score words (unigram, bigram) give it at least the score of the best other reading of its
  characters, plus a margin; taggers give it where they cut at both its ends; maximum matching and fewest words treat it as
  any word. Words that reach across its ends may still beat it.

The order in which files and entries are added never matters: the larger frequency, the stronger priority and the
alphabetically first tag are kept.
"""

import dataclasses
import gzip
import lzma
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from seqloom.data.trie import Trie
from seqloom.errors import DataError
from seqloom.outside import limit, raising
from seqloom.systems.tagger.segmentation.config import Priority
from seqloom.systems.tagger.segmentation.method import Arrays

__all__ = ["Dictionary", "FileReport", "UserEntry", "pack_words", "read_word_file", "unpack_words"]


_LISTED = 10  # lines that could not be used, each with its reason
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# Of a Latin word and another, whether that is its tag: those of jieba, HanLP, the People's Daily and the Chinese Treebank.
_USUAL_TAG = re.compile(r"[a-z]|[acdfghijkmnpqrstuvxyz][a-z]g?|eng|n[rstzxl][fgij]?|n[rst][0-9]|[A-Z]{1,3}")
_PRIORITIES: tuple[Priority, ...] = ("prefer", "force")  # from weak to strong


@dataclass(frozen=True, slots=True)
class UserEntry:
    """What a user said about one word: how strong it is, how frequent (or None), and its tag (or "")."""

    priority: Priority = "prefer"
    frequency: float | None = None
    tag: str = ""

    def joined(self, other: "UserEntry") -> "UserEntry":
        """Both entries in one; the order does not matter."""
        frequencies = [entry.frequency for entry in (self, other) if entry.frequency is not None]
        return UserEntry(
            max(self.priority, other.priority, key=_PRIORITIES.index),
            max(frequencies, default=None),
            min(filter(None, (self.tag, other.tag)), default=""),
        )


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of the lines of one file; ``str()`` says it in a sentence."""

    path: str
    loaded: int
    blank: int
    repeated: int
    skipped: tuple[tuple[int, str], ...] = ()  # line and reason

    def __str__(self) -> str:
        skipped = f"{self.blank} blank and {self.repeated} repeated lines skipped"
        reasons = [f"\n{self.path}:{line}: skipped, {reason}" for line, reason in self.skipped[:_LISTED]]
        if len(self.skipped) > _LISTED:
            reasons.append(
                f"\n{self.path}: {len(self.skipped):,} lines skipped in all, the last is {self.skipped[-1][0]}"
            )
        return f"{self.path}: {self.loaded} words loaded, {skipped}" + "".join(reasons)


@dataclass(frozen=True)
class Dictionary:
    """Words with counts, and a user's entries. Values never change; adding words gives a new dictionary.

    Attributes:
        base: the base words, distinct, none empty.
        base_counts: (len(base),) float64, not negative.
        user: the user's entries by word.
        reports: one per file that was read.

    >>> small = Dictionary.from_counts({"中国": 5, "国人": 1}).with_words({"中国人": UserEntry("force")})
    >>> small.words, small.counts.tolist()
    (('中国', '国人', '中国人'), [5.0, 1.0, 0.0])
    """

    base: tuple[str, ...]
    base_counts: NDArray[np.float64]
    user: Mapping[str, UserEntry] = dataclasses.field(default_factory=dict)
    reports: tuple[FileReport, ...] = ()

    def __post_init__(self) -> None:
        if len(self.base) != len(self.base_counts):
            raise ValueError(f"{len(self.base)} words have {len(self.base_counts)} counts; expected one each")
        if "" in self.user or "" in self.base_index:
            raise ValueError("a dictionary word is empty; expected at least one character")
        if len(self.base_index) != len(self.base):
            raise ValueError("a base word of the dictionary occurs twice; expected distinct words")
        if len(self.base_counts) and not (np.isfinite(self.base_counts) & (self.base_counts >= 0)).all():
            raise ValueError("a count of the dictionary is negative or not finite; expected 0 or more")

    @classmethod
    def from_counts(cls, counts: Mapping[str, float]) -> Self:
        """A dictionary of these words, in code-point order whatever the order of the mapping."""
        base = tuple(sorted(counts))
        return cls(base, np.array([counts[word] for word in base], dtype=np.float64))

    @classmethod
    def from_lines(cls, lines: Iterable[list[str]]) -> Self:
        """Count the words of segmented lines, such as training data."""
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(line)
        del counts[""]
        return cls.from_counts(counts)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """A base dictionary from a file of ``word [frequency] [tag]``; words without a frequency count once."""
        entries, report = read_word_file(path)
        counts = {word: 1.0 if entry.frequency is None else entry.frequency for word, entry in entries.items()}
        return dataclasses.replace(cls.from_counts(counts), reports=(report,))

    def with_words(self, entries: Mapping[str, UserEntry]) -> Self:
        """This dictionary and a user's entries."""
        user = dict(self.user)
        for word, entry in entries.items():
            known = user.get(word)
            user[word] = entry if known is None else known.joined(entry)
        return dataclasses.replace(self, user=user)

    def with_file(self, path: str | Path, priority: Priority = "prefer") -> Self:
        """This dictionary and a user's file of words; ``reports`` tells what was loaded, and which lines were not.

        Raises:
            DataError: the file cannot be read or decoded.
        """
        entries, report = read_word_file(path, priority)
        return dataclasses.replace(self.with_words(entries), reports=(*self.reports, report))

    def folded(self, change: Callable[[str], str]) -> Self:
        """This dictionary with the user's words as a segmenter reads its text; those that become one are merged.

        >>> words = Dictionary.from_counts({}).with_words({"ａ": UserEntry(), "a": UserEntry(tag="n")})
        >>> words.folded(lambda word: word.replace("ａ", "a")).user
        {'a': UserEntry(priority='prefer', frequency=None, tag='n')}
        """
        found = dataclasses.replace(self, user={})
        for word, entry in self.user.items():
            known = found.user.get(change(word))
            cast(dict[str, UserEntry], found.user)[change(word)] = entry if known is None else known.joined(entry)
        return found

    def without_user_words(self) -> Self:
        """The base alone."""
        return dataclasses.replace(self, user={}, reports=())

    @cached_property
    def base_index(self) -> dict[str, int]:
        """The id of each base word."""
        return {word: place for place, word in enumerate(self.base)}

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words by id: the base, then the user's own in code-point order, so that base ids never move."""
        return self.base + tuple(sorted(word for word in self.user if word not in self.base_index))

    @cached_property
    def index(self) -> dict[str, int]:
        """The id of each word."""
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """(words,) the count of each word, raised to the user's frequency where one is given."""
        counts = np.zeros(len(self.words))
        counts[: len(self.base)] = self.base_counts
        for word, entry in self.user.items():
            place = self.index[word]
            counts[place] = max(counts[place], entry.frequency or 0.0)
        return counts

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(words,) characters per word."""
        return np.fromiter(map(len, self.words), np.int64, len(self.words))

    @cached_property
    def forced(self) -> NDArray[np.bool_]:
        """(words,) whether a word is one wherever it matches."""
        forced = np.zeros(len(self.words), dtype=bool)
        forced[[self.index[word] for word, entry in self.user.items() if entry.priority == "force"]] = True
        return forced

    @cached_property
    def by_user(self) -> NDArray[np.bool_]:
        """(words,) whether a word is among the user's entries."""
        by_user = np.zeros(len(self.words), dtype=bool)
        by_user[[self.index[word] for word in self.user]] = True
        return by_user

    @cached_property
    def trie(self) -> Trie:
        """All words, ready to be searched; compiled at the first use."""
        return Trie.build(self.words)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.base_index or word in self.user

    def arrays(self) -> Arrays:
        """The dictionary as arrays, for a model file; `from_arrays` reads them."""
        users = sorted(self.user)
        entries = [self.user[word] for word in users]
        frequencies = [math.nan if entry.frequency is None else entry.frequency for entry in entries]
        return {
            "counts": self.base_counts.astype(np.float64),
            **pack_words("words", self.base),
            **pack_words("user_words", users),
            **pack_words("user_tags", [entry.tag for entry in entries]),
            "user_frequencies": np.array(frequencies, dtype=np.float64),
            "user_priorities": np.array([_PRIORITIES.index(entry.priority) for entry in entries], dtype=np.int8),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str = "") -> Self:
        """The dictionary that `arrays` described, from arrays whose names begin with ``prefix``."""
        priorities: list[Priority] = [_PRIORITIES[place] for place in arrays[f"{prefix}user_priorities"].tolist()]
        frequencies = [None if math.isnan(value) else value for value in arrays[f"{prefix}user_frequencies"].tolist()]
        entries = map(UserEntry, priorities, frequencies, unpack_words(f"{prefix}user_tags", arrays))
        user = dict(zip(unpack_words(f"{prefix}user_words", arrays), entries, strict=True))
        counts = np.asarray(arrays[f"{prefix}counts"], dtype=np.float64)
        return cls(tuple(unpack_words(f"{prefix}words", arrays)), counts, user)


def pack_words(name: str, words: Iterable[str]) -> Arrays:
    """Strings as two arrays, their UTF-8 bytes and their lengths in bytes; any characters, even lone surrogates."""
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    return {
        f"{name}.bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{name}.lengths": np.array([len(word) for word in encoded], dtype=np.int32),
    }


def unpack_words(name: str, arrays: Arrays) -> list[str]:
    """The strings that `pack_words` packed.

    >>> unpack_words("words", pack_words("words", ["中国", "", "人"]))
    ['中国', '', '人']
    """
    data, lengths = arrays[f"{name}.bytes"].tobytes(), arrays[f"{name}.lengths"]
    if lengths.dtype.kind not in "iu" or lengths.min(initial=0) < 0 or int(lengths.sum()) != len(data):
        raise ValueError(f"the lengths of {name} are not those of its {len(data)} bytes")
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    return [data[begin:end].decode("utf-8", "surrogatepass") for begin, end in zip([0, *ends], ends, strict=False)]


def read_word_file(path: str | Path, priority: Priority = "prefer") -> tuple[dict[str, UserEntry], FileReport]:
    """Read a file of words, one a line: UTF-8, plain or ``.gz`` or ``.xz``; a BOM and CRLF are tolerated.

    A line is ``word [frequency] [tag]`` as jieba has it or ``word tag frequency [tag frequency ...]`` as HanLP has it,
    where the frequencies are summed and the first tag counts; white space or commas part the fields. A word that is
    repeated keeps its larger frequency. A line that is none of this, or whose word has white space inside, which no word
    of a text has, is left out, and the report names it.

    Raises:
        DataError: the file cannot be read or decoded.
    """
    if priority not in _PRIORITIES:
        raise ValueError(f"priority is {priority!r}; expected one of {', '.join(_PRIORITIES)}")
    entries: dict[str, UserEntry] = {}
    blank = repeated = 0
    skipped: list[tuple[int, str]] = []
    for number, line in enumerate(_read_text(Path(path)).split("\n"), start=1):
        fields = _fields(line)
        if not fields:
            blank += 1
            continue
        word = fields[0]
        try:
            frequency, tag = _frequency_and_tag(word, fields[1:])
        except ValueError as error:
            skipped.append((number, f"{error}; the line is {line.strip()!r}"))
            continue
        entry = UserEntry(priority, frequency, tag)
        known = entries.get(word)
        repeated += known is not None
        entries[word] = entry if known is None else known.joined(entry)
    blank -= 1 if blank and not line else 0  # what follows the last line end is no line
    return entries, FileReport(str(path), len(entries), blank, repeated, tuple(skipped))


def _fields(line: str) -> list[str]:
    """Word, frequency and tag of a line.

    >>> _fields("深度学习,n,100"), _fields("1,000")
    (['深度学习', 'n', '100'], ['1,000'])
    """
    fields = line.split()
    if len(fields) == 1 and "," in line:
        word, *rest = fields[0].split(",")
        if (
            word
            and not word[-1].isdigit()
            and all(not part or _number(part) is not None or _is_tag(word, part) for part in rest)
        ):
            return [word, *filter(None, rest)]
    return fields


def _number(field: str) -> float | None:
    """A frequency, or None."""
    try:
        value = float(field)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _is_tag(word: str, field: str) -> bool:
    # Behind a word of Latin letters may come another: "New York" has no tag "York".
    return (_USUAL_TAG if word[-1:].isascii() else _TAG).fullmatch(field) is not None


def _frequency_and_tag(word: str, fields: list[str]) -> tuple[float | None, str]:
    if not fields:
        return None, ""
    if len(fields) == 1 and _is_tag(word, fields[0]):
        return None, fields[0]
    frequency = _number(fields[0])
    if frequency is not None and len(fields) <= 2:
        return frequency, fields[1] if len(fields) == 2 else ""
    tags, numbers = fields[::2], [_number(field) for field in fields[1::2]]
    if len(fields) % 2 == 0 and all(_is_tag(word, tag) for tag in tags) and None not in numbers:
        return sum(number for number in numbers if number is not None), tags[0]
    if frequency is not None or (len(fields) > 2 and _is_tag(word, fields[0])):
        raise ValueError(f"{len(fields) + 1} fields, expected 'word [frequency] [tag]' or 'word tag frequency'")
    if not fields[0][0].isalpha() or fields[0] in ("nan", "inf"):
        raise ValueError(f"{fields[0]!r} is not a frequency; expected a number from 0 up, or none at all")
    raise ValueError(f"the word {word + ' ' + fields[0]!r} has white space inside, which parts words")


def _read_text(path: Path) -> str:
    try:
        packed = path.read_bytes()
        most = max(limit("UNPACKED"), 100 * len(packed))
        openers: dict[str, Callable[[Any], Any]] = {".gz": gzip.open, ".xz": lzma.open}
        opener = openers.get(path.suffix, lambda whole: whole)
        data: bytes = opener(BytesIO(packed)).read(most + 1)
    except OSError as error:
        raise DataError(f"{path}: the word file cannot be read: {error.strerror or error}") from error
    except (lzma.LZMAError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the word file is not intact {path.suffix[1:]} data: {error}") from error
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{path}: the word file cannot be read: {error}") from error
    if len(data) > most:
        raise DataError(f"{path}: the word file unpacks to more than {most:,} bytes; {raising('UNPACKED')}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8"
        raise DataError(f"{path}:{line}: {problem}; convert the word file to UTF-8") from error
