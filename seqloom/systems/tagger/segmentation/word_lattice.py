"""Every reading of a text as one graph: nodes are the gaps between characters, arcs are words.

A block of texts is one string, each text between two separators, so that a node is a place in that string and one graph holds
the whole block. Forced words and unbroken runs of Latin letters and digits both become rules about nodes: at some nodes no
word may end (``sealed``), across some nodes no word may reach (``cuts``). What lies between two neighbouring nodes that are
not sealed is an atom, usually a character; atoms are always arcs, so there is a reading whatever the dictionary holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import code_points
from seqloom.decoding.lattice import Arcs, count_paths, make_arcs
from seqloom.systems.tagger.segmentation.dictionary import Dictionary

__all__ = ["UNKNOWN", "Matches", "TextBlock", "WordLattice", "build_lattice", "find_words", "leftmost_longest"]

UNKNOWN = -1

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True, eq=False)
class TextBlock:
    """Texts side by side: text ``i`` is ``joined[first[i]:last[i]]``, with a separator on either side."""

    joined: str
    first: list[int]
    last: list[int]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextBlock":
        joined = _SEPARATOR + (_SEPARATOR * 2).join(texts) + _SEPARATOR
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        last = np.cumsum(lengths + 2) - 1
        return cls(joined, (last - lengths).tolist(), last.tolist())

    def words(self, successor: Sequence[int]) -> list[list[str]]:
        """The words of each text, when ``successor[node]`` is where the word that begins at a node ends."""
        joined = self.joined
        cut: list[list[str]] = []
        for node, last in zip(self.first, self.last, strict=True):
            words = []
            while node < last:
                end = successor[node]
                words.append(joined[node:end])
                node = end
            cut.append(words)
        return cut

    def between(self) -> Mask:
        """(characters,) True at separators."""
        mask = np.zeros(len(self.joined), dtype=bool)
        mask[np.asarray(self.first, dtype=np.int64) - 1] = True
        mask[np.asarray(self.last, dtype=np.int64)] = True
        return mask


@dataclass(frozen=True, eq=False)
class WordLattice:
    """All readings of a block of texts.

    Attributes:
        block: the texts.
        arcs: one arc per word, from the node where it begins to the node where it ends.
        word: (A,) the dictionary id of each arc, or `UNKNOWN` for an atom that is no word.
    """

    block: TextBlock
    arcs: Arcs
    word: NDArray[np.int32]

    @cached_property
    def singles(self) -> Mask:
        """(A,) which arcs span a single character."""
        single: Mask = self.arcs.target - self.arcs.source == 1
        return single

    def number_of_paths(self, text: int = 0) -> int:
        """How many readings one text of the block has."""
        return count_paths(self.arcs, self.block.first[text], [self.block.last[text]])

    def full(self) -> list[list[tuple[int, int]]]:
        """For each text the ``(begin, end)`` of every word of two characters or more and of each character in none of them.

        In order of begin, then end.
        """
        long = ~self.singles & (self.word != UNKNOWN)
        source, target = self.arcs.source, self.arcs.target
        depth = np.zeros(self.arcs.nodes + 1, dtype=np.int64)
        np.add.at(depth, source[long], 1)
        np.add.at(depth, target[long], -1)
        covered = np.cumsum(depth) > 0
        shown = np.flatnonzero(long | ((self.word == UNKNOWN) | self.singles) & ~covered[source])
        bounds = np.searchsorted(source[shown], [*self.block.first, self.arcs.nodes]).tolist()
        spans = list(zip(source[shown].tolist(), target[shown].tolist(), strict=True))
        return [
            [(begin - first, end - first) for begin, end in spans[low:high]]
            for first, low, high in zip(self.block.first, bounds, bounds[1:], strict=False)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Where dictionary words occur: (n,) begins, ends and word ids."""

    begin: Integers
    end: Integers
    word: NDArray[np.int32]

    def where(self, kept: Mask | Integers) -> "Matches":
        """The chosen ones, by mask or by places."""
        return Matches(self.begin[kept], self.end[kept], self.word[kept])


def find_words(dictionary: Dictionary, points: NDArray[np.uint32], between: Mask) -> Matches:
    """Every dictionary word among these code points, in order of length; none reaches over what is ``between`` texts."""
    characters = np.where(between, 0, dictionary.trie.alphabet[points])
    begins: list[Integers] = [np.zeros(0, dtype=np.int64)]
    ends: list[Integers] = [np.zeros(0, dtype=np.int64)]
    words: list[NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
    for length, starts, ids in dictionary.trie.matches(characters):
        begins.append(starts)
        ends.append(starts + length)
        words.append(ids)
    return Matches(np.concatenate(begins), np.concatenate(ends), np.concatenate(words))


def leftmost_longest(begin: Integers, end: Integers) -> list[tuple[int, int]]:
    """Spans that do not overlap: the leftmost first, the longest of those that begin together."""
    chosen: list[tuple[int, int]] = []
    free = 0
    order = np.lexsort((-end, begin))
    for start, stop in zip(begin[order].tolist(), end[order].tolist(), strict=True):
        if start >= free:
            chosen.append((start, stop))
            free = stop
    return chosen


def _inside_runs(points: NDArray[np.uint32]) -> Mask:
    """(characters,) True at nodes inside a run of Latin letters and digits, where the point of a number belongs to it.

    Half-width and full-width forms are alike.
    """
    folded = np.where((points >= 0xFF01) & (points <= 0xFF5E), points - 0xFEE0, points)
    digit = (folded >= ord("0")) & (folded <= ord("9"))
    lower = folded | 0x20
    run = digit | ((lower >= ord("a")) & (lower <= ord("z")))
    run[1:-1] |= (folded[1:-1] == ord(".")) & digit[:-2] & digit[2:]
    inside = np.zeros(len(points), dtype=bool)
    inside[1:] = run[1:] & run[:-1]
    return inside


def build_lattice(dictionary: Dictionary, texts: Sequence[str], *, join_runs: bool = True) -> WordLattice:
    """The word lattice of a block of texts.

    Args:
        dictionary: its words are the arcs; words that it forces remove every arc that contradicts them.
        texts: any strings.
        join_runs: never cut inside a run of Latin letters and digits (``iPhone15``, ``3.14``), known or not.

    >>> build_lattice(Dictionary.from_counts({"中国": 1, "国人": 1}), ["中国人"]).number_of_paths()
    3
    """
    block = TextBlock.of(texts)
    points = code_points(block.joined)
    between = block.between()
    matches = find_words(dictionary, points, between)
    sealed = np.zeros(len(points), dtype=bool)
    cuts = np.zeros(len(points), dtype=bool)
    if join_runs:
        sealed |= _inside_runs(points)
    if dictionary.forced.any():
        must = dictionary.forced[matches.word]
        spans = leftmost_longest(matches.begin[must], matches.end[must])
        for begin, end in spans:
            sealed[begin + 1 : end] = True
        ends = np.asarray(spans, dtype=np.int64).reshape(-1)
        sealed[ends] = False
        cuts[ends] = True
    if sealed.any() or cuts.any():
        before = np.concatenate([[0], np.cumsum(cuts)])  # cuts at nodes below each node
        crossing = before[matches.end] - before[matches.begin + 1]
        matches = matches.where(~sealed[matches.begin] & ~sealed[matches.end] & (crossing == 0))
    return _assemble(block, matches, between, sealed)


def _assemble(block: TextBlock, matches: Matches, between: Mask, sealed: Mask) -> WordLattice:
    nodes = np.flatnonzero(~sealed)
    begin, end = nodes[:-1], nodes[1:]
    atoms = ~between[begin]
    begin, end = begin[atoms], end[atoms]
    atom_word = np.full(len(begin), UNKNOWN, dtype=np.int32)
    place = np.zeros(len(sealed), dtype=np.int64)
    place[begin] = np.arange(len(begin))
    # A match that is exactly an atom names it instead of becoming a second arc.
    is_atom = end[place[matches.begin]] == matches.end
    atom_word[place[matches.begin[is_atom]]] = matches.word[is_atom]
    longer = matches.where(~is_atom)
    arcs, order = make_arcs(len(sealed), np.concatenate([begin, longer.begin]), np.concatenate([end, longer.end]))
    return WordLattice(block, arcs, np.concatenate([atom_word, longer.word])[order])
