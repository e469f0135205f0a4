"""Cells with several non-linear layers inside one step."""

from __future__ import annotations

from typing import Any

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["DeepTransition", "DeepTransitionShortcut", "RecurrentHighway"]


class _Deep(Cell):
    state = ("h",)

    def __init__(self, input_size: int, hidden_size: int, *, depth: int = 2, bias: bool = True) -> None:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
            raise ConfigError(f"{type(self).__name__}: depth is {depth!r}; expected an integer of at least 1")
        self.depth = depth
        super().__init__(input_size, hidden_size, bias=bias)

    def options(self) -> dict[str, Any]:
        return {"depth": self.depth}


@register("deep_transition")
class DeepTransition(_Deep):
    """Deep transition between states, DT (Pascanu, Gulcehre, Cho & Bengio 2013).

    Args:
        input_size: features of the input.
        hidden_size: units of each layer of the transition.
        depth: layers of the transition; 1 is Elman's network.
        bias: whether units have biases.
    """

    size = Size(input=1, recurrent=2, bias=2)

    def step(self, x: Vector, h: Vector) -> Any:
        inner = tanh(self.affine(x, h, name="1"))
        for layer in range(2, self.depth + 1):
            inner = tanh(self.affine(inner, *self.shortcut(h), name=str(layer)))
        return inner

    def shortcut(self, h: Vector) -> tuple[Vector, ...]:
        """What the later layers see beside the layer below."""
        return ()


@register("deep_transition_shortcut")
class DeepTransitionShortcut(DeepTransition):
    """Deep transition whose every layer also sees the state, DT(S) (Pascanu, Gulcehre, Cho & Bengio 2013).

    The short path between states is what a gradient lacks in a deep transition.

    Args:
        input_size: features of the input.
        hidden_size: units of each layer of the transition.
        depth: layers of the transition.
        bias: whether units have biases.
    """

    size = Size(input=1, recurrent=3, bias=2)

    def shortcut(self, h: Vector) -> tuple[Vector, ...]:
        return (h,)


@register("recurrent_highway")
class RecurrentHighway(_Deep):
    """Recurrent highway network, carry gate coupled (Zilly, Srivastava, Koutnik & Schmidhuber 2017, eqs. 7-9).

    Args:
        input_size: features of the input.
        hidden_size: units.
        depth: highway layers in a step; only the first sees the input.
        bias: whether units have biases.
    """

    size = Size(input=2, recurrent=4, bias=4)
    initial = Initialisation(bias={"t": -2.0})  # carry first

    def step(self, x: Vector, h: Vector) -> Any:
        for layer in range(1, self.depth + 1):
            below = (x, h) if layer == 1 else (h,)
            candidate, t = self.affine(*below, gates="nt", name=str(layer))
            t = sigmoid(t)
            h = tanh(candidate) * t + h * (1 - t)
        return h
