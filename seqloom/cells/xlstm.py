"""The two cells of the extended LSTM: exponential gates, kept in range by a running maximum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.cells.structure import Structure, block_diagonal, constant, repeated, usual_heads
from seqloom.engine.operations import abs, exp, maximum, minimum, sigmoid, softplus, tanh, where
from seqloom.errors import ConfigError

__all__ = ["MatrixLSTM", "ScalarLSTM"]


class _Heads(Cell):
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int | None = None,
        forget: Literal["sigmoid", "exp"] = "sigmoid",
        bias: bool = True,
    ) -> None:
        self.heads = usual_heads(hidden_size) if heads is None else heads
        if self.heads < 1 or hidden_size % self.heads:
            raise ConfigError(
                f"{type(self).__name__}: heads is {self.heads}, which does not divide {hidden_size} units"
            )
        if forget not in ("sigmoid", "exp"):
            raise ConfigError(f"{type(self).__name__}: forget is {forget!r}; expected 'sigmoid' or 'exp'")
        self.forget = forget
        super().__init__(input_size, hidden_size, bias=bias)

    def log_forget(self, f: Vector) -> Any:
        """The logarithm of the forget gate."""
        return -softplus(-f) if self.forget == "sigmoid" else f

    @torch.no_grad()
    def remember_longer(self, bias: str, first: int, count: int) -> None:
        """Forget gates that begin from half closed over hundreds of steps to hardly ever closing."""
        if self.use_bias:
            self.get_parameter(bias)[first : first + count] = torch.linspace(3.0, 6.0, count)

    def options(self) -> dict[str, Any]:
        return {"heads": self.heads, "forget": self.forget}


@register("slstm")
class ScalarLSTM(_Heads):
    """Extended LSTM with scalar memories, exponential gates and mixing in heads (Beck et al. 2024, eqs. 8-17).

    Args:
        input_size: features of the input.
        hidden_size: units.
        heads: blocks of the recurrent matrices; 4 where that divides the units, else 1, by default.
        forget: what the forget gate computes, ``sigmoid`` or ``exp``.
        bias: whether the gates have biases.

    Raises:
        ConfigError: ``heads`` does not divide the units.
    """

    state = ("h", "c", "n", "m")
    positive = ("n",)
    size = Formula(
        "4nm + 4m²/heads + 4m (4 heads, or 1 where 4 does not divide m)",
        lambda n, m, bias: 4 * n * m + 4 * m * m // usual_heads(m) + (4 * m if bias else 0),
    )

    def step(self, x: Vector, h: Vector, c: Vector, n: Vector, m: Vector) -> Any:
        z, i, f, o = self.affine(x, h, gates="zifo")
        log_f = self.log_forget(f)
        top = where(abs(n) > 0, maximum(log_f + m, i), i)  # nothing is remembered yet where n is 0
        i, f = exp(i - top), exp(minimum(log_f + m - top, 0.0))
        c, n = f * c + i * tanh(z), f * n + i
        return sigmoid(o) * c / n, c, n, top

    def structures(self) -> Mapping[str, Structure]:
        name, m = "weight_zifo_h", self.hidden_size
        return {name: block_diagonal(name, 4, self.heads, m, m)} if self.heads > 1 else {}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.remember_longer("bias_zifo", 2 * self.hidden_size, self.hidden_size)


@register("mlstm")
class MatrixLSTM(_Heads):
    """Extended LSTM with a matrix memory per head, written by outer products (Beck et al. 2024, eqs. 19-27).

    Linear in its state: use it in a stack of blocks. Its matrices C (heads, d, d), d units in a head, are kept as one
    vector; keys, queries and values are spread to its size, so that a step is elementwise but for the read-out.

    Args:
        input_size: features of the input.
        hidden_size: units.
        heads: how many memories; 4 where that divides the units, else 1, by default.
        forget: what the forget gate computes, ``sigmoid`` or ``exp``.
        bias: whether the gates have biases.

    Raises:
        ConfigError: ``heads`` does not divide the units.
    """

    state = ("h", "C", "n", "m")
    size = Formula(
        "4nm + m + 2(n + 1) heads (4 heads, or 1 where 4 does not divide m)",
        lambda n, m, bias: 4 * n * m + 2 * n * usual_heads(m) + ((m + 2 * usual_heads(m)) if bias else 0),
    )

    def step(self, x: Vector, h: Vector, memory: Vector, n: Vector, m: Vector) -> Any:
        width = self.hidden_size // self.heads
        i, f = self.affine(x, gates="if", size=self.heads)
        log_f = self.log_forget(f)
        top = maximum(log_f + m, i)
        i, f = exp(i - top), exp(log_f + m - top)
        scale = 1.0 / math.sqrt(width)
        k, q = scale * self.matvec(x, name="key"), self.matvec(x, name="query")
        wide = {
            name: self.matvec(x, name=f"{name}_wide", size=len(self.rows(name))) for name in ("key", "query", "value")
        }
        written = scale * wide["key"] * wide["value"]
        memory = self.spread(f, wide=True) * memory + self.spread(i, wide=True) * written
        n = self.spread(f) * n + self.spread(i) * k
        read = self.matvec(memory * wide["query"], name="read")
        # The maximum's 1 becomes exp(-m) where all else has been divided by exp(m); below exp(-80) nothing is left of it.
        total = maximum(abs(self.matvec(n * q, name="total", size=self.heads)), exp(minimum(-top, 80.0)))
        o = sigmoid(self.affine(x, name="output"))
        return o * read * self.spread(1 / total), memory, n, top

    def spread(self, per_head: Vector, *, wide: bool = False) -> Any:
        """A number per head for each of its units, or for each entry of its matrix."""
        if self.heads == 1:
            return per_head
        size = len(self.rows("key")) if wide else self.hidden_size
        return self.matvec(per_head, name="to_memory" if wide else "to_units", size=size)

    def rows(self, name: str) -> list[int]:
        """For each entry (head, i, j) of the memory, the unit of a key or query, which is i, or of a value, which is j."""
        width = self.hidden_size // self.heads
        return [
            head * width + (j if name == "value" else i)
            for head in range(self.heads)
            for i in range(width)
            for j in range(width)
        ]

    def structures(self) -> Mapping[str, Structure]:
        m, heads, width = self.hidden_size, self.heads, self.hidden_size // self.heads
        shape = (m, self.input_size)
        per_head = torch.eye(heads)
        structures = {
            f"weight_{name}_wide_x": repeated(
                "weight_value_x" if name == "value" else f"weight_{name}_x", shape, self.rows(name)
            )
            for name in ("key", "query", "value")
        }
        structures["weight_read_v1"] = constant(torch.eye(m)[:, self.rows("value")])
        structures["weight_total_v1"] = constant(per_head.repeat_interleave(width, 1))
        if heads > 1:
            structures["weight_to_units_v1"] = constant(per_head.repeat_interleave(width, 0))
            structures["weight_to_memory_v1"] = constant(per_head.repeat_interleave(width * width, 0))
        return structures

    @property
    def state_sizes(self) -> tuple[int, ...]:
        m = self.hidden_size
        return (m, m * m // self.heads, m, self.heads)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.get_parameter("weight_if_x").mul_(0.1)  # gates begin nearly the same for all inputs
        self.remember_longer("bias_if", self.heads, self.heads)

    def options(self) -> dict[str, Any]:
        return {"heads": self.heads, "forget": self.forget}
