"""The compiled step over a forest, level by level, as one operation of autograd.

What does not wait for the children, the product of the words, is made for all nodes before; what nothing waits for, the
gradients of the weights, for all nodes afterwards. A level gathers, multiplies, and runs the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
        self.levels = forest.levels
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
        self.run = LevelRun(program, self.total - first, first=first, save=save)
        linear = self.run.linear
        self.known = 0 if self.first_level else len(given)
        inner = linear[max(self.known, self.leaves - first) :]
        inner.copy_(bias.expand_as(inner)) if bias is not None else inner.zero_()
        # The inner nodes have one row of input each, (N - leaves, handed up).
        self.x = torch.empty(self.total - self.leaves, weight.shape[1])
        self.zeros = torch.zeros(max(stop - start for start, stop in self.levels), self.size)
        self.prepare(*more)
        if self.first_level == 0:
            linear[: self.known] = given
            self.run.forward(0, self.leaves, self.initial(0))
        else:
            self._run_leaves(given, save)
        for level in range(1, len(self.levels)):
            start, stop = self.levels[level]
            self.gather(level)
            x = self.x[start - self.leaves : stop - self.leaves]
            own = linear[start - first : stop - first]
            torch.addmm(own, x, self.columns, out=own)
            self.run.forward(start, stop, self.initial(level))
        last = [state.index_select(0, self.forest.roots) for state in self.run.states[1 : self.kept_states]]
        return [self.run.states[0][: self.total].clone(), *last]

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
        self.leaf_run = LevelRun(program, self.leaves, states=states[:count], linear=given, save=save)
        self.leaf_run.forward(0, self.leaves, [self.zeros[: self.leaves]] * count)

    def flow(self, level: int) -> Tensor:
        """The gradients of a level's products."""
        start, stop = self.levels[level]
        return self.run.gradient[start - self.run.first : stop - self.run.first]

    @property
    def kept_states(self) -> int:
        """How many states a node hands up."""
        return 2

    def backward(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of what `tensors` gave, from those of what `forward` gave."""
        run, leaves = self.run, self.leaves
        run.begin_backward()
        self.prepare_backward()
        outputs, memories = given[0], given[1] if len(given) > 1 else None
        if memories is not None:
            memories = torch.zeros(self.total, self.size).index_copy_(0, self.forest.roots, memories)
        gradient = torch.empty(0)
        carries: list[Tensor] = []
        for level in reversed(range(len(self.levels))):
            start, stop = self.levels[level]
            gradient, *carries = self.arrived(level)
            if outputs is not None:
                gradient += outputs[start:stop]
            if memories is not None:
                carries[0] += memories[start:stop]
            if level < self.first_level:
                break
            # The first state is not read by a step: nothing flows back to it, and these stay zeros.
            run.backward(start, stop, self.initial(level), gradient, [self.zeros[: stop - start], *carries])
            if level:
                self.scatter(level, carries)
        first = max(self.known, leaves) - run.first
        flow = run.gradient
        d_bias = flow[first:].sum(0)
        d_weight = flow[leaves - run.first :].t() @ self.x
        if self.first_level == 0:
            return [flow[: self.known], d_bias, d_weight, *self.more_gradients()]
        if self.of_leaves is not None:
            zeros = self.zeros[:leaves]
            self.leaf_run.begin_backward()
            self.leaf_run.backward(0, leaves, [zeros] * len(self.leaf_run.states), gradient, [zeros, carries[0]])
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
        self.memories = [torch.empty(self.inner, self.size) for _ in self.run.states[1:]]
        if more:
            self.forms = more[0].flatten(0, 1)  # (m * N m, N m), symmetric
            self.products = torch.empty(self.inner, len(self.forms))

    def gather(self, level: int) -> None:
        start, stop = (border - self.leaves for border in self.levels[level])
        x = self.x[start:stop]
        picked = self.places.flat[start * self.arity : stop * self.arity]
        torch.index_select(self.run.states[0], 0, picked, out=x.view(-1, self.size))
        if self.remembers:
            for memory, children in zip(self.memories, self.places.by_child, strict=True):
                torch.index_select(self.run.states[1], 0, children[start:stop], out=memory[start:stop])
        elif self.bilinear is not None:
            products = self.products[start:stop]
            torch.mm(x, self.forms.t(), out=products)
            values = products.view(-1, self.size, x.shape[1]) @ x.unsqueeze(2)
            self.memories[0][start:stop] = values.squeeze(2)

    def initial(self, level: int) -> list[Tensor]:
        start, stop = self.levels[level]
        zeros = self.zeros[: stop - start]
        if level == 0:
            return [zeros] * len(self.run.states)
        return [zeros, *(memory[start - self.leaves : stop - self.leaves] for memory in self.memories)]

    def prepare_backward(self) -> None:
        places = self.inner * self.arity
        self.d_x = torch.empty(places + 1, self.size)
        self.d_x[places] = 0.0
        if self.remembers:
            self.d_memories = torch.zeros(places + 1, self.size)
        if self.bilinear is not None:
            self.d_values = torch.empty(self.inner, self.size)

    def arrived(self, level: int) -> list[Tensor]:
        start, stop = self.levels[level]
        gradient = self.d_x.index_select(0, self.places.slot[start:stop])
        if not self.remembers:
            return [gradient, *(torch.zeros(stop - start, self.size) for _ in self.run.states[1:])]
        carries = [self.d_memories.index_select(0, self.places.slot_by_child[start:stop])]
        if level:  # further memories have their gradients where they are to be
            first, last = start - self.leaves, stop - self.leaves
            starts = range(self.inner, self.arity * self.inner, self.inner)
            carries += [self.d_memories[before + first : before + last] for before in starts]
        elif self.first_level == 0:
            carries += [self.zeros[: stop - start]] * (self.arity - 1)
        return [gradient, *carries]

    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        start, stop = self.levels[level]
        flow = self.flow(level)
        first, last = start - self.leaves, stop - self.leaves
        d_x = self.d_x[first * self.arity : last * self.arity].view(last - first, -1)
        torch.mm(flow, self.weight, out=d_x)
        if self.remembers:
            self.d_memories[first:last] = carries[0]
        elif self.bilinear is not None:
            self.d_values[first:last] = carries[0]
            products = self.products[first:last].view(last - first, self.size, -1)
            d_x.add_((carries[0].unsqueeze(1) @ products).squeeze(1), alpha=2.0)

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
        count = len(gates)
        self.forget = LevelRun(program, count, save=self.run.save)
        self.forget.linear.copy_(gates)
        self.forget_weight = weight.contiguous()
        self.forget_columns = self.forget_weight.t()
        self.h, self.c = torch.empty(count, self.size), torch.empty(count, self.size)
        self.memory = torch.empty(self.total - self.leaves, self.size)
        self.each = torch.arange(count)

    def gather(self, level: int) -> None:
        start, stop = self.levels[level]
        edges, forget = self.edges, self.forget
        first, last = edges.borders[level], edges.borders[level + 1]
        h, c = self.h[first:last], self.c[first:last]
        torch.index_select(self.run.states[0], 0, edges.child[first:last], out=h)
        torch.index_select(self.run.states[1], 0, edges.child[first:last], out=c)
        torch.addmm(forget.linear[first:last], h, self.forget_columns, out=forget.linear[first:last])
        forget.forward(first, last, [c])
        offsets = edges.starts[start:stop] - first
        inner = slice(start - self.leaves, stop - self.leaves)
        each = self.each[: last - first]
        self.x[inner] = F.embedding_bag(each, h, offsets, mode="sum")
        self.memory[inner] = F.embedding_bag(each, forget.states[0][first:last], offsets, mode="sum")

    def initial(self, level: int) -> list[Tensor]:
        start, stop = self.levels[level]
        zeros = self.zeros[: stop - start]
        return [zeros, zeros] if level == 0 else [zeros, self.memory[start - self.leaves : stop - self.leaves]]

    def prepare_backward(self) -> None:
        count = len(self.h)
        self.forget.begin_backward()
        self.d_h, self.d_c = torch.zeros(count + 1, self.size), torch.zeros(count + 1, self.size)

    def arrived(self, level: int) -> list[Tensor]:
        start, stop = self.levels[level]
        slot = self.edges.slot[start:stop]
        return [self.d_h.index_select(0, slot), self.d_c.index_select(0, slot)]

    def scatter(self, level: int, carries: Sequence[Tensor]) -> None:
        start, stop = self.levels[level]
        edges = self.edges
        first, last = edges.borders[level], edges.borders[level + 1]
        parent = edges.parent[first:last] - start
        kept = carries[0].index_select(0, parent)
        d_c = self.d_c[first:last]
        self.forget.backward(first, last, [self.c[first:last]], kept, [d_c])
        d_h = (self.flow(level) @ self.weight).index_select(0, parent)
        torch.addmm(d_h, self.forget.gradient[first:last], self.forget_weight, out=self.d_h[first:last])

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
