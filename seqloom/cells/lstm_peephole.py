"""Long short-term memory whose gates see the memory, or share one gate."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh

__all__ = ["CoupledLSTM", "PeepholeLSTM"]


@register("lstm_peephole")
class PeepholeLSTM(Cell):
    """Long short-term memory with peepholes, the cell of Graves's papers (Gers, Schraudolph & Schmidhuber 2002)."""

    state = ("h", "c")
    size = Size(input=4, recurrent=4, vector=3, bias=4)
    initial = Initialisation(bias={"f": 1.0})

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, f, g, o = self.affine(x, h, gates="ifgo")
        i, f = sigmoid(i + self.vector("i") * c), sigmoid(f + self.vector("f") * c)
        c = f * c + i * tanh(g)
        return sigmoid(o + self.vector("o") * c) * tanh(c), c  # the output gate sees the new memory


@register("cifg")
class CoupledLSTM(Cell):
    """Long short-term memory with coupled input and forget gates, i = 1 - f (Greff et al. 2015).

    Args:
        input_size: features of the input.
        hidden_size: units.
        peepholes: whether the gates see the memory.
        bias: whether the gates have biases.
    """

    state = ("h", "c")
    size = Size(input=3, recurrent=3, bias=3)
    initial = Initialisation(bias={"f": 1.0})

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = False, bias: bool = True) -> None:
        self.peepholes = peepholes
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        f, g, o = self.affine(x, h, gates="fgo")
        f = sigmoid(f + self.vector("f") * c if self.peepholes else f)
        c = f * c + (1 - f) * tanh(g)
        return sigmoid(o + self.vector("o") * c if self.peepholes else o) * tanh(c), c

    def options(self) -> dict[str, Any]:
        return {"peepholes": self.peepholes}
