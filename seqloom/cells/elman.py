"""The simple recurrent network."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector, VendorKernel
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine import operations

__all__ = ["IRNN", "Elman", "ElmanReLU", "ElmanSigmoid"]


@register("rnn")
class Elman(Cell):
    """Simple recurrent network with tanh units (Elman 1990)."""

    state = ("h",)
    size = Size(input=1, recurrent=1, bias=1)
    vendor: ClassVar[VendorKernel | None] = "rnn_tanh"
    activation: ClassVar[str] = "tanh"

    def step(self, x: Vector, h: Vector) -> Any:
        return getattr(operations, self.activation)(self.affine(x, h))

    def vendor_weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        weight_ih, weight_hh = self.parameter("weight_x"), self.parameter("weight_h")
        if not self.use_bias:
            return weight_ih, weight_hh, None, None
        bias = self.parameter("bias")
        return weight_ih, weight_hh, bias, torch.zeros_like(bias)

    @torch.no_grad()
    def load_vendor_weights(
        self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
    ) -> None:
        self.parameter("weight_x").copy_(weight_ih)
        self.parameter("weight_h").copy_(weight_hh)
        if bias_ih is not None and bias_hh is not None:
            self.parameter("bias").copy_(bias_ih + bias_hh)


@register("rnn_relu")
class ElmanReLU(Elman):
    """Simple recurrent network with rectified units, exploding where U stretches (Elman 1990; Le et al. 2015)."""

    vendor = "rnn_relu"
    activation = "relu"


@register("rnn_sigmoid")
class ElmanSigmoid(Elman):
    """Simple recurrent network with logistic units, whose gradient fades within about ten steps (Elman 1990)."""

    # The slope is 1/4 at most and the mean output 1/2: large weights saturate the units from the first step.
    initial = Initialisation(input="normal", recurrent="normal", deviation=0.01)
    vendor = None
    activation = "sigmoid"


@register("irnn")
class IRNN(ElmanReLU):
    """Rectified units that begin as an identity: nothing is forgotten at first (Le, Jaitly & Hinton 2015).

    Sensitive to the learning rate, and its loss leaps at times: clip gradients and keep the best checkpoint.

    Args:
        input_size: features of the input.
        hidden_size: units.
        scale: of the identity; below 1 where a short memory is wanted.
        bias: whether the units have biases.
    """

    vendor = "rnn_relu"

    def __init__(self, input_size: int, hidden_size: int, *, scale: float = 1.0, bias: bool = True) -> None:
        self.scale = scale
        self.initial = Initialisation(input="normal", recurrent="identity", gain=scale, deviation=0.001)
        super().__init__(input_size, hidden_size, bias=bias)

    def options(self) -> dict[str, Any]:
        return {"scale": self.scale}
