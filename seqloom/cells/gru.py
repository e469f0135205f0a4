"""The gated recurrent unit, in its two incompatible versions; z keeps the old state in both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh

__all__ = ["GRU", "GRUBefore"]


@register("gru")
class GRU(Cell):
    """Gated recurrent unit, reset after the product, as in torch and cuDNN (Cho et al. 2014, arXiv version 1)."""

    state = ("h",)
    size = Size(input=3, recurrent=3, bias=4)
    vendor = "gru"

    def step(self, x: Vector, h: Vector) -> Any:
        r, z = map(sigmoid, self.affine(x, h, gates="rz"))
        # Two biases: the recurrent one is inside the reset, so it cannot be folded into the other.
        candidate = tanh(self.affine(x, gates="n") + r * self.affine(h, gates="n", name="recurrent"))
        return z * h + (1 - z) * candidate

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        weight_ih = torch.cat([self.parameter("weight_rz_x"), self.parameter("weight_n_x")])
        weight_hh = torch.cat([self.parameter("weight_rz_h"), self.parameter("weight_recurrent_h")])
        if not self.use_bias:
            return weight_ih, weight_hh, None, None
        outer, inner = self.parameter("bias_rz"), self.parameter("bias_recurrent")
        bias_ih = torch.cat([outer, self.parameter("bias_n")])
        return weight_ih, weight_hh, bias_ih, torch.cat([torch.zeros_like(outer), inner])

    @torch.no_grad()
    def load_vendor_weights(
        self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
    ) -> None:
        gates = 2 * self.hidden_size
        self.parameter("weight_rz_x").copy_(weight_ih[:gates])
        self.parameter("weight_n_x").copy_(weight_ih[gates:])
        self.parameter("weight_rz_h").copy_(weight_hh[:gates])
        self.parameter("weight_recurrent_h").copy_(weight_hh[gates:])
        if bias_ih is not None and bias_hh is not None:
            self.parameter("bias_rz").copy_((bias_ih + bias_hh)[:gates])
            self.parameter("bias_n").copy_(bias_ih[gates:])
            self.parameter("bias_recurrent").copy_(bias_hh[gates:])


@register("gru_before")
class GRUBefore(Cell):
    """Gated recurrent unit, reset before the product (Cho et al. 2014, arXiv version 3; Chung et al. 2014)."""

    state = ("h",)
    size = Size(input=3, recurrent=3, bias=3)

    def step(self, x: Vector, h: Vector) -> Any:
        r, z = map(sigmoid, self.affine(x, h, gates="rz"))
        candidate = tanh(self.affine(x, r * h, gates="n"))
        return z * h + (1 - z) * candidate
