"""Whole corpora of texts as flat arrays of ids: of words, of words within sentences, of pairs of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import FlatBatch
from seqloom.data.documents.tokens import Tokeniser
from seqloom.data.vocabulary import SPECIALS, START, Vocabulary, ordered_by_count

__all__ = ["NestedBatch", "bigram_ids", "encode_sentences", "encode_words", "fit_sentences", "fit_words"]

_Ids = NDArray[np.int64]


class NestedBatch(NamedTuple):
    """Documents of sentences of words, laid end to end.

    Attributes:
        ids: (N,) of words.
        words: (S + 1,) where each sentence begins in ``ids``, and the last one ends.
        sentences: (D + 1,) where each document begins in ``words``, and the last one ends.
    """

    ids: _Ids
    words: _Ids
    sentences: _Ids


class _Growing(dict[str, int]):
    """Numbers names in the order in which they are met."""

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number


def fit_words(
    tokeniser: Tokeniser, texts: Iterable[str], min_count: int = 1, max_size: int | None = None
) -> tuple[Vocabulary, FlatBatch]:
    """The vocabulary of training texts, and their ids; the texts are cut once, and their words never all held at once."""
    grown = _Growing()
    flat, offsets = _flat(map(tokeniser.words, texts), grown.__getitem__)
    vocabulary, ids = _settled(grown, flat, min_count, max_size)
    return vocabulary, FlatBatch(ids, offsets)


def fit_sentences(
    tokeniser: Tokeniser, texts: Iterable[str], min_count: int = 1, max_size: int | None = None
) -> tuple[Vocabulary, NestedBatch]:
    """As `fit_words`, of texts that are read in sentences."""
    grown = _Growing()
    flat, words, sentences = _nested(tokeniser, texts, grown.__getitem__)
    vocabulary, ids = _settled(grown, flat, min_count, max_size)
    return vocabulary, NestedBatch(ids, words, sentences)


def encode_words(tokeniser: Tokeniser, vocabulary: Vocabulary, texts: Iterable[str]) -> FlatBatch:
    """The ids of texts."""
    return FlatBatch(*_flat(map(tokeniser.words, texts), vocabulary.__getitem__))


def encode_sentences(tokeniser: Tokeniser, vocabulary: Vocabulary, texts: Iterable[str]) -> NestedBatch:
    """The ids of texts in sentences; a text without words has none."""
    return NestedBatch(*_nested(tokeniser, texts, vocabulary.__getitem__))


def bigram_ids(batch: FlatBatch, buckets: int) -> _Ids:
    """(N,) for each word a number from 1 to below ``buckets`` for it and the word before it, ``<s>`` before the first.

    Pairs share numbers by chance, as those of fastText do (Joulin et al. 2017); 0 is left for padding.

    Raises:
        ValueError: fewer than two buckets.
    """
    if buckets < 2:
        raise ValueError(f"buckets is {buckets}; expected at least 2")
    left = np.empty_like(batch.ids)
    left[1:] = batch.ids[:-1]
    starts = batch.offsets[:-1]
    left[starts[starts < len(left)]] = START
    with np.errstate(over="ignore"):
        mixed = left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + batch.ids.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return (1 + mixed % np.uint64(buckets - 1)).astype(np.int64)


def _flat(rows: Iterable[Sequence[str]], number: Callable[[str], int]) -> tuple[_Ids, _Ids]:
    parts = [np.fromiter(map(number, row), np.int32, len(row)) for row in rows]
    ids = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)
    return ids, _offsets([len(part) for part in parts])


def _nested(tokeniser: Tokeniser, texts: Iterable[str], number: Callable[[str], int]) -> tuple[_Ids, _Ids, _Ids]:
    counts: list[int] = []

    def rows() -> Iterable[Sequence[str]]:
        for text in texts:
            sentences = tokeniser.sentences(text)
            counts.append(len(sentences))
            yield from sentences

    ids, words = _flat(rows(), number)
    return ids, words, _offsets(counts)


def _offsets(lengths: Sequence[int]) -> _Ids:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _settled(grown: _Growing, flat: _Ids, min_count: int, max_size: int | None) -> tuple[Vocabulary, _Ids]:
    """The vocabulary of words that were numbered as they came, and the ids that it gives them."""
    names = list(grown)
    counted = dict(zip(names, np.bincount(flat, minlength=len(names)).tolist(), strict=True))
    for special in SPECIALS:
        counted.pop(special, None)
    chosen = ordered_by_count(counted, min_count)[:max_size]
    vocabulary = Vocabulary(chosen, [counted[name] for name in chosen])
    return vocabulary, vocabulary.lookup(names)[flat]
