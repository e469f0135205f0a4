"""The way through a forest whose nodes sum what their children hand up, each child's memory through a gate of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from seqloom.engine.runtime.levels import LevelRun, level_program
from seqloom.layers.tree.cells import NodeCell
from seqloom.layers.tree.forest import Forest
from seqloom.layers.tree.passes import TreePass

__all__ = ["ChildSumPass"]


class ChildSumPass(TreePass):
    """Children in no order, summed; a forget gate on each edge.

    Args:
        edge: the cell of an edge.
    """

    def __init__(self, node: NodeCell, edge: NodeCell, forest: Forest) -> None:
        super().__init__(node, forest)
        self.edge, self.edges = edge, forest.edges

    def tensors(self, words: Tensor) -> list[Tensor | None]:
        own, bias, weight = self.edge.products(words)
        parents = self.edges.parent
        if len(words) == self.total and own is not None:
            gates = own.index_select(0, parents)
        else:  # inner nodes have no word
            gates = words.new_zeros(len(parents), self.size) if bias is None else bias.expand(len(parents), -1)
        return [*super().tensors(words), gates, weight]

    def prepare(self, *more: Tensor) -> None:
        gates, weight = more
        program = level_program(self.edge)
        assert program is not None
        borders = self.edges.borders
        counts = [last - first for first, last in pairwise(borders)]
        self.forget = LevelRun(program, counts, save=self.run.save)
        self.forget.linear.copy_(gates)
        self.forget_weight = weight.contiguous()
        self.forget_columns = self.forget_weight.t()
        self.h, self.c = torch.empty(len(gates), self.size), torch.empty(len(gates), self.size)
        self.hs, self.cs = torch.split_with_sizes(self.h, counts), torch.split_with_sizes(self.c, counts)
        self.kept = torch.split_with_sizes(self.forget.states[0][: len(gates)], counts)
        self.child = torch.split_with_sizes(self.edges.child, counts)
        self.memory = self.by_level(torch.empty(self.total - self.leaves, self.size))
        self.each = torch.arange(len(gates))
        self.counts = counts

    def gather(self, level: int) -> None:
        forget, child, h, c = self.forget, self.child[level], self.hs[level], self.cs[level]
        torch.index_select(self.run.states[0], 0, child, out=h)
        torch.index_select(self.run.states[1], 0, child, out=c)
        gates = forget.levels[level]
        torch.addmm(gates, h, self.forget_columns, out=gates)
        forget.forward(level, [c])
        start, stop = self.forest.levels[level]
        offsets = self.edges.starts[start:stop] - self.edges.borders[level]
        each = self.each[: self.counts[level]]
        self.rows[level].copy_(F.embedding_bag(each, h, offsets, mode="sum"))
        self.memory[level].copy_(F.embedding_bag(each, self.kept[level], offsets, mode="sum"))

    def initial(self, level: int) -> list[Tensor]:
        return [self.zeros[level], self.memory[level] if level else self.zeros[0]]

    def prepare_backward(self) -> None:
        count = len(self.h)
        self.forget.begin_backward()
        self.d_h, self.d_c = torch.zeros(count + 1, self.size), torch.zeros(count + 1, self.size)
        self.d_hs, self.d_cs = (torch.split_with_sizes(rows[:count], self.counts) for rows in (self.d_h, self.d_c))
        self.slots = torch.split_with_sizes(self.edges.slot, self.sizes)

    def arrived(self, level: int) -> list[Tensor]:
        return [rows.index_select(0, self.slots[level]) for rows in (self.d_h, self.d_c)]

    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        first, last = self.edges.borders[level : level + 2]
        parent = self.edges.parent[first:last] - self.forest.borders[level]
        kept = carries[0].index_select(0, parent)
        self.forget.backward(level, [self.cs[level]], kept, [self.d_cs[level]])
        d_h = (self.flow(level) @ self.weight).index_select(0, parent)
        torch.addmm(d_h, self.forget.gradients[level], self.forget_weight, out=self.d_hs[level])

    def more_gradients(self) -> list[Tensor | None]:
        flow = self.forget.gradient
        return [flow, flow.t() @ self.h]
