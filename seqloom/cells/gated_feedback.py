"""Stacks inside one step, in which every layer feeds every other through a gate."""

from __future__ import annotations

import functools
import operator
from typing import Any

import torch
from torch import nn

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Formula
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["GatedFeedbackGRU", "GatedFeedbackLSTM", "GatedFeedbackRNN"]


def _size(text: str, blocks: int) -> Formula:
    """Of two layers: blocks of n or m columns from below, and as many m columns of the layer itself or of all layers."""

    def count(n: int, m: int, bias: bool) -> int:
        own = 2 * (blocks - 1) * m * m + 4 * m * m  # one block of each layer reads both layers
        gates = 2 * (n + 2 * m) + 2 * (m + 2 * m)
        return blocks * (n * m + m * m) + own + gates + (2 * blocks * m if bias else 0)

    return Formula(text, count)


class _GatedFeedback(Cell):
    """Layers of one step; the state names the top layer first, since that is what a layer of the cell gives.

    Args:
        input_size: features of the input.
        hidden_size: units of each layer.
        layers: how many.
        bias: whether units have biases.

    Raises:
        ConfigError: ``layers`` is below 1.
    """

    names: tuple[str, ...] = ("h",)
    state: tuple[str, ...] = ("h2", "h1")

    def __init__(self, input_size: int, hidden_size: int, *, layers: int = 2, bias: bool = True) -> None:
        if isinstance(layers, bool) or not isinstance(layers, int) or layers < 1:
            raise ConfigError(f"{type(self).__name__}: layers is {layers!r}; expected an integer of at least 1")
        self.layers = layers
        self.state = tuple(f"{name}{layer}" for layer in range(layers, 0, -1) for name in self.names)
        super().__init__(input_size, hidden_size, bias=bias)

    def feedback(self, layer: int, below: Vector, h: list[Vector]) -> Any:
        """What all layers' states of the step before give to one layer, each through its own gate of one number."""
        gated = []
        for source, vector in enumerate(h, 1):
            gate = sigmoid(self.affine(below, *h, name=f"gate{source}_{layer}", size=1, bias=False))
            gated.append(gate * self.matvec(vector, name=f"{source}_{layer}"))
        return functools.reduce(operator.add, gated)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        for name, parameter in self.named_parameters():
            if name.startswith("weight_gate"):
                nn.init.normal_(parameter, 0.0, 0.01)  # gates begin half open

    def options(self) -> dict[str, Any]:
        return {"layers": self.layers}


@register("gated_feedback_rnn")
class GatedFeedbackRNN(_GatedFeedback):
    """Gated feedback between the layers of a stack of tanh units (Chung, Gulcehre, Cho & Bengio 2015, eq. 11)."""

    size = _size("nm + 5m² + 2n + 12m (2 layers)", 1)

    def step(self, x: Vector, *states: Vector) -> Any:
        h, new, below = list(states[::-1]), [], x
        for layer in range(1, self.layers + 1):
            below = tanh(self.affine(below, name=f"layer{layer}") + self.feedback(layer, below, h))
            new.append(below)
        return tuple(new[::-1])


@register("gated_feedback_lstm")
class GatedFeedbackLSTM(_GatedFeedback):
    """Gated feedback between the candidates of a stack of LSTMs (Chung, Gulcehre, Cho & Bengio 2015, eq. 12)."""

    names = ("h", "c")
    state = ("h2", "c2", "h1", "c1")
    size = _size("4nm + 14m² + 2n + 18m (2 layers)", 4)
    initial = Initialisation(bias={"f": 1.0})

    def step(self, x: Vector, *states: Vector) -> Any:
        h, c, below = list(states[-2::-2]), list(states[::-2]), x
        new: list[Vector] = []
        for layer in range(1, self.layers + 1):
            i, f, o = map(sigmoid, self.affine(below, h[layer - 1], gates="ifo", name=f"layer{layer}"))
            g = tanh(self.affine(below, name=f"candidate{layer}") + self.feedback(layer, below, h))
            memory = f * c[layer - 1] + i * g
            below = o * tanh(memory)
            new = [below, memory, *new]
        return tuple(new)


@register("gated_feedback_gru")
class GatedFeedbackGRU(_GatedFeedback):
    """Gated feedback between the candidates of a stack of GRUs (Chung, Gulcehre, Cho & Bengio 2015, eq. 13)."""

    size = _size("3nm + 11m² + 2n + 16m (2 layers)", 3)

    def step(self, x: Vector, *states: Vector) -> Any:
        h, new, below = list(states[::-1]), [], x
        for layer in range(1, self.layers + 1):
            old = h[layer - 1]
            r, z = map(sigmoid, self.affine(below, old, gates="rz", name=f"layer{layer}"))
            candidate = tanh(self.affine(below, name=f"candidate{layer}") + r * self.feedback(layer, below, h))
            below = z * old + (1 - z) * candidate
            new.append(below)
        return tuple(new[::-1])
