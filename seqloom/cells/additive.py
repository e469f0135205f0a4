"""Recurrences that add to the state, so that a gradient has an identity to flow through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.cells.structure import Structure, antisymmetric
from seqloom.engine.operations import tanh

__all__ = ["Additive", "Antisymmetric"]


@register("additive")
class Additive(Cell):
    """Additive recurrence h + step_size tanh(W x + U h + b), an Euler step (Chang, Chen, Haber & Chi 2019, eq. 4).

    Args:
        input_size: features of the input.
        hidden_size: units.
        step_size: how far a step goes; the state can grow by so much in every step.
        bias: whether units have biases.
    """

    state = ("h",)
    size = Size(input=1, recurrent=1, bias=1)

    def __init__(self, input_size: int, hidden_size: int, *, step_size: float = 0.1, bias: bool = True) -> None:
        self.step_size = step_size
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector) -> Any:
        return h + self.step_size * tanh(self.affine(x, h))

    def options(self) -> dict[str, Any]:
        return {"step_size": self.step_size}


@register("antisymmetric")
class Antisymmetric(Additive):
    """Additive recurrence with U - U' - damping I, near the edge of stability (Chang, Chen, Haber & Chi 2019, eq. 10).

    Args:
        input_size: features of the input.
        hidden_size: units.
        step_size: how far a step goes.
        damping: moves the eigenvalues to the left, which Euler's method needs to be stable.
        bias: whether units have biases.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, step_size: float = 0.1, damping: float = 0.01, bias: bool = True
    ) -> None:
        self.damping = damping
        super().__init__(input_size, hidden_size, step_size=step_size, bias=bias)

    def structures(self) -> Mapping[str, Structure]:
        return {"weight_h": antisymmetric(self.damping)}

    def options(self) -> dict[str, Any]:
        return {"step_size": self.step_size, "damping": self.damping}
