"""The size of a cell as a formula: a polynomial of the input size n and the hidden size m."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Size"]


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
