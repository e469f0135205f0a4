"""The gates of a highway stack: how much of a layer's output replaces its input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError

__all__ = ["HighwayGate", "build_gates"]

_BIAS = -2.0


class HighwayGate(nn.Module):
    """``g H + (1 - g) x`` with ``g = sigmoid(W x + b)`` for a layer's input x and output H (Srivastava et al. 2015, eq. 3).

    Between recurrent layers, as Zhang et al. (2016) have it: depth is crossed, time is not.

    Args:
        size: features of both.
        bias: what b begins with; negative, so that a fresh layer carries its input.

    >>> gate = HighwayGate(3, -1e3)
    >>> below = torch.randn(2, 5, 3)
    >>> torch.equal(gate(below, torch.ones(2, 5, 3)), below)
    True
    """

    def __init__(self, size: int, bias: float = _BIAS) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)
        nn.init.constant_(self.linear.bias, bias)

    def forward(self, below: Tensor, outputs: Tensor) -> Tensor:
        gate = torch.sigmoid(self.linear(below))
        return gate * outputs + (1 - gate) * below


def build_gates(highway: bool | float, below: Sequence[int], size: int) -> nn.ModuleDict | None:
    """The gates of a stack, by the number of the layer from 0; none where it is no highway.

    Args:
        highway: whether it is one, or what the gates' biases begin with.
        below: features of each layer's input.
        size: features of each layer's output; a gate needs as many inputs.
    Raises:
        ConfigError: not a number, or no layer has as many inputs.
    """
    if highway is False:
        return None
    if not isinstance(highway, int | float):
        raise ConfigError(f"highway is {highway!r}; expected true, false, or the initial bias of the gates")
    bias = _BIAS if highway is True else float(highway)
    gates = {str(layer): HighwayGate(size, bias) for layer, inputs in enumerate(below) if inputs == size}
    if not gates:
        raise ConfigError(f"highway: no layer reads as many features as its output has, {size}; expected at least one")
    return nn.ModuleDict(gates)
