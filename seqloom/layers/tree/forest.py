"""Several trees as one: their nodes level by level, so that all nodes of a height are one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Forest", "heights_of"]


def heights_of(parents: Sequence[int] | NDArray[Any]) -> NDArray[np.int32]:
    """(N,) the longest way down from each node to a leaf; a leaf has 0.

    Args:
        parents: of each node, -1 of the root; a child comes before its parent.

    >>> heights_of([2, 2, 4, 4, -1]).tolist()
    [0, 0, 1, 0, 2]
    """
    heights = [0] * len(parents)
    for node, parent in enumerate(parents):
        if parent >= 0 and heights[node] >= heights[parent]:
            heights[parent] = heights[node] + 1
    return np.array(heights, np.int32)


@dataclass(frozen=True, eq=False)
class Forest:
    """The N nodes of B trees in the order of their heights; a level is a block, and reads only what lies before it.

    Within a level, trees and nodes keep their order. A position is a node's place in this order.

    Attributes:
        borders: where each level begins, and N.
        parents: (N,) the position of each node's parent; N of a root.
        numbers: (N,) which child of its parent a node is, from 0.
        order: (N,) for each position its node, counted through the trees one after the other.
        roots: (B,) positions.

    >>> forest = Forest.of([[2, 2, -1], [-1]])
    >>> forest.borders, forest.order.tolist(), forest.parents.tolist(), forest.roots.tolist()
    ((0, 3, 4), [0, 1, 3, 2], [3, 3, 4, 4], [3, 2])
    """

    borders: tuple[int, ...]
    parents: Tensor
    numbers: Tensor
    order: Tensor
    roots: Tensor
    _tables: dict[int, Places] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, trees: Sequence[Sequence[int] | NDArray[Any]]) -> Forest:
        """The forest of trees, each the parents of its nodes: -1 of the root, which is last; children before parents.

        Raises:
            ValueError: a tree is none; names it.
        """
        for number, tree in enumerate(trees):
            nodes = np.asarray(tree)
            later = nodes[:-1] > np.arange(len(nodes) - 1)
            if nodes.ndim != 1 or not len(nodes) or nodes[-1] != -1 or not later.all() or nodes.max() >= len(nodes):
                raise ValueError(
                    f"trees[{number}] is no tree: expected the parent of each node behind it, and -1 of the last, the root"
                )
        return cls.joined(trees, [heights_of(tree) for tree in trees])

    @classmethod
    def joined(cls, trees: Sequence[Any], heights: Sequence[NDArray[np.int32]]) -> Forest:
        """As `of`, of trees whose heights are known and that are not looked at."""
        sizes = np.array([len(tree) for tree in trees], np.int64)
        total = int(sizes.sum())
        first = np.cumsum(sizes) - sizes
        parents = (
            np.concatenate([np.asarray(tree, np.int64) for tree in trees]) if len(trees) else np.zeros(0, np.int64)
        )
        height = np.concatenate(heights) if len(trees) else np.zeros(0, np.int32)
        is_root = parents < 0
        parents = np.where(is_root, total, parents + np.repeat(first, sizes))
        siblings = np.argsort(parents, kind="stable")
        counts = np.bincount(parents, minlength=total + 1)
        numbers = np.empty(total, np.int64)
        numbers[siblings] = np.arange(total) - (np.cumsum(counts) - counts)[parents[siblings]]
        numbers[is_root] = 0
        order = np.argsort(height, kind="stable")
        place = np.empty(total + 1, np.int64)
        place[order], place[total] = np.arange(total), total
        levels = np.bincount(height, minlength=1) if total else np.zeros(0, np.int64)
        borders = (0, *np.cumsum(levels).tolist())
        tensors = (place[parents[order]], numbers[order], order, place[first + sizes - 1])
        return cls(borders, *map(torch.from_numpy, tensors))

    def to(self, device: Any, **options: Any) -> Forest:
        """The same on another device."""
        moved = (tensor.to(device, **options) for tensor in (self.parents, self.numbers, self.order, self.roots))
        return Forest(self.borders, *moved)

    def __len__(self) -> int:
        """Trees."""
        return len(self.roots)

    @property
    def total(self) -> int:
        """N."""
        return self.borders[-1]

    @property
    def leaves(self) -> int:
        """How many nodes have no child; they are the first ones."""
        return self.borders[1] if len(self.borders) > 1 else 0

    @property
    def levels(self) -> list[tuple[int, int]]:
        """The first position and the one behind the last of each level."""
        return list(zip(self.borders, self.borders[1:], strict=False))

    def children(self, arity: int) -> Tensor:
        """(N - leaves, arity) the children of each inner node in their order; N where there are fewer.

        Raises:
            ValueError: a node has more.
        """
        return self.places(arity).children

    def places(self, arity: int) -> Places:
        """Where the children of the inner nodes are, side by side.

        Raises:
            ValueError: a node has more than ``arity``.
        """
        if arity not in self._tables:
            self._tables[arity] = Places.of(self._children(arity), self)
        return self._tables[arity]

    def _children(self, arity: int) -> Tensor:
        own = self.parents < self.total
        if own.any() and int(self.numbers[own].max()) >= arity:
            most = int(self.numbers[own].max()) + 1
            raise ValueError(f"a node has {most} children, but the layer's nodes have at most {arity}")
        table = torch.full((self.total - self.leaves, arity), self.total, device=self.parents.device)
        positions = torch.arange(self.total, device=self.parents.device)
        table[self.parents[own] - self.leaves, self.numbers[own]] = positions[own]
        return table

    @cached_property
    def edges(self) -> Edges:
        """From children to parents, in the order of the parents."""
        own = (self.parents < self.total).nonzero()[:, 0]
        keys = self.parents[own] * (self.total + 1) + self.numbers[own]
        child = own[keys.argsort()]
        parent = self.parents[child]
        counts = torch.bincount(parent, minlength=self.total)
        starts = counts.cumsum(0) - counts
        inner = [int(starts[start]) if start < self.total else len(child) for start in self.borders]
        slot = torch.full((self.total,), len(child), device=child.device)
        slot[child] = torch.arange(len(child), device=child.device)
        return Edges(child, parent, starts, inner, slot)


@dataclass(frozen=True, eq=False)
class Edges:
    """The E edges of a forest.

    Attributes:
        child: (E,) positions.
        parent: (E,) positions, not decreasing.
        starts: (N,) the first edge to each node.
        borders: the first edge to each level, and E.
        slot: (N,) the edge from each node; E of a root.
    """

    child: Tensor
    parent: Tensor
    starts: Tensor
    borders: list[int]
    slot: Tensor


@dataclass(frozen=True, eq=False)
class Places:
    """M inner nodes with places for so many children each.

    Attributes:
        children: (M, arity) positions; N where there is none.
        flat: (M * arity,) the same, node by node.
        by_child: (arity, M) the same, child by child.
        slot: (N,) the place of each node in ``flat``; M * arity of a root.
        slot_by_child: (N,) its place in ``by_child``, flat; M * arity of a root.
    """

    children: Tensor
    flat: Tensor
    by_child: Tensor
    slot: Tensor
    slot_by_child: Tensor

    @classmethod
    def of(cls, children: Tensor, forest: Forest) -> Places:
        """Those of a forest."""
        inner, arity = children.shape
        above = forest.parents - forest.leaves
        root = forest.parents == forest.total
        slot = torch.where(root, inner * arity, above * arity + forest.numbers)
        by_child = torch.where(root, inner * arity, forest.numbers * inner + above)
        return cls(children, children.flatten(), children.t().contiguous(), slot, by_child)
