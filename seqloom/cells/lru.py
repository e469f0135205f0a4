"""Linear recurrent unit: a complex diagonal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.cells.structure import Structure, derived
from seqloom.errors import ConfigError

__all__ = ["LRU"]


@register("lru")
class LRU(Cell):
    """Linear recurrent unit with eigenvalues inside the unit circle (Orvieto et al. 2023, eqs. 3-7).

    ``s_t = lambda s_{t-1} + gamma (B x_t)`` and ``y_t = Re(C s_t) + D x_t``, with ``lambda = exp(-exp(nu) + i exp(theta))``.
    Linear in its state: use it in a stack of blocks (:class:`seqloom.layers.block.BlockStack`). A layer gives y; the state
    is y and the real and imaginary part of s.

    Args:
        input_size: features of the input.
        hidden_size: complex units m, and outputs.
        smallest, largest: the ring in which the absolute eigenvalues begin.
        phase: the largest phase with which they begin; small for very long sequences.
        literal: D is a vector, as in the paper, which needs ``input_size == hidden_size``; otherwise a matrix.
        bias: has no meaning here, there is none.

    Raises:
        ConfigError: an empty ring or one that leaves the unit circle; ``literal`` with unequal sizes.
    """

    state = ("y", "re", "im")
    size = Size(input=3, recurrent=2, vector=3)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        smallest: float = 0.9,
        largest: float = 0.999,
        phase: float = 2 * math.pi,
        literal: bool = False,
        bias: bool = True,
    ) -> None:
        if not 0.0 <= smallest < largest < 1.0:
            raise ConfigError(f"LRU: the ring is {smallest} to {largest}; expected 0 <= smallest < largest < 1")
        if literal and input_size != hidden_size:
            raise ConfigError(
                f"LRU: literal adds the input to the outputs; expected input_size = hidden_size, found {input_size} and "
                f"{hidden_size}"
            )
        self.smallest, self.largest, self.phase, self.literal = smallest, largest, phase, literal
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, y: Vector, re: Vector, im: Vector) -> Any:
        rate, turn, gamma = self.vector("lambda_re"), self.vector("lambda_im"), self.vector("gamma")
        re, im = (
            rate * re - turn * im + gamma * self.matvec(x, name="b_re"),
            rate * im + turn * re + gamma * self.matvec(x, name="b_im"),
        )
        skip = self.vector("d") * x if self.literal else self.matvec(x, name="d")
        return self.matvec(re, name="c_re") - self.matvec(im, name="c_im") + skip, re, im

    def structures(self) -> Mapping[str, Structure]:
        shapes = {"nu": (self.hidden_size,), "theta": (self.hidden_size,)}
        return {
            "vector_lambda_re": derived(_real, **shapes),
            "vector_lambda_im": derived(_imaginary, **shapes),
            "vector_gamma": derived(torch.exp, log_gamma=(self.hidden_size,)),
        }

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        # Uniform in the area of the ring, as the eigenvalues of a random matrix are in the disc.
        area = torch.empty(self.hidden_size).uniform_(self.smallest**2, self.largest**2)
        self.get_parameter("nu").copy_(torch.log(-0.5 * torch.log(area)))
        self.get_parameter("theta").copy_(torch.log(torch.empty(self.hidden_size).uniform_(1e-6, self.phase)))
        self.get_parameter("log_gamma").copy_(0.5 * torch.log1p(-area))  # keeps the variance of the state
        for name, columns in (("b", self.input_size), ("c", self.hidden_size)):
            for part in ("re", "im"):
                label = "x" if name == "b" else "v1"
                nn.init.normal_(self.get_parameter(f"weight_{name}_{part}_{label}"), 0.0, math.sqrt(0.5 / columns))
        if self.literal:
            nn.init.normal_(self.get_parameter("vector_d"))

    def options(self) -> dict[str, Any]:
        return {"smallest": self.smallest, "largest": self.largest, "phase": self.phase, "literal": self.literal}


def _real(nu: Tensor, theta: Tensor) -> Tensor:
    return torch.exp(-torch.exp(nu)) * torch.cos(torch.exp(theta))


def _imaginary(nu: Tensor, theta: Tensor) -> Tensor:
    return torch.exp(-torch.exp(nu)) * torch.sin(torch.exp(theta))
