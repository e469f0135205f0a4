"""Characters, and pairs of neighbouring characters, to numbers: whole corpora at once, without a loop in Python.

A batch is one flat array of ids and its offsets: row ``b`` is ``ids[offsets[b] : offsets[b + 1]]``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vocabulary import END, SPECIALS, START, UNKNOWN, load_json, save_json, strings, whole_numbers

__all__ = ["BigramVocabulary", "CharacterVocabulary", "FlatBatch", "code_points"]

_Ids = NDArray[np.int64]


class FlatBatch(NamedTuple):
    """Rows of different lengths laid end to end: ids (N,), offsets (B + 1,)."""

    ids: _Ids
    offsets: _Ids

    @property
    def lengths(self) -> _Ids:
        """(B,) number of ids of each row."""
        return np.diff(self.offsets)


def code_points(text: str) -> NDArray[np.uint32]:
    """(T,) code points of a text of T characters, halves of surrogate pairs included.

    >>> code_points("a中").tolist()
    [97, 20013]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class CharacterVocabulary:
    """Characters with the fixed ids of every vocabulary (``<pad>`` 0, ``<unk>`` 1, ``<s>`` 2, ``</s>`` 3).

    Looking up is one gather from a table over code points.

    >>> characters = CharacterVocabulary.build(["中国人", "中间"])
    >>> characters.encode("中X").tolist()
    [4, 1]
    """

    def __init__(self, characters: Sequence[str], counts: Sequence[int] | _Ids | None = None) -> None:
        """Characters get the ids 4, 5, ... in their order.

        Raises:
            ValueError: an entry is not one character or occurs twice, or the counts do not match.
        """
        for character in characters:
            if len(character) != 1:
                raise ValueError(f"{character!r} is not one character")
        points = code_points("".join(characters)).astype(np.int64)
        if np.unique(points).size != points.size:
            raise ValueError("the character vocabulary holds a character twice")
        self._names = [*SPECIALS, *characters]
        # The last cell stands for every code point beyond the largest known one.
        self._table = np.full(int(points.max(initial=-1)) + 2, UNKNOWN, np.int64)
        self._table[points] = np.arange(len(SPECIALS), len(self._names))
        self.counts = np.zeros(len(self._names), np.int64)
        if counts is not None:
            self.counts[len(SPECIALS) :] = whole_numbers(counts, len(characters))

    @classmethod
    def build(cls, texts: Iterable[str], min_count: int = 1) -> Self:
        """The characters of a training text, most frequent first, ties in the order of their code points."""
        points = code_points("".join(texts))
        counts = np.bincount(points) if points.size else np.zeros(0, np.int64)
        kept = np.flatnonzero(counts >= max(min_count, 1))
        kept = kept[np.argsort(-counts[kept], kind="stable")]
        return cls([chr(point) for point in kept.tolist()], counts[kept])

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, character: str) -> bool:
        return len(character) == 1 and bool(self.encode(character)[0] != UNKNOWN)

    @property
    def entries(self) -> list[str]:
        """The characters from id 4 on."""
        return self._names[len(SPECIALS) :]

    def encode(self, text: str) -> _Ids:
        """(T,) ids of a text of T characters; unknown ones are 1."""
        points = np.minimum(code_points(text), np.uint32(self._table.size - 1))
        return self._table[points]

    def encode_batch(self, texts: Sequence[str]) -> FlatBatch:
        """The ids of B texts, laid end to end."""
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
        return FlatBatch(self.encode("".join(texts)), offsets)

    def names(self, ids: Iterable[int]) -> list[str]:
        """The characters of ids."""
        return [self._names[index] for index in ids]

    def save(self, path: str | Path) -> None:
        """Write the characters as JSON."""
        save_json(
            path, {"kind": "characters", "entries": self.entries, "counts": self.counts[len(SPECIALS) :].tolist()}
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelError where the file is missing, damaged or of another kind."""

        return load_json(path, "characters", lambda state: cls(strings(state["entries"]), state["counts"]))


class BigramVocabulary:
    """Pairs of neighbouring characters with the fixed ids of every vocabulary.

    A sentence is read as ``<s> c1 ... cn </s>``. A pair is its two character ids in one integer,
    ``left * characters + right``; the pairs are kept sorted and found by bisection. A pair with an unknown character
    is unknown.
    """

    def __init__(self, characters: int, keys: Sequence[int] | _Ids, counts: Sequence[int] | _Ids | None = None) -> None:
        """Pairs get the ids 4, 5, ... in the order of ``keys``.

        Args:
            characters: the length of the character vocabulary that the pairs were made with.
            keys: ``left * characters + right`` of each pair.
            counts: how often each occurs in the training text, where known.
        Raises:
            ValueError: a key is out of range or occurs twice, or the counts do not match.
        """
        self.characters = int(characters)
        self._keys = whole_numbers(keys, len(keys))
        if self._keys.size and int(self._keys.max()) >= self.characters**2:
            raise ValueError(f"a pair lies outside the {self.characters} characters of its vocabulary")
        order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[order]
        self._sorted_ids = order + len(SPECIALS)
        if (np.diff(self._sorted) == 0).any():
            raise ValueError("the bigram vocabulary holds a pair twice")
        self.counts = np.zeros(len(self), np.int64)
        if counts is not None:
            self.counts[len(SPECIALS) :] = whole_numbers(counts, self._keys.size)

    @classmethod
    def build(cls, batch: FlatBatch, characters: int, min_count: int = 1) -> Self:
        """The pairs of a training text, most frequent first, ties in the order of their keys.

        Args:
            batch: the text as `CharacterVocabulary.encode_batch` gives it.
            characters: ``len`` of that vocabulary.
        """
        left, last = _pairs(batch, characters)
        keys = np.concatenate([left, last])
        first, second = np.divmod(keys, characters)
        pairs, counts = np.unique(keys[(first != UNKNOWN) & (second != UNKNOWN)], return_counts=True)
        kept = np.flatnonzero(counts >= min_count)
        kept = kept[np.argsort(-counts[kept], kind="stable")]
        return cls(characters, pairs[kept], counts[kept])

    def __len__(self) -> int:
        return len(SPECIALS) + self._keys.size

    def encode_batch(self, batch: FlatBatch) -> tuple[_Ids, _Ids]:
        """For each character the id of the pair with its left and with its right neighbour: two arrays of shape (N,).

        The first character's left neighbour is ``<s>``, the last one's right neighbour ``</s>``.
        """
        left_keys, last_keys = _pairs(batch, self.characters)
        left = self._find(left_keys)
        right = np.empty_like(left)
        right[:-1] = left[1:]
        starts, ends = batch.offsets[:-1], batch.offsets[1:]
        right[ends[ends > starts] - 1] = self._find(last_keys)
        return left, right

    def pairs(self) -> tuple[_Ids, _Ids]:
        """The left and the right character id of each entry, in the order of the ids from 4 on."""
        left, right = np.divmod(self._keys, max(self.characters, 1))
        return left, right

    def save(self, path: str | Path) -> None:
        """Write the pairs as JSON."""
        counts = self.counts[len(SPECIALS) :].tolist()
        state = {"kind": "bigrams", "characters": self.characters, "keys": self._keys.tolist(), "counts": counts}
        save_json(path, state)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. Raises ModelError where the file is missing, damaged or of another kind."""
        return load_json(path, "bigrams", lambda state: cls(state["characters"], state["keys"], state["counts"]))

    def _find(self, keys: _Ids) -> _Ids:
        if not self._sorted.size:
            return np.full(keys.shape, UNKNOWN, np.int64)
        places = np.searchsorted(self._sorted, keys)
        np.minimum(places, self._sorted.size - 1, out=places)
        return np.where(self._sorted[places] == keys, self._sorted_ids[places], UNKNOWN)


def _pairs(batch: FlatBatch, characters: int) -> tuple[_Ids, _Ids]:
    """Keys of (left, character) for each character, and of (last character, ``</s>``) for each row that has any."""
    ids, offsets = batch
    starts, ends = offsets[:-1], offsets[1:]
    filled = ends > starts
    before = np.empty_like(ids)
    before[1:] = ids[:-1]
    before[starts[filled]] = START
    return before * characters + ids, ids[ends[filled] - 1] * characters + END
