"""All dictionary words at all positions of a text, found for every position at once.

The trie is one sorted array of integers. Node 0 is the root and nodes are numbered breadth first, so the edge with the k-th
smallest key ``parent * alphabet + character`` leads to node ``k + 1`` and no table of children is needed. Matching walks every
start position of a block of texts in step: one binary search per level, exact for any Unicode (no hashing).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import code_points

__all__ = ["Trie", "code_points"]

_CODE_POINTS = 0x110000

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trie:
    """Words in a form that NumPy can search.

    Attributes:
        alphabet: (0x110000,) int32, the number of each character, 0 for characters in no word.
        size: number of characters + 1, the factor in the keys.
        keys: (nodes - 1,) int64, ascending.
        word: (nodes,) int32, the word that ends at a node, or -1.
        inner: (nodes,) bool, whether any word goes on after a node.
    """

    alphabet: NDArray[np.int32]
    size: int
    keys: Integers
    word: NDArray[np.int32]
    inner: NDArray[np.bool_]

    @classmethod
    def build(cls, words: Sequence[str]) -> "Trie":
        """Compile distinct, non-empty words; the id of a word is its place.

        Cost: one sort of the words, then a few array operations per level of the trie.
        """
        order = sorted(range(len(words)), key=words.__getitem__)
        lengths = np.fromiter((len(words[i]) for i in order), np.int64, len(order))
        points = code_points("".join([words[i] for i in order]))
        seen = np.zeros(_CODE_POINTS, dtype=bool)
        seen[points] = True
        alphabet = np.where(seen, np.cumsum(seen), 0).astype(np.int32)
        size = int(seen.sum()) + 1
        characters = alphabet[points].astype(np.int64)
        begin = np.cumsum(lengths) - lengths
        ids = np.asarray(order, dtype=np.int32)
        node = np.zeros(len(order), dtype=np.int64)
        rows = np.arange(len(order))
        keys: list[Integers] = []
        ends: list[tuple[Integers, NDArray[np.int32]]] = []
        count, level = 1, 0
        while len(rows):
            # Words are sorted and character numbers rise with code points, so the keys of a level come out sorted.
            key = node[rows] * size + characters[begin[rows] + level]
            fresh = np.ones(len(key), dtype=bool)
            fresh[1:] = key[1:] != key[:-1]
            node[rows] = count - 1 + np.cumsum(fresh)
            keys.append(key[fresh])
            count += int(fresh.sum())
            level += 1
            done = lengths[rows] == level
            ends.append((node[rows[done]], ids[rows[done]]))
            rows = rows[~done]
        word = np.full(count, -1, dtype=np.int32)
        for nodes, finished in ends:
            word[nodes] = finished
        sorted_keys = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
        inner = np.zeros(count, dtype=bool)
        inner[sorted_keys // size] = True
        return cls(alphabet, size, sorted_keys, word, inner)

    def matches(self, characters: NDArray[np.int32]) -> Iterator[tuple[int, Integers, NDArray[np.int32]]]:
        """Every word in a text, by length: ``(length, starts, word ids)`` for 1, 2, ...; starts ascend.

        Args:
            characters: (n,) numbers from ``alphabet``, ended by at least one 0. No match contains a 0, so a 0 also keeps
                neighbouring texts apart.
        """
        if not len(self.keys):
            return
        root = np.zeros(self.size, dtype=np.int64)
        first = self.keys[: np.searchsorted(self.keys, self.size)]
        root[first] = np.arange(1, len(first) + 1)
        node = root[characters]
        starts = np.flatnonzero(node)
        node = node[starts]
        length = 1
        while len(starts):
            word = self.word[node]
            hit = word >= 0
            yield length, starts[hit], word[hit]
            following = characters[starts + length * self.inner[node]]
            going = np.flatnonzero(self.inner[node] & (following > 0))
            starts, key = starts[going], node[going] * self.size + following[going]
            place = np.searchsorted(self.keys, key)
            place[place == len(self.keys)] = 0
            matched = np.flatnonzero(self.keys[place] == key)
            starts, node = starts[matched], place[matched] + 1
            length += 1
