"""Real-gated linear recurrent unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.cells.structure import Structure, block_diagonal, usual_heads
from seqloom.engine.operations import exp, maximum, minimum, sigmoid, softplus, sqrt, tanh, where
from seqloom.errors import ConfigError

__all__ = ["RGLRU"]

_SHARPNESS = 8.0
# The derivative of sqrt(1 - a²) has no bound as a approaches 1. Where it would pass 1000, which is as far as the authors'
# code lets it go, the root goes on as its tangent.
_STEEPEST = 1000.0
_TANGENT = (0.5 / _STEEPEST) ** 2


@register("rg_lru")
class RGLRU(Cell):
    """Real-gated linear recurrent unit, of Griffin (De et al. 2024, eqs. 1-4).

    ``h_t = a_t h_{t-1} + sqrt(1 - a_t²) (i_t u_t)`` with ``log a_t = -8 r_t softplus(decay)``; u is the input, projected
    to the units. The first step of a sequence takes ``i_t u_t`` as it is. Linear in its state: use it in a stack of
    blocks.

    Args:
        input_size: features of the input.
        hidden_size: units.
        heads: blocks of the gates' matrices; 4 where that divides the units, else 1, by default.
        literal: no projection, as in the paper's cell, which needs ``input_size == hidden_size``.
        bias: whether the gates have biases.

    Raises:
        ConfigError: ``heads`` does not divide the units; ``literal`` with unequal sizes.
    """

    state = ("h", "started")
    size = Formula(
        "nm + 2m²/heads + 3m (4 heads, or 1 where 4 does not divide m)",
        lambda n, m, bias: n * m + 2 * m * m // usual_heads(m) + (3 * m if bias else m),
    )
    initial = Initialisation(input="normal_fan_in")

    def __init__(
        self, input_size: int, hidden_size: int, *, heads: int | None = None, literal: bool = False, bias: bool = True
    ) -> None:
        self.heads = usual_heads(hidden_size) if heads is None else heads
        self.literal = literal
        if self.heads < 1 or hidden_size % self.heads:
            raise ConfigError(f"RGLRU: heads is {self.heads}, which does not divide the {hidden_size} units")
        if literal and input_size != hidden_size:
            raise ConfigError(
                f"RGLRU: literal adds the input to the units; expected input_size = hidden_size, found {input_size} and "
                f"{hidden_size}"
            )
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, started: Vector) -> Any:
        u = x if self.literal else self.matvec(x, name="input")
        r, i = (sigmoid(gate) for gate in self.affine(u, gates="ri"))
        log_a = -_SHARPNESS * r * softplus(self.vector("decay"))
        t = tanh(log_a)
        rest = -2 * t / (1 - t)  # 1 - a² = -expm1(2 log a), without the loss of digits of 1 - exp(2 log a)
        fresh = i * u
        root = sqrt(maximum(rest, _TANGENT)) + _STEEPEST * minimum(rest - _TANGENT, 0.0)
        h = where(started > 0, exp(log_a) * h + root * fresh, fresh)
        return h, 0.0 * started + 1.0

    def structures(self) -> Mapping[str, Structure]:
        name = f"weight_ri_{'x' if self.literal else 'v1'}"
        return {name: block_diagonal(name, 2, self.heads, self.hidden_size, self.hidden_size)}

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, 1)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        area = torch.empty(self.hidden_size).uniform_(0.9**2, 0.999**2)
        self.get_parameter("vector_decay").copy_(torch.log(torch.expm1(-0.5 * torch.log(area))))

    def options(self) -> dict[str, Any]:
        return {"heads": self.heads, "literal": self.literal}
