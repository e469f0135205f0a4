"""The network with slow context units."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.engine.operations import sigmoid
from seqloom.errors import ConfigError

__all__ = ["SCRN"]


def _context(hidden_size: int) -> int:
    return max(1, hidden_size // 2)


@register("scrn")
class SCRN(Cell):
    """Structurally constrained network: slowly changing units beside fast ones (Mikolov et al. 2014, eqs. 5-7).

    A layer of it gives the fast units h, which have seen the slow ones s of the same step; the paper's read-out sees both.

    Args:
        input_size: features of the input.
        hidden_size: fast units.
        context_size: slow units, half as many by default.
        decay: how much of itself a slow unit keeps in a step, 0 to 1.
        bias: whether the fast units have biases; the paper's have none.

    Raises:
        ConfigError: an argument out of range.
    """

    state = ("h", "s")
    size = Formula("1.5nm + 1.5m² + m", lambda n, m, bias: n * m + m * m + (n + m) * _context(m) + (m if bias else 0))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        context_size: int | None = None,
        decay: float = 0.95,
        bias: bool = True,
    ) -> None:
        if not 0.0 <= decay <= 1.0:
            raise ConfigError(f"SCRN: decay is {decay}; expected 0 to 1")
        self.context_size = _context(hidden_size) if context_size is None else context_size
        self.decay = decay
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, h: Vector, s: Vector) -> Any:
        s = (1.0 - self.decay) * self.matvec(x, name="context", size=self.context_size) + self.decay * s
        return sigmoid(self.affine(x, h, s, name="fast")), s

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.context_size)

    def options(self) -> dict[str, Any]:
        return {"context_size": self.context_size, "decay": self.decay}
