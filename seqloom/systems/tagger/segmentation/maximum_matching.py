"""Greedy dictionary matching: forward, backward, and the better of the two."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np

from seqloom.errors import ConfigError
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.method import Arrays, Settings, bound_texts
from seqloom.systems.tagger.segmentation.word_lattice import TextBlock, WordLattice, build_lattice

__all__ = ["Direction", "MaximumMatching"]

Direction = Literal["fmm", "bmm", "bimm"]

_DIRECTIONS = ("fmm", "bmm", "bimm")
_BLOCK = 500_000  # characters; about 100 MB of arrays at the peak


class MaximumMatching:
    """The longest dictionary word at each place, again and again (Liang 1983).

    ``fmm`` goes from the left, ``bmm`` from the right. ``bimm`` runs both and takes the reading with fewer words; at equal
    numbers the one with fewer single characters; at equal numbers again the backward one.

    Args:
        dictionary: the words. Forced user words are respected in every direction.
        direction: ``fmm``, ``bmm`` or ``bimm``.
        join_runs: keep runs of Latin letters and digits whole.

    >>> words = dict.fromkeys(["乒乓", "乒乓球", "乒乓球拍", "球拍", "拍卖"], 1)
    >>> MaximumMatching(Dictionary.from_counts(words), "fmm").segment(["乒乓球拍卖了"])
    [['乒乓球拍', '卖', '了']]
    """

    def __init__(self, dictionary: Dictionary, direction: Direction = "bimm", *, join_runs: bool = True) -> None:
        if direction not in _DIRECTIONS:
            raise ConfigError(f"direction is {direction!r}; expected one of {', '.join(_DIRECTIONS)}")
        self.dictionary = dictionary
        self.direction: Direction = direction
        self.join_runs = join_runs

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        segmented: list[list[str]] = []
        for block in bound_texts(texts, _BLOCK):
            lattice = build_lattice(self.dictionary, block, join_runs=self.join_runs)
            if self.direction == "fmm":
                segmented += lattice.block.words(_forward(lattice))
            elif self.direction == "bmm":
                segmented += _backward(lattice)
            else:
                forward = lattice.block.words(_forward(lattice))
                segmented += map(_better, forward, _backward(lattice))
        return segmented

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """The one reading there is; its score is minus its number of words."""
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1 reading")
        words = self.segment([text])[0]
        return [(words, -float(len(words)))]

    def with_dictionary(self, dictionary: Dictionary) -> "MaximumMatching":
        """The same method with other words."""
        return MaximumMatching(dictionary, self.direction, join_runs=self.join_runs)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        return self.dictionary.arrays(), {"direction": self.direction, "join_runs": self.join_runs}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        return cls(Dictionary.from_arrays(arrays), settings["direction"], join_runs=settings["join_runs"])


def _forward(lattice: WordLattice) -> list[int]:
    successor = np.zeros(lattice.arcs.nodes, dtype=np.int64)
    successor[lattice.arcs.source] = lattice.arcs.target  # arcs ascend: the last one, the longest, stays
    return successor.tolist()


def _backward(lattice: WordLattice) -> list[list[str]]:
    predecessor = np.zeros(lattice.arcs.nodes, dtype=np.int64)
    predecessor[lattice.arcs.target[::-1]] = lattice.arcs.source[::-1]
    return _words_from_right(lattice.block, predecessor.tolist())


def _words_from_right(block: TextBlock, predecessor: list[int]) -> list[list[str]]:
    joined = block.joined
    cut: list[list[str]] = []
    for first, node in zip(block.first, block.last, strict=True):
        words = []
        while node > first:
            begin = predecessor[node]
            words.append(joined[begin:node])
            node = begin
        words.reverse()
        cut.append(words)
    return cut


def _better(forward: list[str], backward: list[str]) -> list[str]:
    if len(forward) != len(backward):
        return forward if len(forward) < len(backward) else backward
    return forward if _singles(forward) < _singles(backward) else backward


def _singles(words: list[str]) -> int:
    return list(map(len, words)).count(1)
