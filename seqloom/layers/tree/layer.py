"""Layers over trees. A level is a batch of steps; all levels together make each weight's gradient in one product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.engine.runtime.entrance import all_plain, hides_operators, is_recorded
from seqloom.engine.runtime.levels import level_program
from seqloom.layers.options import check_count
from seqloom.layers.state import State, state_type
from seqloom.layers.tree.cells import (
    MOST_CHILDREN,
    BilinearNode,
    ChildSumNode,
    ForgetEdge,
    NaryNode,
    NodeCell,
    RecursiveNode,
)
from seqloom.layers.tree.child_sum_pass import ChildSumPass
from seqloom.layers.tree.forest import Forest
from seqloom.layers.tree.nary_pass import NaryPass
from seqloom.layers.tree.passes import run_pass

__all__ = ["ChildSumTreeLSTM", "NaryTreeLSTM", "RecursiveNet", "RecursiveTensorNet", "TreeLayer"]

Words = Literal["leaves", "all"]


class TreeLayer(nn.Module, ABC):
    """A recurrence from the leaves of trees to their roots, all nodes of a height at once.

    Attributes:
        node: the cell of a node.
        input_size: units n of a word's vector.
        hidden_size: units m of a node.
        words: which nodes have a word: the leaves, or all (dependency trees).
    """

    node: NodeCell
    states: tuple[str, ...] = ("h",)

    def __init__(self, input_size: int, hidden_size: int, words: Words = "leaves") -> None:
        super().__init__()
        self.input_size, self.hidden_size = (
            check_count("input_size", input_size),
            check_count("hidden_size", hidden_size),
        )
        self.words: Words = words
        self.output_size = hidden_size

    def forward(self, words: Tensor, forest: Forest) -> tuple[Tensor, State]:
        """Run over a forest.

        Args:
            words: (K, n) the vectors of the nodes that have a word, in the forest's order: its leaves, which are the first,
                or all nodes.
            forest: the trees.
        Returns:
            outputs (N, m) of all nodes in the forest's order, and the states (B, m) of the roots.
        Raises:
            ValueError: not so many words, or not of this size; a node with too many children.
        """
        expected = (forest.leaves if self.words == "leaves" else forest.total, self.input_size)
        if words.shape != expected:
            raise ValueError(f"words have the shape {tuple(words.shape)}; expected {expected} for this forest")
        if not forest.total:
            empty = words.new_zeros(0, self.hidden_size)
            return empty, state_type(self.states)._make(empty for _ in self.states)
        if self._compiled(words):
            with torch.autocast("cpu", enabled=False):
                outputs, *memories = self.run(words, forest)
        else:
            outputs, *values = self.by_level(words, forest)
            memories = [value.index_select(0, forest.roots) for value in values]
        return outputs, state_type(self.states)._make([outputs.index_select(0, forest.roots), *memories])

    def _compiled(self, words: Tensor) -> bool:
        tensors = (words, *self.parameters())
        if is_recorded() or hides_operators() or not all_plain(tensors):
            return False
        if any(tensor.device.type != "cpu" or tensor.dtype is not torch.float32 for tensor in tensors):
            return False
        return all(level_program(cell) is not None for cell in self.cells)

    @property
    def cells(self) -> list[NodeCell]:
        """The cells whose steps the layer runs."""
        return [self.node]

    @abstractmethod
    def run(self, words: Tensor, forest: Forest) -> Sequence[Tensor]:
        """The outputs (N, m) of all nodes and the other states (B, m) of the roots, by the compiled step."""

    def by_level(self, words: Tensor, forest: Forest) -> Sequence[Tensor]:
        """The states (N, m) of all nodes in torch's operations, differentiable often, of any type and on any device."""
        made: list[Sequence[Tensor]] = []
        blank = words.new_zeros(1, self.hidden_size)
        for level, (start, stop) in enumerate(forest.levels):
            if level == 0 and not self.node.word_size:
                made.append(self.leaf_states(words))
                continue
            before = [
                torch.cat([*field, words.new_zeros(forest.total - start, self.hidden_size), blank])
                for field in zip(*made, strict=True)
            ]
            own = words[start:stop] if stop <= len(words) else words.new_zeros(stop - start, self.node.word_size)
            made.append(self.level(own[:, : self.node.word_size], before, forest, level))
        return [torch.cat(list(field)) for field in zip(*made, strict=True)]

    def leaf_states(self, words: Tensor) -> Sequence[Tensor]:
        """The states of leaves whose words are their outputs."""
        return [words, *(torch.zeros_like(words) for _ in self.states[1:])]

    @abstractmethod
    def level(self, words: Tensor, before: Sequence[Tensor], forest: Forest, level: int) -> Sequence[Tensor]:
        """The states of a level.

        Args:
            words: (nodes, n) of the level, n of the cell.
            before: the states (N + 1, m) of the levels below; the last row is zero. Empty for the leaves.
        """

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, words={self.words!r}"


class _Nary(TreeLayer):
    """Children in their order, a fixed number of places for them."""

    def __init__(self, input_size: int, hidden_size: int, arity: int, words: Words = "leaves") -> None:
        super().__init__(input_size, hidden_size, words)
        self.arity = check_count("arity", arity)
        if arity > MOST_CHILDREN:
            raise ValueError(f"arity is {arity}; expected at most {MOST_CHILDREN}")

    def level(self, words: Tensor, before: Sequence[Tensor], forest: Forest, level: int) -> Sequence[Tensor]:
        start, stop = forest.levels[level]
        size = self.hidden_size
        if level == 0:
            rows = [words.new_zeros(stop - start, self.arity, size) for _ in self.states]
        else:
            children = forest.children(self.arity)[start - forest.leaves : stop - forest.leaves]
            rows = [state.index_select(0, children.flatten()).view(-1, self.arity, size) for state in before]
        x = torch.cat([words, rows[0].flatten(1)], 1)
        made = self.node.step(x, words.new_zeros(len(x), size), *self.memories(rows))
        return [made] if isinstance(made, Tensor) else list(made[: len(self.states)])

    def memories(self, rows: Sequence[Tensor]) -> Sequence[Tensor]:
        """What the cell reads beside the outputs of the children; ``rows`` (nodes, arity, m) are their states."""
        return [memory for field in rows[1:] for memory in field.unbind(1)]

    def bilinear(self) -> Tensor | None:
        """(m, N m, N m) the symmetric bilinear forms whose values are a second state of the step, or none."""
        return None

    def run(self, words: Tensor, forest: Forest) -> Sequence[Tensor]:
        return run_pass(NaryPass(self.node, forest, self.arity, self.bilinear()), words)


class NaryTreeLSTM(_Nary):
    """A Tree-LSTM over trees whose nodes have at most N children in an order (Tai et al. 2015).

    Args:
        input_size: units n of a word's vector.
        hidden_size: units m of a node.
        arity: children N of a node, 1 to 9.
        words: which nodes have one.

    >>> layer = NaryTreeLSTM(3, 4)
    >>> outputs, state = layer(torch.zeros(3, 3), Forest.of([[2, 2, -1], [-1]]))
    >>> outputs.shape, state.h.shape
    (torch.Size([4, 4]), torch.Size([2, 4]))
    """

    states = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, *, arity: int = 2, words: Words = "leaves") -> None:
        super().__init__(input_size, hidden_size, arity, words)
        self.node = NaryNode(input_size, hidden_size, arity, words=words)


class RecursiveNet(_Nary):
    """A recursive network: a leaf is its word, an inner node ``tanh(W [b; c] + w)`` (Socher et al. 2011).

    Args:
        hidden_size: units m of a word and of a node.
        arity: children of a node.
    """

    def __init__(self, hidden_size: int, *, arity: int = 2) -> None:
        super().__init__(hidden_size, hidden_size, arity)
        self.node = RecursiveNode(0, hidden_size, arity)


class RecursiveTensorNet(_Nary):
    """A recursive neural tensor network, ``tanh([b; c]' V [b; c] + W [b; c] + w)`` (Socher et al. 2013).

    4 m^3 + 2 m^2 + m parameters. With V = 0 it is the `RecursiveNet`.

    Args:
        hidden_size: units m of a word and of a node.
        rate: the tensor is kept divided by this. An optimiser whose steps do not depend on the size of gradients then moves
            it so many times as fast as the rest; at their rate its 4 m^3 numbers drown the first words.
    """

    def __init__(self, hidden_size: int, *, rate: float = 1.0) -> None:
        super().__init__(hidden_size, hidden_size, 2)
        self.node, self.rate = BilinearNode(0, hidden_size), rate
        self.tensor = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size, 2 * hidden_size))
        nn.init.uniform_(self.tensor, -0.25 / hidden_size / rate, 0.25 / hidden_size / rate)

    def bilinear(self) -> Tensor:
        return (self.tensor + self.tensor.mT) * (self.rate / 2)

    def memories(self, rows: Sequence[Tensor]) -> Sequence[Tensor]:
        x = rows[0].flatten(1)
        return [torch.einsum("bi,kij,bj->bk", x, self.tensor * self.rate, x)]


class ChildSumTreeLSTM(TreeLayer):
    """A Tree-LSTM over trees whose nodes have any number of children, in no order (Tai et al. 2015).

    Args:
        input_size: units n of a word's vector.
        hidden_size: units m of a node.
        words: which nodes have one: ``all`` in a dependency tree.

    >>> layer = ChildSumTreeLSTM(3, 4)
    >>> sum(parameter.numel() for parameter in layer.parameters()) == 4 * 4 * (3 + 4 + 1)
    True
    """

    states = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int, *, words: Words = "all") -> None:
        super().__init__(input_size, hidden_size, words)
        self.node, self.edge = ChildSumNode(input_size, hidden_size), ForgetEdge(input_size, hidden_size)

    @property
    def cells(self) -> list[NodeCell]:
        return [self.node, self.edge]

    def level(self, words: Tensor, before: Sequence[Tensor], forest: Forest, level: int) -> Sequence[Tensor]:
        start, stop = forest.levels[level]
        blank = words.new_zeros(stop - start, self.hidden_size)
        if level == 0:
            return list(self.node.step(torch.cat([words, blank], 1), blank, blank))
        edges = forest.edges
        first, last = edges.borders[level], edges.borders[level + 1]
        child, parent = edges.child[first:last], edges.parent[first:last] - start
        h, c = (state.index_select(0, child) for state in before)
        kept = self.edge.step(torch.cat([words.index_select(0, parent), h], 1), c)
        h_sum, c_sum = blank.index_add(0, parent, h), blank.index_add(0, parent, kept)
        return list(self.node.step(torch.cat([words, h_sum], 1), blank, c_sum))

    def run(self, words: Tensor, forest: Forest) -> Sequence[Tensor]:
        return run_pass(ChildSumPass(self.node, self.edge, forest), words)
