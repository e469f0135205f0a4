"""The recurrent network whose feedback is its output."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor

from seqloom.cells.cell import Cell, Vector
from seqloom.cells.registry import register
from seqloom.cells.size import Size
from seqloom.engine.operations import sigmoid, tanh
from seqloom.errors import ConfigError

__all__ = ["Jordan"]

Output = Literal["sigmoid", "tanh", "identity"]


@register("jordan")
class Jordan(Cell):
    """Jordan's network: the output of the step before, decaying, feeds the hidden units (Jordan 1986).

    ``s_t = decay s_{t-1} + y_{t-1}``, ``h_t = tanh(W x_t + U s_t + b)``, ``y_t = output(V h_t + d)``. What a layer of it
    gives is y (B, K); the state is y and s.

    Args:
        input_size: features of the input.
        hidden_size: hidden units.
        output_size: units K of the output, as many as hidden ones by default.
        decay: of the memory of outputs, 0 (the last output only) to below 1.
        output: what the output units compute.
        bias: whether units have biases.

    Raises:
        ConfigError: an argument out of range.
    """

    state = ("y", "s")
    size = Size(input=1, recurrent=2, bias=2)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_size: int | None = None,
        decay: float = 0.5,
        output: Output = "sigmoid",
        bias: bool = True,
    ) -> None:
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"Jordan: decay is {decay}; expected 0 to below 1")
        if output not in get_args(Output):
            raise ConfigError(f"Jordan: output is {output!r}; expected one of {', '.join(get_args(Output))}")
        self.output_size = hidden_size if output_size is None else output_size
        self.decay, self.output = decay, output
        super().__init__(input_size, hidden_size, bias=bias)

    def step(self, x: Vector, y: Vector, s: Vector) -> Any:
        s = self.decay * s + y
        return self.answer(x, s), s

    def answer(self, x: Vector, s: Vector) -> Any:
        """The output from the input and the memory of outputs."""
        h = tanh(self.affine(x, s, name="hidden"))
        y = self.affine(h, name="output", size=self.output_size)
        return {"sigmoid": sigmoid, "tanh": tanh}.get(self.output, lambda value: value)(y)

    def forced(self, x: Tensor, targets: Tensor) -> Tensor:
        """The outputs where the true ones are fed back: teacher forcing, which needs no gradient through time.

        What is learned so never saw its own mistakes, as it will when it runs freely.

        Args:
            x: (B, T, D).
            targets: (B, T, K) the outputs that should have been; the last of them is not looked at.
        Returns:
            (B, T, K) outputs, each from its own x and the targets of earlier steps.

        >>> Jordan(3, 4, output_size=2).forced(torch.zeros(1, 5, 3), torch.zeros(1, 5, 2)).shape
        torch.Size([1, 5, 2])
        """
        s = torch.zeros_like(targets[:, 0])
        memory = [s]
        for target in targets.unbind(1)[:-1]:
            s = self.decay * s + target
            memory.append(s)
        outputs: Tensor = self.answer(x, torch.stack(memory, 1))
        return outputs

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.output_size)

    def options(self) -> dict[str, Any]:
        return {"output_size": self.output_size, "decay": self.decay, "output": self.output}
