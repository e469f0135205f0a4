"""The minimal gated unit."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh

__all__ = ["MGU"]


@register("mgu")
class MGU(Cell):
    """Minimal gated unit, whose one gate both resets and updates (Zhou, Wu, Zhang & Zhou 2016)."""

    state = ("h",)
    size = Size(input=2, recurrent=2, bias=2)

    def step(self, x: Vector, h: Vector) -> Any:
        f = sigmoid(self.affine(x, h, gates="f"))
        return (1 - f) * h + f * tanh(self.affine(x, f * h, gates="n"))
