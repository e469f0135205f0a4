"""Long short-term memory whose recurrent matrix depends on the input."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh

__all__ = ["MultiplicativeLSTM"]


@register("lstm_multiplicative")
class MultiplicativeLSTM(Cell):
    """Multiplicative long short-term memory: each input has its own transition (Krause, Lu, Murray & Renals 2016)."""

    state = ("h", "c")
    size = Size(input=5, recurrent=5, bias=4)
    initial = Initialisation(bias={"f": 1.0})

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        factor = self.matvec(x, name="factor") * self.matvec(h, name="recurrent")
        i, f, g, o = self.affine(x, factor, gates="ifgo")
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c
