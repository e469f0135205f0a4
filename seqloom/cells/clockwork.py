"""Units in groups that tick at different rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.cells.structure import Structure, constant, masked
from seqloom.engine.operations import tanh, where
from seqloom.errors import ConfigError

__all__ = ["Clockwork"]

_GROUPS = 4


@register("clockwork")
class Clockwork(Cell):
    """Clockwork network: groups of units with periods, slow ones feed fast ones (Koutnik, Greff, Gomez & Schmidhuber 2014).

    A group computes in the steps that its period divides, counted from 0, and keeps its value in the others. Units are
    ordered from fast to slow, and the recurrent matrix is block upper-triangular. The state ``phase`` counts each unit's
    steps since it ticked, so that a sequence may come in pieces.

    Args:
        input_size: features of the input.
        hidden_size: units, divided among the groups as equally as can be.
        periods: of the groups; 1, 2, 4, 8 by default, or fewer where there are fewer units.
        bias: whether units have biases.

    Raises:
        ConfigError: periods that do not ascend from at least 1, or more of them than units.
    """

    state = ("h", "phase")
    size = Formula(
        "nm + m² + m (with 4 equal groups 3m²/8 of them are always 0)",
        lambda n, m, bias: n * m + m * m + (m if bias else 0),
    )

    def __init__(
        self, input_size: int, hidden_size: int, *, periods: Sequence[int] | None = None, bias: bool = True
    ) -> None:
        if periods is None:
            periods = [2**k for k in range(min(_GROUPS, hidden_size))]
        self.periods = tuple(int(period) for period in periods)
        ascending = all(a < b for a, b in zip(self.periods, self.periods[1:], strict=False))
        if not 0 < len(self.periods) <= hidden_size or self.periods[0] < 1 or not ascending:
            raise ConfigError(
                f"Clockwork: periods are {list(self.periods)}; expected ascending integers from 1 on, at most as many as "
                f"units, which are {hidden_size}"
            )
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, phase: Vector) -> Any:
        h = where(phase < 0.5, tanh(self.affine(x, h)), h)
        after = phase + 1
        return h, where(after < self.vector("period") - 0.5, after, 0.0 * after)

    def structures(self) -> Mapping[str, Structure]:
        periods = self.periods_of_units()
        return {
            "weight_h": masked((periods.unsqueeze(1) <= periods.unsqueeze(0)).to(torch.float32)),
            "vector_period": constant(periods.to(torch.float32)),
        }

    def periods_of_units(self) -> Tensor:
        """(H,) the period of each unit."""
        groups = torch.arange(self.hidden_size).tensor_split(len(self.periods))
        return torch.cat([torch.full_like(group, period) for group, period in zip(groups, self.periods, strict=True)])

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.hidden_size)

    def options(self) -> dict[str, Any]:
        return {"periods": self.periods}
