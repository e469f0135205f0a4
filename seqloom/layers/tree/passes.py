"""The compiled step over a forest, level by level, as one operation of autograd.

What does not wait for the children, the product of the words, is made for all nodes before; what nothing waits for, the
gradients of the weights, for all nodes afterwards. A level gathers, multiplies, and runs the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from seqloom.engine.runtime.levels import LevelRun, level_program
from seqloom.layers.tree.cells import NodeCell
from seqloom.layers.tree.forest import Forest

__all__ = ["ChildSumPass", "NaryPass", "TreePass", "run_pass"]


class TreePass(ABC):
    """One way through a forest and, where gradients are wanted, one back; used once.

    Args:
        node: the cell of a node.
        forest: the trees.
    """

    def __init__(self, node: NodeCell, forest: Forest) -> None:
        self.node, self.forest = node, forest
        self.size, self.total, self.leaves = node.hidden_size, forest.total, forest.leaves
        self.sizes = [stop - start for start, stop in forest.levels]
        # Leaves are their words, or made by the cell of leaves, or by that of all nodes.
        self.of_leaves = node.of_leaves if node.word_size else None
        self.first_level = 0 if node.word_size and self.of_leaves is None else 1

    def tensors(self, words: Tensor) -> list[Tensor | None]:
        """What goes in, differentiable: the words' products or the leaves, the bias, the children's weights, more."""
        own, bias, weight = self.node.products(words)
        return [words if own is None else own, bias, weight]

    def forward(self, save: bool, given: Tensor, bias: Tensor | None, weight: Tensor, *more: Tensor) -> list[Tensor]:
        """The outputs (N, m) of all nodes, and the other states (B, m) of the roots."""
        program = level_program(self.node)
        assert program is not None
        self.weight = weight.contiguous()
        self.columns = self.weight.t()
        first = self.leaves if self.first_level else 0
        self.run = LevelRun(program, self.sizes[self.first_level :], first=first, save=save)
        linear = self.run.linear
        self.known = 0 if self.first_level else len(given)
        inner = linear[max(self.known, self.leaves - first) :]
        inner.copy_(bias.expand_as(inner)) if bias is not None else inner.zero_()
        # The inner nodes have one row of input each, (N - leaves, handed up).
        self.x = torch.empty(self.total - self.leaves, weight.shape[1])
        self.rows = self.by_level(self.x)
        zeros = torch.zeros(max(self.sizes), self.size)
        self.zeros = [zeros[:count] for count in self.sizes]
        self.prepare(*more)
        if self.first_level == 0:
            linear[: self.known] = given
            self.run.forward(0, self.initial(0))
        else:
            self._run_leaves(given, save)
        for level in range(1, len(self.sizes)):
            self.gather(level)
            products = self.run.levels[level - self.first_level]
            torch.addmm(products, self.rows[level], self.columns, out=products)
            self.run.forward(level - self.first_level, self.initial(level))
        last = [state.index_select(0, self.forest.roots) for state in self.run.states[1 : self.kept_states]]
        return [self.run.states[0][: self.total].clone(), *last]

    def by_level(self, inner: Tensor) -> list[Tensor]:
        """What belongs to each level of something with a row for each inner node; the leaves have none."""
        return [inner[:0], *torch.split_with_sizes(inner, self.sizes[1:])]

    def _run_leaves(self, given: Tensor, save: bool) -> None:
        states = self.run.states
        if self.of_leaves is None:
            states[0][: self.leaves] = given
            for state in states[1:]:
                state[: self.leaves] = 0.0
            return
        program = level_program(self.of_leaves)
        assert program is not None
        # The product of the words is nobody else's, and its own gradient does not read it.
        count = len(program.program.states)
        self.leaf_run = LevelRun(program, self.sizes[:1], states=states[:count], linear=given, save=save)
        self.leaf_run.forward(0, self.zeros[:1] * count)

    def flow(self, level: int) -> Tensor:
        """The gradients of a level's products."""
        return self.run.gradients[level - self.first_level]

    @property
    def kept_states(self) -> int:
        """How many states a node hands up."""
        return 2

    def backward(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of what `tensors` gave, from those of what `forward` gave."""
        run, leaves = self.run, self.leaves
        run.begin_backward()
        self.prepare_backward()
        outputs = None if given[0] is None else torch.split_with_sizes(given[0], self.sizes)
        memories: Sequence[Tensor] | None = None
        if len(given) > 1 and given[1] is not None:
            all_memories = torch.zeros(self.total, self.size).index_copy_(0, self.forest.roots, given[1])
            memories = torch.split_with_sizes(all_memories, self.sizes)
        gradient = torch.empty(0)
        carries: list[Tensor] = []
        for level in reversed(range(len(self.sizes))):
            gradient, *carries = self.arrived(level)
            if outputs is not None:
                gradient += outputs[level]
            if memories is not None:
                carries[0] += memories[level]
            if level < self.first_level:
                break
            # The first state is not read by a step: nothing flows back to it, and these stay zeros.
            self.run.backward(level - self.first_level, self.initial(level), gradient, [self.zeros[level], *carries])
            if level:
                self.scatter(level, carries)
        before = leaves if self.first_level else 0
        flow = run.gradient
        d_bias = flow[max(self.known, leaves) - before :].sum(0)
        d_weight = flow[leaves - before :].t() @ self.x
        if self.first_level == 0:
            return [flow[: self.known], d_bias, d_weight, *self.more_gradients()]
        if self.of_leaves is not None:
            zeros = self.zeros[0]
            self.leaf_run.begin_backward()
            self.leaf_run.backward(0, [zeros] * len(self.leaf_run.states), gradient, [zeros, carries[0]])
            gradient = self.leaf_run.gradient
        return [gradient, d_bias, d_weight, *self.more_gradients()]

    @abstractmethod
    def prepare(self, *more: Tensor) -> None:
        """Takes the memory of the way up."""

    @abstractmethod
    def gather(self, level: int) -> None:
        """Fills the level's rows of ``x``, and what `initial` gives."""

    @abstractmethod
    def initial(self, level: int) -> list[Tensor]:
        """The states that the step of a level begins with."""

    @abstractmethod
    def prepare_backward(self) -> None:
        """Takes the memory of the way down."""

    @abstractmethod
    def arrived(self, level: int) -> list[Tensor]:
        """The gradients of a level's output and of its other new states that its parents gave, as tensors of its own."""

    @abstractmethod
    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        """Puts the gradients of a level's input and memories where its children find them."""

    def more_gradients(self) -> list[Tensor | None]:
        """Those of the further tensors."""
        return []


class NaryPass(TreePass):
    """Children in their order, side by side.

    Args:
        arity: places for children.
        bilinear: (m, N m, N m) symmetric forms whose values are the second state of the step, or none.
    """

    def __init__(self, node: NodeCell, forest: Forest, arity: int, bilinear: Tensor | None = None) -> None:
        super().__init__(node, forest)
        self.arity, self.bilinear = arity, bilinear
        self.remembers = len(node.state) > 1 and bilinear is None
        self.places = forest.places(arity)
        self.inner = self.total - self.leaves

    @property
    def kept_states(self) -> int:
        return 2 if self.remembers else 1

    def tensors(self, words: Tensor) -> list[Tensor | None]:
        return [*super().tensors(words), *([] if self.bilinear is None else [self.bilinear])]

    def prepare(self, *more: Tensor) -> None:
        self.memories = [self.by_level(torch.empty(self.inner, self.size)) for _ in self.run.states[1:]]
        self.places_of_children = [self.by_level(numbers) for numbers in (self.places.children, *self.places.by_child)]
        self.children_rows = [rows.view(-1, self.size) for rows in self.rows]
        if more:
            self.forms = more[0].flatten(0, 1)  # (m * N m, N m), symmetric
            self.products = self.by_level(torch.empty(self.inner, len(self.forms)))

    def gather(self, level: int) -> None:
        outputs, *others = self.run.states
        all_children, *each = self.places_of_children
        torch.index_select(outputs, 0, all_children[level].flatten(), out=self.children_rows[level])
        if self.remembers:
            for memory, children in zip(self.memories, each, strict=True):
                torch.index_select(others[0], 0, children[level], out=memory[level])
        elif self.bilinear is not None:
            x, products = self.rows[level], self.products[level]
            torch.mm(x, self.forms.t(), out=products)
            values = products.view(-1, self.size, x.shape[1]) @ x.unsqueeze(2)
            self.memories[0][level].copy_(values.squeeze(2))

    def initial(self, level: int) -> list[Tensor]:
        if level == 0:
            return self.zeros[:1] * len(self.run.states)
        return [self.zeros[level], *(memory[level] for memory in self.memories)]

    def prepare_backward(self) -> None:
        places, sizes = self.inner * self.arity, self.sizes
        self.d_x = torch.empty(places + 1, self.size)
        self.d_x[places] = 0.0
        self.d_rows = self.by_level(self.d_x[:places].view(self.inner, -1))
        self.slots = torch.split_with_sizes(self.places.slot, sizes)
        if self.remembers:
            self.d_memories = torch.zeros(places + 1, self.size)
            each = self.d_memories[:places].view(self.arity, self.inner, self.size).unbind(0)
            self.d_each = [self.by_level(rows) for rows in each]
            self.memory_slots = torch.split_with_sizes(self.places.slot_by_child, sizes)
        if self.bilinear is not None:
            self.d_values = torch.empty(self.inner, self.size)
            self.d_values_by_level = self.by_level(self.d_values)

    def arrived(self, level: int) -> list[Tensor]:
        gradient = self.d_x.index_select(0, self.slots[level])
        if not self.remembers:
            return [gradient, *(torch.zeros_like(gradient) for _ in self.run.states[1:])]
        carry = self.d_memories.index_select(0, self.memory_slots[level])
        # Further memories have their gradients where they are to be; a leaf has none.
        others = [rows[level] for rows in self.d_each[1:]] if level else [torch.zeros_like(carry)] * (self.arity - 1)
        return [gradient, carry, *others]

    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        d_rows = self.d_rows[level]
        torch.mm(self.flow(level), self.weight, out=d_rows)
        if self.remembers:
            self.d_each[0][level].copy_(carries[0])
        elif self.bilinear is not None:
            self.d_values_by_level[level].copy_(carries[0])
            products = self.products[level].view(len(d_rows), self.size, -1)
            d_rows.add_((carries[0].unsqueeze(1) @ products).squeeze(1), alpha=2.0)

    def more_gradients(self) -> list[Tensor | None]:
        if self.bilinear is None:
            return []
        outer = (self.d_values.unsqueeze(2) * self.x.unsqueeze(1)).flatten(1)  # (N, m * N m)
        return [(outer.t() @ self.x).view(self.size, *[self.x.shape[1]] * 2)]


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


class _Levels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, way: TreePass, *tensors: Any) -> tuple[Tensor, ...]:
        results = way.forward(True, *tensors)
        ctx.way, ctx.needs = way, [tensor is not None for tensor in tensors]
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        with torch.autocast("cpu", enabled=False):
            gradients = ctx.way.backward(given)
        return None, *(gradient if needed else None for gradient, needed in zip(gradients, ctx.needs, strict=True))


def run_pass(way: TreePass, words: Tensor) -> Sequence[Tensor]:
    """What `TreePass.forward` gives, differentiable once."""
    tensors = way.tensors(words)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        results: Sequence[Tensor] = _Levels.apply(way, *tensors)  # type: ignore[no-untyped-call]
        return results
    values: list[Any] = [None if tensor is None else tensor.detach() for tensor in tensors]
    return way.forward(False, *values)
