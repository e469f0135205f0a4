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

from seqloom.engine.runtime.levels import LevelRun, level_program
from seqloom.layers.tree.cells import NodeCell
from seqloom.layers.tree.forest import Forest

__all__ = ["TreePass", "run_pass"]


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
