"""How often one word follows another, in a form that NumPy can search."""

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.systems.tagger.segmentation.dictionary import Dictionary

__all__ = ["BigramCounts"]

Scores = NDArray[np.float64]
Integers = NDArray[np.int64]


class BigramCounts:
    """How often one base word follows another; ``size`` .. ``size + 2`` stand for unknown, begin and end of a sentence.

    Attributes:
        size: number of base words.
        keys: (pairs,) int64, ascending, ``left * (size + 3) + right``.
        counts: (pairs,) float64.
        contexts: (size + 3,) float64, how often each word is on the left.
    """

    def __init__(self, size: int, keys: Integers, counts: Scores) -> None:
        within = keys.ndim == 1 and keys.min(initial=0) >= 0 and keys.max(initial=0) < (size + 3) ** 2
        if not within or keys.dtype.kind != "i" or (np.diff(keys) <= 0).any():
            raise ValueError(f"the keys of the bigrams are not those of {size} words in rising order")
        if counts.shape != keys.shape or not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError("a count of the bigrams is negative or not finite; expected one of 0 or more for each")
        self.size = size
        self.keys = keys
        self.counts = counts
        self.contexts = np.bincount(keys // (size + 3), weights=counts, minlength=size + 3).astype(np.float64)
        self.sentences = float(self.contexts[size + 1])

    @classmethod
    def count(cls, dictionary: Dictionary, lines: Iterable[list[str]]) -> Self:
        """Count the pairs of segmented lines; words outside the dictionary count as unknown and form no pairs."""
        size, index = len(dictionary.base), dictionary.base_index
        unknown, begin, end = size, size + 1, size + 2
        ids: list[int] = []
        for line in lines:
            words = [index.get(word, unknown) for word in line if word]
            if words:
                ids += [begin, *words, end]
        sequence = np.array(ids, dtype=np.int64)
        left, right = sequence[:-1], sequence[1:]
        real = (left != end) & (left != unknown) & (right != unknown)
        keys, counts = np.unique(left[real] * (size + 3) + right[real], return_counts=True)
        return cls(size, keys, counts.astype(np.float64))

    def lookup(self, left: Integers, right: Integers) -> Scores:
        """(n,) counts of the pairs."""
        wanted = left * (self.size + 3) + right
        place = np.searchsorted(self.keys, wanted)
        place[place == len(self.keys)] = 0
        present = self.keys[place] == wanted if len(self.keys) else np.zeros(len(wanted), dtype=bool)
        counts: Scores = np.where(present, self.counts[place] if len(self.keys) else 0.0, 0.0)
        return counts
