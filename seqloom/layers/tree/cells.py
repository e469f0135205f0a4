"""The cells of a node: one step from a node's word and its children to the node, written as the steps of a sequence are.

The input x of a step is the word's vector (n, perhaps none) and behind it what the children hand up. The first state is what
the step makes and is not read; the others are the memories of the children, which the layer gathers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.structure import Structure
from seqloom.engine.operations import sigmoid, tanh
from seqloom.engine.runtime.levels import level_inputs

__all__ = ["BilinearNode", "ChildSumNode", "ForgetEdge", "NaryNode", "NodeCell", "RecursiveNode"]

MOST_CHILDREN = 9


class NodeCell(Cell):
    """What the cells of a node share.

    Args:
        word_size: units n of a word's vector, the first of the input; 0 where words are no input of a step.
        hidden_size: units m.
        handed_up: units of what the children hand up.
    """

    def __init__(self, word_size: int, hidden_size: int, handed_up: int, *, bias: bool = True) -> None:
        self.word_size = word_size
        super().__init__(word_size + handed_up, hidden_size, bias=bias)

    def products(self, words: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """What a way through a forest multiplies with.

        Returns:
            (K, rows) the part of the product that does not wait for the children, with the bias, or none; (rows,) the bias; and
            (rows, handed up) the weight of what the children hand up.
        """
        inputs = level_inputs(self, self.input_size)
        own = F.linear(words, inputs.weight[:, : self.word_size], inputs.bias) if self.word_size else None
        return own, inputs.bias, inputs.weight[:, self.word_size :]

    @property
    def of_leaves(self) -> NodeCell | None:
        """The cell of a node without children, where that has fewer products than the others; it shares no parameters."""
        return None

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Each gate's matrix of the word, and of each child, is drawn by itself (Glorot & Bengio 2010; Saxe et al. 2014)."""
        size = self.hidden_size
        for parameter in self.parameters():
            if parameter.dim() < 2:
                parameter.zero_()
                continue
            for rows in torch.split(parameter, size):
                first = self.word_size if parameter.shape[1] == self.input_size else 0
                words, children = rows[:, :first], rows[:, first:]
                blocks = [words] if first else []
                blocks += torch.split(children, size, 1) if children.shape[1] % size == 0 else [children]
                for block in blocks:
                    scheme = nn.init.orthogonal_ if block.shape[0] == block.shape[1] else nn.init.xavier_uniform_
                    block.copy_(scheme(torch.empty(block.shape)))


class NaryNode(NodeCell):
    """A node of an N-ary Tree-LSTM: a memory gate for each child, which sees all of them (Tai et al. 2015, eqs. 9-14).

    4 m (n + 1) + 3 N m^2 + N^2 m^2 parameters; with ``words="leaves"`` the forget gates, which no leaf has, read no word,
    which saves n m.

    Args:
        word_size: units n of a word's vector.
        hidden_size: units m.
        arity: children N of a node, 1 to 9; or 0 of a leaf, whose memory is not read.
        words: which nodes have one.
    """

    def __init__(
        self,
        word_size: int,
        hidden_size: int,
        arity: int = 2,
        *,
        words: Literal["leaves", "all"] = "leaves",
        bias: bool = True,
    ) -> None:
        self.arity, self.words = arity, words
        self.state = ("h", *(f"c_{child}" for child in range(1, max(1, arity) + 1)))
        super().__init__(word_size, hidden_size, arity * hidden_size, bias=bias)

    @property
    def gates(self) -> str:
        """Input, output, update, and a forget gate for each child."""
        return "iou" + "123456789"[: self.arity]

    def structures(self) -> Mapping[str, Structure]:
        size, rows = self.hidden_size, (3 if self.words == "leaves" else 4) * self.hidden_size
        stored = {"weight_word": (rows, self.word_size), "weight_children": (len(self.gates) * size, self.arity * size)}
        described = {f"weight_{self.gates}_x": Structure(partial(_joined, self.arity), stored)}
        if self.arity == 0:
            return {}
        if self.use_bias:
            described[f"bias_{self.gates}"] = Structure(partial(_spread, self.arity), {"bias": (4 * size,)})
        return described

    def step(self, x: Vector, h: Vector, *memories: Vector) -> Any:
        i, o, u, *forget = self.affine(x, gates=self.gates)
        c = sigmoid(i) * tanh(u)
        for f, memory in zip(forget, memories, strict=False):  # a leaf has no gate
            c = c + sigmoid(f) * memory
        return sigmoid(o) * tanh(c), c, *memories[1:]

    def products(self, words: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
        if self.words == "all":
            return super().products(words)
        bias = self.parameter(f"bias_{self.gates}") if self.use_bias else None
        used = None if bias is None else bias[: 3 * self.hidden_size]
        own = F.linear(words, self.get_parameter("weight_word"), used)
        return own, bias, self.get_parameter("weight_children")

    @cached_property
    def of_leaves(self) -> NodeCell | None:
        if self.words == "all":
            return None
        with torch.random.fork_rng(devices=[]):
            return NaryNode(1, self.hidden_size, 0)


def _joined(arity: int, word: Tensor, children: Tensor) -> Tensor:
    """(rows, n + N m): a forget gate's row of the word is the same for each child, or none."""
    size = children.shape[1] // arity
    three = word[: 3 * size]
    rest = word[3 * size :].repeat(arity, 1) if len(word) > 3 * size else word.new_zeros(arity * size, word.shape[1])
    return torch.cat([torch.cat([three, rest]), children], 1)


def _spread(arity: int, bias: Tensor) -> Tensor:
    size = len(bias) // 4
    return torch.cat([bias[: 3 * size], bias[3 * size :].repeat(arity)])


class ChildSumNode(NodeCell):
    """A node of a child-sum Tree-LSTM, but for the forget gates (Tai et al. 2015, eqs. 2-8).

    x is the word and the sum of the children's outputs; the memory comes as the sum of what each `ForgetEdge` lets through.
    With that edge 4 m (n + m + 1) parameters.
    """

    state = ("h", "c")

    def __init__(self, word_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(word_size, hidden_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, o, u = self.affine(x, gates="iou")
        c = c + sigmoid(i) * tanh(u)
        return sigmoid(o) * tanh(c), c


class ForgetEdge(NodeCell):
    """What a parent keeps of the memory of one child; x is the parent's word and the child's output."""

    state = ("c",)

    def __init__(self, word_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(word_size, hidden_size, hidden_size, bias=bias)

    def step(self, x: Vector, c: Vector) -> Any:
        return sigmoid(self.affine(x)) * c


class RecursiveNode(NodeCell):
    """A node of a recursive network, ``p = tanh(W [b; c] + w)`` (Socher et al. 2011)."""

    state: tuple[str, ...] = ("h",)

    def __init__(self, word_size: int, hidden_size: int, arity: int = 2, *, bias: bool = True) -> None:
        self.arity = arity
        super().__init__(word_size, hidden_size, arity * hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector) -> Any:
        return tanh(self.affine(x))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """A node begins as the mean of its children, and a little noise: else what a leaf says is lost on the way up."""
        super().reset_parameters()
        size = self.hidden_size
        scale = 0.5 / size**0.5
        for child in torch.split(self.get_parameter("weight_x")[:, self.word_size :], size, 1):
            child.copy_((torch.eye(size) + torch.empty(size, size).uniform_(-scale, scale)) / self.arity)


class BilinearNode(RecursiveNode):
    """A node of a recursive neural tensor network (Socher et al. 2013, eq. 2).

    The bilinear form of the children, which is no product with a matrix, comes as the second state.
    """

    state = ("h", "q")

    def step(self, x: Vector, h: Vector, q: Vector) -> Any:  # type: ignore[override]
        return tanh(self.affine(x) + q), q
