"""The minimal gated units whose gates do not see the state, so that a sequence is one scan."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, softplus, where

__all__ = ["MinGRU", "MinLSTM"]


class _Minimal(Cell):
    """What both share.

    Args:
        input_size: features of the input.
        hidden_size: units.
        positive_candidate: pass the candidate through q(v) = v + 0.5 where v >= 0, sigmoid(v) elsewhere, as the form of
            the paper does that computes in logarithms.
        bias: whether gates and candidate have biases.
    """

    state = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, *, positive_candidate: bool = False, bias: bool = True
    ) -> None:
        self.positive_candidate = positive_candidate
        super().__init__(input_size, hidden_size, bias=bias)

    def candidate(self, value: Vector) -> Any:
        """The candidate from its product."""
        return where(value >= 0, value + 0.5, sigmoid(value)) if self.positive_candidate else value

    def options(self) -> dict[str, Any]:
        return {"positive_candidate": self.positive_candidate}


@register("mingru")
class MinGRU(_Minimal):
    """Minimal GRU, a linear recurrence with input-dependent rates (Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024)."""

    size = Size(input=2, recurrent=0, bias=2)

    def step(self, x: Vector, h: Vector) -> Any:
        z, value = self.affine(x, gates="zh")
        z = sigmoid(z)
        return (1 - z) * h + z * self.candidate(value)


@register("minlstm")
class MinLSTM(_Minimal):
    """Minimal LSTM, whose two gates sum to one (Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024)."""

    size = Size(input=3, recurrent=0, bias=3)

    def step(self, x: Vector, h: Vector) -> Any:
        f, i, value = self.affine(x, gates="fih")
        f = sigmoid(softplus(-i) - softplus(-f))  # sigmoid(f) / (sigmoid(f) + sigmoid(i)), which never divides by 0
        return f * h + (1 - f) * self.candidate(value)
