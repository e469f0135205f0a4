"""The three cells that an evolutionary search found beside the GRU."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["MUT1", "MUT2", "MUT3"]


class _Mutated(Cell):
    """What the three share: as printed, MUT1 and MUT2 add the bare input to units, so that both must be equally many.

    Args:
        input_size: features of the input.
        hidden_size: units.
        literal: as printed, which needs ``input_size == hidden_size``; otherwise the input is multiplied by a matrix.
        bias: whether units have biases.

    Raises:
        ConfigError: ``literal`` with unequal sizes.
    """

    state = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, literal: bool = False, bias: bool = True) -> None:
        if literal and input_size != hidden_size:
            raise ConfigError(
                f"{type(self).__name__}: literal adds the input to the units; expected input_size = hidden_size, "
                f"found {input_size} and {hidden_size}"
            )
        self.literal = literal
        super().__init__(input_size, hidden_size, bias=bias)

    def candidate(self, x: Vector, h: Vector, r: Vector) -> Any:
        """``tanh(U (r h) + W x + b)``, of MUT2 and MUT3."""
        return tanh(self.affine(x, r * h, gates="n"))

    def options(self) -> dict[str, Any]:
        return {"literal": self.literal}


@register("mut1")
class MUT1(_Mutated):
    """First of the mutated gated units: its update gate sees the input alone (Jozefowicz, Zaremba & Sutskever 2015)."""

    size = Size(input=3, recurrent=2, bias=3)

    def step(self, x: Vector, h: Vector) -> Any:
        z = sigmoid(self.affine(x, gates="z"))
        r = sigmoid(self.affine(x, h, gates="r"))
        added = x if self.literal else self.matvec(x, name="input")
        return tanh(self.affine(r * h, gates="n") + tanh(added)) * z + h * (1 - z)


@register("mut2")
class MUT2(_Mutated):
    """Second of the mutated gated units, the GRU where sizes differ (Jozefowicz, Zaremba & Sutskever 2015)."""

    size = Size(input=3, recurrent=3, bias=3)

    def step(self, x: Vector, h: Vector) -> Any:
        z = sigmoid(self.affine(x, h, gates="z"))
        r = sigmoid(x + self.affine(h, gates="r") if self.literal else self.affine(x, h, gates="r"))
        return self.candidate(x, h, r) * z + h * (1 - z)


@register("mut3")
class MUT3(_Mutated):
    """Third of the mutated gated units: its update gate sees tanh of the state (Jozefowicz et al. 2015)."""

    size = Size(input=3, recurrent=3, bias=3)

    def step(self, x: Vector, h: Vector) -> Any:
        z = sigmoid(self.affine(x, tanh(h), gates="z"))
        r = sigmoid(self.affine(x, h, gates="r"))
        return self.candidate(x, h, r) * z + h * (1 - z)
