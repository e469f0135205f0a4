"""Long short-term memory whose output is projected to fewer units."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["LSTMP"]


def _half(hidden_size: int) -> int:
    return max(1, hidden_size // 2)


@register("lstmp")
class LSTMP(Cell):
    """Long short-term memory with a recurrent projection (Sak, Senior & Beaufays 2014, eqs. 7-13).

    The gates read the projection h (B, P) of the output; the cell c stays (B, H). Without peepholes it is
    ``torch.nn.LSTM`` with ``proj_size``.

    Args:
        input_size: features of the input.
        hidden_size: units H of the memory.
        projection_size: units P of the output, half of ``hidden_size`` by default.
        peepholes: whether the gates see the memory, as in the paper.
        bias: whether the gates have biases; the projection never has one.

    >>> LSTMP(3, 8, projection_size=2)
    LSTMP(3, 8, projection_size=2)

    Raises:
        ConfigError: ``projection_size`` is not an integer in 1..H.
    """

    state = ("h", "c")
    size = Formula(
        "4nm + 5pm + 4m (5pm is 2.5m² where p = m/2)",
        lambda n, m, bias: 4 * m * (n + _half(m) + bias) + _half(m) * m,
    )
    initial = Initialisation(bias={"f": 1.0})

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        projection_size: int | None = None,
        peepholes: bool = False,
        bias: bool = True,
    ) -> None:
        default = _half(hidden_size) if isinstance(hidden_size, int) else 1  # the base class has a word about the size
        size = default if projection_size is None else projection_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"LSTMP: projection_size is {size!r}; expected an integer of at least 1")
        self.projection_size, self.peepholes = size, peepholes
        super().__init__(input_size, hidden_size, bias=bias)
        if size > hidden_size:
            raise ConfigError(
                f"LSTMP: projection_size is {size}; expected at most hidden_size, which is {hidden_size}: a projection "
                "makes the output smaller"
            )

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, f, g, o = self.affine(x, h, gates="ifgo")
        if self.peepholes:
            i, f = i + self.vector("i") * c, f + self.vector("f") * c
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        o = sigmoid(o + self.vector("o") * c if self.peepholes else o)
        return self.matvec(o * tanh(c), name="projection", size=self.projection_size), c

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.projection_size, self.hidden_size)

    def options(self) -> dict[str, Any]:
        return {"projection_size": self.projection_size, "peepholes": self.peepholes}

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        weight_ih, weight_hh = self.parameter("weight_ifgo_x"), self.parameter("weight_ifgo_h")
        if not self.use_bias:
            return weight_ih, weight_hh, None, None
        bias = self.parameter("bias_ifgo")
        return weight_ih, weight_hh, bias, torch.zeros_like(bias)

    @torch.no_grad()
    def load_vendor_weights(
        self,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
        weight_hr: Tensor | None = None,
    ) -> None:
        """Take the values of ``torch.nn``'s form; ``weight_hr`` (P, H) is its projection."""
        self.parameter("weight_ifgo_x").copy_(weight_ih)
        self.parameter("weight_ifgo_h").copy_(weight_hh)
        if bias_ih is not None and bias_hh is not None:
            self.parameter("bias_ifgo").copy_(bias_ih + bias_hh)
        if weight_hr is not None:
            self.parameter("weight_projection_v1").copy_(weight_hr)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, projection_size={self.projection_size}" + (
            (", peepholes=True" if self.peepholes else "") + ("" if self.use_bias else ", bias=False")
        )
