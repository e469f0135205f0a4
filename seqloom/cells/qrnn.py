"""Quasi-recurrent network: a convolution in time, then an elementwise recurrence."""

from __future__ import annotations

from typing import Any, Literal, get_args

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.initial import Initialisation
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["QRNN"]

Pooling = Literal["f", "fo", "ifo"]


@register("qrnn")
class QRNN(Cell):
    """Quasi-recurrent network: causal convolution and pooling (Bradbury, Merity, Xiong & Socher 2016, eqs. 2-5).

    The state holds the output h, the memory c where it differs from it, and the last inputs ``x1``, ``x2``, ... that the
    convolution still sees.

    Args:
        input_size: features of the input.
        hidden_size: units.
        window: width of the convolution.
        pooling: ``f``; ``fo``, with an output gate; ``ifo``, with an input gate of its own too.
        bias: whether gates and candidate have biases.

    Raises:
        ConfigError: ``window`` below 1 or an unknown pooling.
    """

    state = ("h", "c", "x1")
    size = Size(input=6, recurrent=0, bias=3)
    initial = Initialisation(recurrent="glorot")  # what the convolution sees is input, though it comes from the state

    def __init__(
        self, input_size: int, hidden_size: int, *, window: int = 2, pooling: Pooling = "fo", bias: bool = True
    ) -> None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            raise ConfigError(f"QRNN: window is {window!r}; expected an integer of at least 1")
        if pooling not in get_args(Pooling):
            raise ConfigError(f"QRNN: pooling is {pooling!r}; expected one of {', '.join(get_args(Pooling))}")
        self.window, self.pooling = window, pooling
        self._memory = ("h",) if pooling == "f" else ("h", "c")
        self.state = (*self._memory, *(f"x{lag}" for lag in range(1, window)))
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, *states: Vector) -> Any:
        memory, past = states[len(self._memory) - 1], states[len(self._memory) :]
        gates = self.affine(x, *past, gates=f"z{self.pooling}")
        z, f, i = tanh(gates[0]), sigmoid(gates[self.pooling.index("f") + 1]), None
        if self.pooling == "ifo":
            i = sigmoid(gates[1])
        memory = f * memory + (1 - f if i is None else i) * z
        kept = (x, *past)[: self.window - 1]
        if self.pooling == "f":
            return (memory, *kept)
        return (sigmoid(gates[-1]) * memory, memory, *kept)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size,) * len(self._memory) + (self.input_size,) * (self.window - 1)

    def options(self) -> dict[str, Any]:
        return {"window": self.window, "pooling": self.pooling}
