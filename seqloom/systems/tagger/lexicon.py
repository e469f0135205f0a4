"""What a word list says about each character: the longest known word that begins, ends, or reaches across there.

A network that trains on features of its own training words would learn to trust them blindly, and fail on unknown words.
So in training each tenth of the sentences is looked up among the words of the other nine tenths alone (jackknifing): words
that occur in one place only are unknown there, as often as words of new text will be.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import code_points
from seqloom.data.trie import Trie
from seqloom.data.vocabulary import Vocabulary

__all__ = ["LexiconFeature"]

Ids = NDArray[np.int64]

FOLDS = 10
_LONGEST = 4  # lengths from here on are one class
_BEGIN, _END, _ACROSS = (
    _LONGEST,
    _LONGEST,
    _LONGEST - 1,
)  # classes of each aspect: none, then 2, 3, 4 or more characters


class LexiconFeature:
    """One of 48 classes per character, from the words of two characters and more in a list.

    Args:
        vocabulary: the words.
    """

    size = 1 + _BEGIN * _END * _ACROSS  # 0 is padding

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        self._trie = Trie.build(vocabulary.entries)

    @classmethod
    def fit(cls, lines: Sequence[Sequence[str]], minimum_count: int = 1) -> Self:
        """The words of segmented training lines."""
        return cls(Vocabulary.build((word for words in lines for word in words if len(word) > 1), minimum_count))

    def encode(self, texts: Sequence[str]) -> Ids:
        """(N,) classes of all characters of all texts, one after the other."""
        return self._classes(texts, None)

    def encode_jackknifed(self, lines: Sequence[Sequence[str]]) -> Ids:
        """The same for the training lines themselves, each tenth under the words of the other nine."""
        fold = np.arange(len(lines)) * FOLDS // max(len(lines), 1)
        ids = self.vocabulary.lookup([word for words in lines for word in words])
        owners = np.repeat(fold, [len(words) for words in lines])
        counts = np.zeros((FOLDS, len(self.vocabulary)), dtype=np.int64)
        np.add.at(counts, (owners, ids), 1)
        known = counts.sum(axis=0) > counts
        return self._classes(["".join(words) for words in lines], known[fold])

    def _classes(self, texts: Sequence[str], known: NDArray[np.bool_] | None) -> Ids:
        """``known`` (texts, words) says which words a text may use; all of them where it is None."""
        # A character between texts that is in no word keeps matches inside their text.
        points = code_points("\n".join([*texts, ""]))
        characters = self._trie.alphabet[points].copy()
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        gaps = np.cumsum(lengths + 1) - 1
        characters[gaps] = 0
        owner = np.repeat(np.arange(len(texts)), lengths + 1)
        begin, end, across = (np.zeros(len(points), dtype=np.int64) for _ in range(3))
        for length, starts, words in self._trie.matches(characters):
            if known is not None:
                allowed = known[owner[starts], words + len(self.vocabulary) - len(self.vocabulary.entries)]
                starts = starts[allowed]
            # Lengths rise, so a later word is never shorter and simply takes the place.
            kind = min(length, _LONGEST) - 1
            begin[starts] = kind
            end[starts + length - 1] = kind
            for inside in range(1, length - 1):
                across[starts + inside] = min(length, _LONGEST) - 2
        classes = 1 + (begin * _END + end) * _ACROSS + across
        inner = np.ones(len(points), dtype=bool)
        inner[gaps] = False
        return classes[inner]

    def save(self, path: Path) -> None:
        """Writes the words as JSON."""
        self.vocabulary.save(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what :meth:`save` wrote; ModelError where it is damaged."""
        return cls(Vocabulary.load(path))
