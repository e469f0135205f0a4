"""Units that see only themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.cells.structure import Structure
from seqloom.engine import operations
from seqloom.errors import ConfigError

__all__ = ["IndRNN"]


@register("indrnn")
class IndRNN(Cell):
    """Independently recurrent network, each unit with one recurrent weight (Li, Li, Cook, Zhu & Gao 2018).

    Units of a layer do not meet in time, so it takes two layers or more. The recurrent weights act within
    ``+- 2 ** (1 / longest)``, so that over the longest sequence a gradient at most doubles.

    Args:
        input_size: features of the input.
        hidden_size: units.
        activation: ``relu`` or ``tanh``.
        longest: steps of the longest sequence.
        long_memory: begin with all weights near 1, as the last layer of a stack should; otherwise anywhere from 0.
        bias: whether units have biases.

    Raises:
        ConfigError: ``longest`` is below 1, or an unknown activation.
    """

    state = ("h",)
    size = Size(input=1, recurrent=0, vector=1, bias=1)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Literal["relu", "tanh"] = "relu",
        longest: int = 1000,
        long_memory: bool = False,
        bias: bool = True,
    ) -> None:
        if longest < 1:
            raise ConfigError(f"IndRNN: longest is {longest}; expected the steps of the longest sequence")
        if activation not in ("relu", "tanh"):
            raise ConfigError(f"IndRNN: activation is {activation!r}; expected 'relu' or 'tanh'")
        self.activation, self.longest, self.long_memory = activation, longest, long_memory
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector) -> Any:
        return getattr(operations, self.activation)(self.affine(x) + self.vector("u") * h)

    def structures(self) -> Mapping[str, Structure]:
        return {"vector_u": Structure(partial(_bounded, 2.0 ** (1.0 / self.longest)))}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        bound = 2.0 ** (1.0 / self.longest)
        self.get_parameter("vector_u").uniform_(1.0 / bound if self.long_memory else 0.0, bound)

    def options(self) -> dict[str, Any]:
        return {"activation": self.activation, "longest": self.longest, "long_memory": self.long_memory}


def _bounded(bound: float, u: Tensor) -> Tensor:
    # The gradient passes where u is out of bounds, so that a weight that once went too far can come back.
    return u + (u.clamp(-bound, bound) - u).detach()
