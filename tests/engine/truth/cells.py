"""Cells that nobody registered: what a person may write, chosen for what is awkward in it for an engine."""

from __future__ import annotations

from typing import Any

from seqloom.cells import Cell, registry
from seqloom.engine.graph import Symbol
from seqloom.engine.operations import (
    abs,
    exp,
    layer_norm,
    log,
    maximum,
    minimum,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
    where,
)

__all__ = ["EXACT", "KINKS", "UNREGISTERED", "class_of", "kinks_of"]

KINKS = frozenset({"relu", "abs", "minimum", "maximum", "where", "less", "less_equal"})
"""Operations whose value or slope jumps: a rounding error may fall on the other side."""


def split(stack: Any, size: int) -> Any:
    """Blocks of ``size`` units of a vector that was computed as one."""
    if isinstance(stack, Symbol):
        return [stack.graph.block(stack, position, size) for position in range(stack.size // size)]
    return stack.split(size, -1)


class Peephole(Cell):
    """Peephole LSTM: the output gate sees the new cell state (Gers, Schraudolph & Schmidhuber 2002)."""

    state = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        i, f, g, o = self.affine(x, h, gates="ifgo")
        new = sigmoid(f + self.vector("f") * c) * c + sigmoid(i + self.vector("i") * c) * tanh(g)
        return sigmoid(o + self.vector("o") * new) * tanh(new), new


class CoupledGates(Cell):
    """LSTM whose input gate is one minus the forget gate (Greff et al. 2017, CIFG)."""

    state = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        f, g, o = self.affine(x, h, gates="fgo")
        f = sigmoid(f)
        c = f * c + (1 - f) * tanh(g)
        return sigmoid(o) * tanh(c), c


class NormalisedLSTM(Cell):
    """Layer-normalised LSTM: the stacks of all four gates are normalised, and the cell state (Ba et al. 2016)."""

    state = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        n = self.hidden_size
        from_x = layer_norm(self.affine(x, name="x", size=4 * n, bias=False), self.vector("gain_x", 4 * n))
        from_h = layer_norm(self.matvec(h, name="h", size=4 * n), self.vector("gain_h", 4 * n))
        i, f, g, o = split(from_x + from_h + self.vector("shift", 4 * n), n)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(layer_norm(c, self.vector("gain_c"), self.vector("shift_c"))), c


class DeepTransition(Cell):
    """Three layers from state to state, with shortcuts from the old one (Pascanu et al. 2014, DT(S)-RNN)."""

    def step(self, x: Any, h: Any) -> Any:
        first = tanh(self.affine(x, h, name="first"))
        second = tanh(self.affine(first, h, name="second"))
        return tanh(self.affine(second, h, name="third"))


class Highway(Cell):
    """Recurrent highway network of depth 2 (Zilly et al. 2017)."""

    def step(self, x: Any, h: Any) -> Any:
        g, t = self.affine(x, h, gates="gt", name="first")
        h = tanh(g) * sigmoid(t) + h * (1 - sigmoid(t))
        g, t = self.affine(h, gates="gt", name="second")
        return tanh(g) * sigmoid(t) + h * (1 - sigmoid(t))


class MinimalGated(Cell):
    """Minimal gated unit (Zhou et al. 2016)."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine(x, h, gates="f"))
        return (1 - f) * h + f * tanh(self.affine(x, f * h, gates="h"))


class Independent(Cell):
    """Independent units, no product of the state, with a bounded activation (after Li et al. 2018, IndRNN)."""

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine(x) + self.vector("decay") * h)


class MinimalGRU(Cell):
    """minGRU: gate and candidate see the input only (Feng et al. 2024)."""

    def step(self, x: Any, h: Any) -> Any:
        z, candidate = self.affine(x, gates="zc")
        z = sigmoid(z)
        return (1 - z) * h + z * candidate


class SlowContext(Cell):
    """Two states of different sizes, the wider one a leaky context (after Mikolov et al. 2015, SCRN)."""

    state = ("h", "slow")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.hidden_size, self.hidden_size + 3

    def step(self, x: Any, h: Any, slow: Any) -> Any:
        slow = 0.05 * self.affine(x, name="b", bias=False, size=self.hidden_size + 3) + 0.95 * slow
        return sigmoid(self.affine(slow, x, h, name="h")), slow


class UnitwiseInput(Cell):
    """The input itself unit by unit, not through a matrix: as many features as units, or one for all of them."""

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.vector("gain") * x + self.affine(h, name="h")) * sigmoid(x)


class SmoothVocabulary(Cell):
    """Every smooth operation, a scalar parameter, a computed vector, x unit by unit of a hoisted value."""

    state = ("h", "m")

    def step(self, x: Any, h: Any, m: Any) -> Any:
        a, b = self.affine(x, h, gates="ab")
        decay = sigmoid(self.vector("decay") - 1)
        positive = softplus(a) + exp(-(b * b)) + 0.5
        m = decay * m + (1 - decay) * log(positive) / sqrt(1 + a * a)
        u = layer_norm(self.matvec(m, name="u"), self.vector("gain"))
        return tanh(self.vector("scale", 1) * u - exp(-positive) * h + tanh(self.affine(x, gates="d")) / positive), m


class KinkedVocabulary(Cell):
    """Every operation with a kink or a jump, the branches of ``where`` out of range where they are not chosen."""

    state = ("h", "m")

    def step(self, x: Any, h: Any, m: Any) -> Any:
        a, b = self.affine(x, h, gates="ab")
        m = maximum(0.5 * m, minimum(abs(a), 2.0)) - relu(b) * 0.1
        root = where(a > 0.0, sqrt(maximum(a, 1e-3)), -0.5 * b)
        return where(m <= h, tanh(root), minimum(tanh(a), sigmoid(b)) - 0.1 * abs(h)), minimum(m, 3.0)


UNREGISTERED: dict[str, type[Cell]] = {
    cell.__name__: cell
    for cell in (
        Peephole, CoupledGates, NormalisedLSTM, DeepTransition, Highway, MinimalGated, Independent, MinimalGRU,
        SlowContext, UnitwiseInput, SmoothVocabulary, KinkedVocabulary,
    )
}  # fmt: skip


class Sum(Cell):
    """A linear recurrence."""

    def step(self, x: Any, h: Any) -> Any:
        return self.affine(x, h)


class Rectified(Cell):
    """Two rectified layers in a step: the second product waits for the first."""

    def step(self, x: Any, h: Any) -> Any:
        return relu(self.affine(relu(self.affine(x, h, name="first")), name="second"))


class Choices(Cell):
    """Integers in, integers out: gates that are comparisons, a peephole, a second state."""

    state = ("h", "m")

    def step(self, x: Any, h: Any, m: Any) -> Any:
        a, b, c = self.affine(x, h, gates="abc")
        m = where(a < b, maximum(m, abs(c)), minimum(m, -relu(a))) + self.vector("peephole") * m
        return where(m <= 3.0, maximum(b, -c), 2 - a), minimum(maximum(m, -9.0), 9.0)


EXACT: dict[str, type[Cell]] = {cell.__name__: cell for cell in (Sum, Rectified, Choices)}
"""Cells that make integers of integers."""


def class_of(name: str) -> type[Cell]:
    """The class of a registered cell or of one of this module."""
    return {**UNREGISTERED, **EXACT}.get(name) or registry.get(name)


def kinks_of(cell: Cell) -> int:
    """Operations in a step after which a rounding error may fall on the other side."""
    return sum(node.operation in KINKS for node in cell.graph.nodes)
