"""The size of a cell as a formula of the input size n and the hidden size m."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Formula", "Size"]


@dataclass(frozen=True)
class Size:
    """Coefficients of ``nm`` (input weights), ``m²`` (recurrent weights), ``m`` (per-unit vectors) and of the biases.

    >>> lstm = Size(input=4, recurrent=4, bias=4)
    >>> str(lstm), lstm.count(3, 4), lstm.count(3, 4, bias=False)
    ('4nm + 4m² + 4m', 128, 112)
    """

    input: int
    recurrent: int
    vector: int = 0
    bias: int = 0

    def count(self, input_size: int, hidden_size: int, *, bias: bool = True) -> int:
        """How many parameters a cell of these sizes has."""
        per_unit = self.vector + (self.bias if bias else 0)
        return hidden_size * (self.input * input_size + self.recurrent * hidden_size + per_unit)

    def __str__(self) -> str:
        terms = [(self.input, "nm"), (self.recurrent, "m²"), (self.vector + self.bias, "m")]
        return " + ".join(f"{factor if factor > 1 else ''}{term}" for factor, term in terms if factor)


@dataclass(frozen=True)
class Formula:
    """A size that is no such polynomial, of a cell with the default values of its further arguments.

    >>> halves = Formula("nm + m²/2", lambda n, m, bias: n * m + m * m // 2)
    >>> str(halves), halves.count(3, 4)
    ('nm + m²/2', 20)
    """

    text: str
    function: Callable[[int, int, bool], int]
    """Of n, m and whether there are biases."""

    def count(self, input_size: int, hidden_size: int, *, bias: bool = True) -> int:
        """How many parameters a cell of these sizes has."""
        return self.function(input_size, hidden_size, bias)

    def __str__(self) -> str:
        return self.text
