"""How a cell's parameters begin, as data; one routine carries it out for every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

__all__ = ["Initialisation"]

Scheme = Literal["glorot", "orthogonal", "identity", "normal", "normal_fan_in", "zero"]


@dataclass(frozen=True)
class Initialisation:
    """Where a cell's parameters start; matrices gate by gate, never a stack of gates as one matrix.

    Args:
        input: scheme of the matrices that multiply the input (Glorot & Bengio 2010).
        recurrent: scheme of the matrices that multiply what depends on the state (Saxe et al. 2014).
        gain: factor of orthogonal and identity matrices.
        deviation: of the ``normal`` scheme; that of ``normal_fan_in`` is 1 / sqrt(columns).
        bias: first value of a gate's bias, by the gate's letter; 0 where not named.
        vector: first value of a per-unit vector, by its name; 0 where not named.
    """

    input: Scheme = "glorot"
    recurrent: Scheme = "orthogonal"
    gain: float = 1.0
    deviation: float = 0.01
    bias: Mapping[str, float] = field(default_factory=dict)
    vector: Mapping[str, float] = field(default_factory=dict)

    def fill(self, matrix: Tensor, scheme: Scheme) -> None:
        """Fill one gate's matrix (H, columns) in place."""
        match scheme:
            case "glorot":
                nn.init.xavier_uniform_(matrix)
            case "orthogonal":
                nn.init.orthogonal_(matrix, self.gain)
            case "identity":
                nn.init.eye_(matrix).mul_(self.gain)
            case "normal":
                nn.init.normal_(matrix, 0.0, self.deviation)
            case "normal_fan_in":
                nn.init.normal_(matrix, 0.0, matrix.shape[-1] ** -0.5)
            case "zero":
                nn.init.zeros_(matrix)
