"""Long short-term memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh

__all__ = ["LSTM", "LSTM1997"]


@register("lstm")
class LSTM(Cell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)."""

    state = ("h", "c")
    size = Size(input=4, recurrent=4, bias=4)
    initial = Initialisation(bias={"f": 1.0})  # remember first (Jozefowicz, Zaremba & Sutskever 2015)
    vendor = "lstm"

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, f, g, o = self.affine(x, h, gates="ifgo")
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        weight_ih, weight_hh = self.parameter("weight_ifgo_x"), self.parameter("weight_ifgo_h")
        if not self.use_bias:
            return weight_ih, weight_hh, None, None
        bias = self.parameter("bias_ifgo")
        return weight_ih, weight_hh, bias, torch.zeros_like(bias)

    @torch.no_grad()
    def load_vendor_weights(
        self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
    ) -> None:
        self.parameter("weight_ifgo_x").copy_(weight_ih)
        self.parameter("weight_ifgo_h").copy_(weight_hh)
        if bias_ih is not None and bias_hh is not None:
            self.parameter("bias_ifgo").copy_(bias_ih + bias_hh)


@register("lstm_1997")
class LSTM1997(Cell):
    """Long short-term memory as it first was, without a forget gate (Hochreiter & Schmidhuber 1997)."""

    state = ("h", "c")
    size = Size(input=3, recurrent=3, bias=3)

    def step(self, x: Vector, h: Vector, c: Vector) -> Any:
        i, g, o = self.affine(x, h, gates="igo")
        c = c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c
