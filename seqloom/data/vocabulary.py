"""Names to numbers: words and tags. Characters and pairs of characters have a faster way, in ``characters.py``."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from seqloom.data.files import write_atomic
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError, ModelError, did_you_mean
from seqloom.outside import MISFITS, UnreadableError, parse_json, read_whole

__all__ = [
    "END",
    "IGNORED",
    "PADDING",
    "SPECIALS",
    "START",
    "UNKNOWN",
    "TagVocabulary",
    "Vocabulary",
    "load_json",
    "ordered_by_count",
    "save_json",
    "strings",
    "whole_numbers",
]

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
IGNORED = -100  # the target of padding among tags: what torch's losses skip

_FORMAT = 1

Loaded = TypeVar("Loaded")


class _Ids(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return UNKNOWN


class Vocabulary:
    """Words with fixed ids: ``<pad>`` 0, ``<unk>`` 1, ``<s>`` 2, ``</s>`` 3, then the entries from 4.

    A text that holds the string ``<unk>`` means id 1 (corpora are distributed so); the strings of the other three
    have no meaning inside a text and are unknown words there, so that no text can turn into padding.

    >>> vocabulary = Vocabulary.build(["b", "a", "b", "c"], min_count=1)
    >>> vocabulary.names([4, 5, 6]), vocabulary.lookup(["b", "zzz"]).tolist()
    (['b', 'a', 'c'], [4, 1])
    """

    def __init__(self, entries: Sequence[str], counts: Sequence[int] | NDArray[np.int64] | None = None) -> None:
        """Entries get the ids 4, 5, ... in their order; ``counts`` are those of the training data, where known.

        Raises:
            ValueError: an entry occurs twice or is a special symbol, or the counts do not match the entries.
        """
        self._names = [*SPECIALS, *entries]
        self._ids = _Ids(zip(entries, range(len(SPECIALS), len(self._names)), strict=True))
        if len(self._ids) != len(entries):
            twice = next(name for name, count in Counter(entries).items() if count > 1)
            raise ValueError(f"the vocabulary holds {twice!r} twice")
        for special in SPECIALS:
            if special in self._ids:
                raise ValueError(f"{special!r} is a fixed symbol of every vocabulary and cannot be an entry")
        self._ids[SPECIALS[UNKNOWN]] = UNKNOWN
        self.counts = np.zeros(len(self._names), np.int64)
        if counts is not None:
            self.counts[len(SPECIALS) :] = whole_numbers(counts, len(entries))

    @classmethod
    def build(cls, items: Iterable[str], min_count: int = 1, max_size: int | None = None) -> Self:
        """The vocabulary of a training text: most frequent first, ties in the order of their code points.

        ``max_size`` limits the entries, not counting the four fixed symbols.
        """
        counted = Counter(items)
        for special in SPECIALS:
            counted.pop(special, None)
        chosen = ordered_by_count(counted, min_count)[:max_size]
        return cls(chosen, [counted[name] for name in chosen])

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids and name != SPECIALS[UNKNOWN]

    def __getitem__(self, name: str) -> int:
        """The id of one name, ``<unk>``'s where it is not an entry."""
        return self._ids[name]

    @property
    def entries(self) -> list[str]:
        """The names from id 4 on."""
        return self._names[len(SPECIALS) :]

    def lookup(self, items: Sequence[str]) -> NDArray[np.int64]:
        """(T,) ids of T names; unknown ones are 1."""
        return np.fromiter(map(self._ids.__getitem__, items), np.int64, len(items))

    def names(self, ids: Iterable[int]) -> list[str]:
        """The names of ids, the inverse of `lookup` but for unknown names."""
        return [self._names[index] for index in ids]

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON, readable and without code."""
        save_json(
            path, {"kind": "vocabulary", "entries": self.entries, "counts": self.counts[len(SPECIALS) :].tolist()}
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelError where the file is missing, damaged or of another kind."""
        return load_json(path, "vocabulary", lambda state: cls(strings(state["entries"]), state["counts"]))


class TagVocabulary:
    """The labels that a model chooses between: ids from 0, no unknown label, padding is `IGNORED`.

    >>> tags = TagVocabulary.build(["O", "B-PER", "O"])
    >>> tags.entries, tags.lookup(["B-PER", "O"]).tolist()
    (['O', 'B-PER'], [1, 0])
    """

    def __init__(self, entries: Sequence[str], counts: Sequence[int] | NDArray[np.int64] | None = None) -> None:
        """Entries get the ids 0, 1, ... in their order.

        Raises:
            ValueError: no entries, one of them twice, or counts that do not match.
        """
        self._names = list(entries)
        self._ids = {name: index for index, name in enumerate(self._names)}
        if not self._names:
            raise ValueError("a tag vocabulary needs at least one tag")
        if len(self._ids) != len(self._names):
            twice = next(name for name, count in Counter(self._names).items() if count > 1)
            raise ValueError(f"the tag vocabulary holds {twice!r} twice")
        size = len(self._names)
        self.counts = np.zeros(size, np.int64) if counts is None else whole_numbers(counts, size)

    @classmethod
    def build(cls, items: Iterable[str]) -> Self:
        """The tags of the training data, most frequent first, ties in the order of their code points."""
        counted = Counter(items)
        chosen = ordered_by_count(counted)
        return cls(chosen, [counted[name] for name in chosen])

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._ids

    def __getitem__(self, name: str) -> int:
        return int(self.lookup([name])[0])

    @property
    def entries(self) -> list[str]:
        """The tags, by id."""
        return list(self._names)

    def lookup(self, tags: Sequence[str], sentence: Sentence | None = None) -> NDArray[np.int64]:
        """(T,) ids of T tags.

        Raises:
            DataError: a tag does not occur in the training data; with ``sentence``, the message begins with the
                file and the line of its token.
        """
        try:
            return np.fromiter(map(self._ids.__getitem__, tags), np.int64, len(tags))
        except KeyError:
            index = next(index for index, tag in enumerate(tags) if tag not in self._ids)
            raise DataError(self._unseen(tags[index], index, sentence)) from None

    def lookup_sentence(self, sentence: Sentence) -> NDArray[np.int64]:
        """(T,) ids of a sentence's own tags. Raises DataError where it has none, or one that training has not."""
        if sentence.tags is None:
            raise DataError(f"{sentence.where()}: the sentence has no tags; expected one per token")
        return self.lookup(sentence.tags, sentence)

    def names(self, ids: Iterable[int]) -> list[str]:
        """The tags of ids."""
        return [self._names[index] for index in ids]

    def save(self, path: str | Path) -> None:
        """Write the tags as JSON."""
        save_json(path, {"kind": "tags", "entries": self._names, "counts": self.counts.tolist()})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelError where the file is missing, damaged or of another kind."""
        return load_json(path, "tags", lambda state: cls(strings(state["entries"]), state["counts"]))

    def _unseen(self, tag: str, index: int, sentence: Sentence | None) -> str:
        where = f"{sentence.where(index)}: " if sentence is not None else ""
        return f"{where}tag {tag!r} does not occur in the training data{did_you_mean(tag, self._names)}"


def ordered_by_count(counted: Mapping[str, int], min_count: int = 1) -> list[str]:
    """Names that occur often enough, most frequent first, ties by code point: the same on every machine."""
    return sorted(
        (name for name, count in counted.items() if count >= min_count), key=lambda name: (-counted[name], name)
    )


def save_json(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a vocabulary's state, with a version, so that later readers can tell."""
    whole = {"format": _FORMAT, **state}
    text = json.dumps(whole, ensure_ascii=False)
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold only as an escape
        data = json.dumps(whole).encode("ascii")
    write_atomic(path, data + b"\n")


def load_json(path: str | Path, kind: str, build: Callable[[dict[str, Any]], Loaded]) -> Loaded:
    """Read and validate a vocabulary's state.

    Raises:
        ModelError: the file is missing, is not JSON, is of another kind or version, or ``build`` refuses its content.
    """
    try:
        data = read_whole(Path(path), "JSON")
    except UnreadableError as problem:
        raise ModelError(f"{path}: cannot be read ({problem}); the model directory is incomplete") from None
    try:
        state = parse_json(data)
    except UnreadableError as problem:
        raise ModelError(f"{path}: is damaged, not JSON ({problem}); restore the model directory") from None
    if not isinstance(state, dict) or state.get("kind") != kind:
        actual_kind = state.get("kind") if isinstance(state, dict) else type(state).__name__
        raise ModelError(
            f"{path}: expected a file of kind {kind!r}, found {actual_kind!r}; restore the model directory"
        )
    if state.get("format") != _FORMAT:
        raise ModelError(f"{path}: has format {state.get('format')!r}, this seqloom reads {_FORMAT}; update seqloom")
    try:
        return build(state)
    except MISFITS as problem:
        detail = f"{problem.args[0]!r} is missing" if isinstance(problem, KeyError) else str(problem)
        raise ModelError(f"{path}: is damaged ({detail}); restore the model directory") from None


def strings(value: object) -> list[str]:
    """The value, where it is a list of strings. Raises TypeError where it is not."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise TypeError("the entries are not a list of strings")
    return value


def whole_numbers(values: Sequence[int] | NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(size,) numbers, one per entry. Raises ValueError where there are more, fewer, negative or broken ones."""
    given = np.asarray(values)
    if given.shape != (size,) or (size and given.dtype.kind not in "iu"):
        raise ValueError(f"expected {size} whole numbers, one per entry, found {given.size}")
    if (given < 0).any():
        raise ValueError(f"number {int(np.flatnonzero(given < 0)[0])} is below zero")
    return given.astype(np.int64)
