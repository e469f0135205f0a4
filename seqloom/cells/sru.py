"""Simple recurrent unit: gates that see the memory unit by unit, and a highway from the input."""

from __future__ import annotations

import math
from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid
from seqloom.errors import ConfigError

__all__ = ["SRU"]


@register("sru")
class SRU(Cell):
    """Simple recurrent unit: no matrix in the recurrence, and a highway (Lei, Zhang, Wang, Dai & Artzi 2018, eqs. 1-5).

    Args:
        input_size: features of the input.
        hidden_size: units.
        highway_bias: with which the highway's gate begins; negative values let the input pass at first.
        literal: the highway carries the input itself, which needs ``input_size == hidden_size``; otherwise a product of
            it, as the authors' code does where the sizes differ.
        bias: whether the gates have biases.

    Raises:
        ConfigError: ``literal`` with unequal sizes.
    """

    state = ("h", "c")
    size = Size(input=4, recurrent=0, vector=2, bias=2)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        highway_bias: float = 0.0,
        literal: bool = False,
        bias: bool = True,
    ) -> None:
        if literal and input_size != hidden_size:
            raise ConfigError(
                f"SRU: literal adds the input to the units; expected input_size = hidden_size, found {input_size} and "
                f"{hidden_size}"
            )
        self.highway_bias, self.literal = highway_bias, literal
        self.initial = Initialisation(bias={"r": highway_bias})
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        f, r = self.affine(x, gates="fr")
        f, r = sigmoid(f + self.vector("f") * c), sigmoid(r + self.vector("r") * c)
        c = f * c + (1 - f) * self.matvec(x, name="candidate")
        carried = x if self.literal else self.matvec(x, name="highway")
        return r * c + (1 - r) * (math.sqrt(1 + 2 * math.exp(self.highway_bias)) * carried), c

    def options(self) -> dict[str, Any]:
        return {"highway_bias": self.highway_bias, "literal": self.literal}
