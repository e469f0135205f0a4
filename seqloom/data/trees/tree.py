"""A tree over words as flat arrays, a child before its parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_LEVELS", "MOST_NODES", "Tree"]

MOST_LEVELS = 10_000
MOST_NODES = 1_000_000
"""What a tree from outside may have."""


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree of N nodes in the order in which they are finished: the children of a node before it, in their order.

    Attributes:
        parents: (N,) of each node; -1 of the root, which is the last.
        words: of each node; empty where it has none.
        labels: of each node; empty where it has none.
        where: its place, as ``file:line``.
        order: the nodes that have words, as their words stand in the text; by default as they are.
        unary: nodes with a single child and no word that were left out, their label kept by what took their place.

    >>> tree = Tree(np.array([2, 2, -1]), ("not", "bad", ""), ("1", "1", "3"))
    >>> tree.text, tree.children, tree.heights.tolist()
    ('not bad', ((), (), (0, 1)), [0, 0, 1])
    """

    parents: NDArray[np.int32]
    words: tuple[str, ...]
    labels: tuple[str, ...] = ()
    where: str = ""
    order: tuple[int, ...] | None = None
    unary: int = 0

    def __post_init__(self) -> None:
        parents = np.asarray(self.parents, np.int32)
        object.__setattr__(self, "parents", parents)
        count = len(parents)
        if not self.labels:
            object.__setattr__(self, "labels", ("",) * count)
        if len(self.words) != count or len(self.labels) != count:
            raise ValueError(f"{count} nodes, but {len(self.words)} words and {len(self.labels)} labels")
        if not count or parents[-1] != -1 or (parents[:-1] <= np.arange(count - 1)).any() or parents.max() >= count:
            raise ValueError("the parents are those of no tree: expected each behind its children, and -1 of the last")

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def label(self) -> str:
        """The root's."""
        return self.labels[-1]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Of each node, in their order."""
        found: list[list[int]] = [[] for _ in range(len(self))]
        for node, parent in enumerate(self.parents[:-1].tolist()):
            found[parent].append(node)
        return tuple(map(tuple, found))

    @cached_property
    def heights(self) -> NDArray[np.int32]:
        """(N,) the longest way down from each node to a leaf."""
        heights = [0] * len(self)
        for node, parent in enumerate(self.parents[:-1].tolist()):
            if heights[node] >= heights[parent]:
                heights[parent] = heights[node] + 1
        return np.array(heights, np.int32)

    @cached_property
    def depths(self) -> NDArray[np.int32]:
        """(N,) the way up from each node to the root."""
        depths = [0] * len(self)
        parents = self.parents.tolist()
        for node in range(len(self) - 2, -1, -1):
            depths[node] = depths[parents[node]] + 1
        return np.array(depths, np.int32)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """The nodes that have words, in the order of the text."""
        return tuple(node for node, word in enumerate(self.words) if word) if self.order is None else self.order

    @property
    def sentence(self) -> tuple[str, ...]:
        """The words in the order of the text."""
        return tuple(self.words[node] for node in self.tokens)

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(self.sentence)

    @property
    def is_dependency(self) -> bool:
        """Whether every node has a word."""
        return all(self.words)

    @property
    def is_constituency(self) -> bool:
        """Whether the leaves have words, and no other node."""
        return all(bool(word) != bool(below) for word, below in zip(self.words, self.children, strict=True))

    @property
    def arity(self) -> int:
        """The most children that a node has."""
        return max(map(len, self.children))

    def with_labels(self, labels: Sequence[str]) -> Tree:
        """The same tree with other labels."""
        return Tree(self.parents, self.words, tuple(labels), self.where, self.order, self.unary)

    def without_labels(self) -> Tree:
        """The same tree without labels."""
        return self.with_labels(("",) * len(self))

    def same_as(self, other: Tree) -> bool:
        """Whether shape, words and labels are the same."""
        same = self.words == other.words and self.labels == other.labels and self.tokens == other.tokens
        return same and np.array_equal(self.parents, other.parents)
